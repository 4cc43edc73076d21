"""The database's schema: which one it has, and how it comes to the current one.

Alembic takes a third of a second to import, so it is not asked about a database that is up to date.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from taxiway.errors import ConfigError, StoreError, cut
from taxiway.store.faults import words
from taxiway.store.tables import HEAD

MIGRATIONS = Path(__file__).parent / "migrations"

#: What Alembic has applied; the table is its own.
VERSION = text("SELECT version_num FROM alembic_version")


def current(connection: Connection) -> str | None:
    """Return the number of the last migration applied, None for a database without any."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(VERSION).scalar()


def bring_up(connection: Connection) -> str | None:
    """Bring the database to `HEAD` inside the open transaction and return the version it had before.

    Raises `ConfigError` for a database of a newer release, `StoreError` when a migration fails.
    """
    before = current(connection)
    if before != HEAD:
        _migrate(connection, before)
    return before


def _migrate(connection: Connection, before: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    if before is not None and before not in known:
        raise ConfigError(
            f"The database has schema {cut(before)}, made by a newer release than this one, "
            f"which knows schemas up to {HEAD}; start that release, or restore an older database."
        )
    try:
        command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise StoreError(
            f"The database could not be brought from schema {before or 'none'} to {HEAD}, "
            f"and was left as it was: {words(error)}."
        ) from error
