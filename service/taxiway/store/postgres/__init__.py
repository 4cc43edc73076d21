"""PostgreSQL: everything that only this database does.

Several processes share the database. Each holds a lease, a row in `replicas` with a date on the database's own
clock, and owns its jobs while that lasts.
"""

from contextlib import AsyncExitStack

from taxiway.protocols import Note, no_note
from taxiway.store.owners import new_owner
from taxiway.store.postgres.database import PostgresDatabase
from taxiway.store.postgres.link import ANSWER_S, Server
from taxiway.store.postgres.migrating import bring_up
from taxiway.store.sql import SqlStore
from taxiway.store.tables import HEAD
from taxiway.store.timing import Observe


async def open_store(
    url: str,
    *,
    lease_s: float,
    observe: Observe | None = None,
    note: Note = no_note,
    answer_s: float = ANSWER_S,
) -> SqlStore:
    """Open the store in a database, brought up to date as needed. Raises as `taxiway.store.open_store`.

    A statement that takes longer than `answer_s` has failed.
    """
    owner = new_owner()
    server = Server(url, name=owner, answer_s=answer_s)
    async with AsyncExitStack() as resources:
        if (before := await bring_up(server)) != HEAD:
            note("store.migrated", before=before, after=HEAD)
        database = PostgresDatabase(server, owner=owner, lease_s=lease_s, note=note)
        resources.push_async_callback(database.close)
        await database.renew({})
        return SqlStore(
            database, owner=owner, resources=resources.pop_all(), note=note, observe=observe
        )


async def upgrade(url: str) -> tuple[str | None, str]:
    """Bring a database up to date; return the version before and the version after."""
    return await bring_up(Server(url, name="upgrade")), HEAD
