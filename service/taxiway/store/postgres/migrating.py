"""How PostgreSQL comes to its schema when many processes start at once: one of them migrates, the others wait."""

from sqlalchemy import NullPool, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from taxiway.errors import StoreError
from taxiway.store import schema
from taxiway.store.faults import translated
from taxiway.store.postgres.link import FAULTS, Server
from taxiway.store.tables import HEAD

#: The number of the advisory lock around migrations: "taxiway" on a telephone's keys.
_LOCK = 8294929

#: How long to wait for somebody else's migration, and for the table locks of our own.
PATIENCE_S = 60.0

#: PostgreSQL's code for a lock that was not to be had in time.
_LOCK_NOT_AVAILABLE = "55P03"


async def bring_up(server: Server, *, patience_s: float = PATIENCE_S) -> str | None:
    """Bring the database to `HEAD` and return the version it had before; raises as `schema.bring_up`.

    Raises `StoreError` when another process holds the lock for longer than `patience_s`. The connection is one of
    its own and ends with this call, and so does the lock, whatever happens.
    """

    async def connect() -> object:
        return await server.connect(patient=True)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    with translated("The schema of the database could not be read", SQLAlchemyError, *FAULTS):
        async with engine.connect() as connection:
            before = await connection.run_sync(schema.current)
            await connection.rollback()
            if before != HEAD:
                await _lock(connection, patience_s)
                async with connection.begin():
                    # Whoever waited finds the work done.
                    before = await connection.run_sync(schema.bring_up)
            return before


async def _lock(connection: AsyncConnection, patience_s: float) -> None:
    try:
        async with connection.begin():
            await connection.execute(text(f"SET lock_timeout = '{patience_s * 1000:.0f}ms'"))
            await connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": _LOCK})
    except SQLAlchemyError as error:
        if getattr(getattr(error, "orig", None), "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise StoreError(
            f"Another process has been upgrading the database for {patience_s:g} s; "
            "see what it waits for, or end it."
        ) from error
