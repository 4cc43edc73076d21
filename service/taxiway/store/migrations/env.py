"""What Alembic runs, on the connection and in the transaction that `taxiway.store.schema` hands in."""

from alembic import context

from taxiway.store.indexes import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
)
context.run_migrations()
