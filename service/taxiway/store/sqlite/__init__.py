"""SQLite: everything that only this database does.

A lock on the file keeps every other process out, so there are no leases here: whoever has opened the file owns
what is in it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from taxiway.protocols import Note
from taxiway.store.owners import new_owner
from taxiway.store.owning import Claim
from taxiway.store.sql import SqlStore
from taxiway.store.sqlite.database import SqliteDatabase
from taxiway.store.sqlite.lock import locked
from taxiway.store.sqlite.places import prepare
from taxiway.store.sqlite.writer import Writer
from taxiway.store.tables import HEAD
from taxiway.store.timing import Observe


async def open_store(path: str, *, observe: Observe | None, note: Note) -> SqlStore:
    """Open the store in a file, made and brought up to date as needed. Raises as `taxiway.store.open_store`."""
    async with AsyncExitStack() as resources:
        writer = await resources.enter_async_context(_opened(path))
        if writer.schema_before != HEAD:
            note("store.migrated", before=writer.schema_before, after=HEAD)
        owner = new_owner()
        database = SqliteDatabase(writer, owner=owner)
        resources.push_async_callback(database.reader.dispose)
        return SqlStore(
            database,
            owner=owner,
            inherited=await _everything(database),
            resources=resources.pop_all(),
            note=note,
            observe=observe,
        )


async def upgrade(path: str) -> tuple[str | None, str]:
    """Bring the schema in a file up to date; return the version before and the version after."""
    async with _opened(path) as writer:
        return writer.schema_before, HEAD


async def _everything(database: SqliteDatabase) -> Sequence[Claim]:
    """Take over all that is unfinished, at once: nobody else can have it, so any of it may be recorded."""
    claims = [await database.claim()]
    while claims[-1].jobs:
        claims.append(await database.claim())
    return claims


@asynccontextmanager
async def _opened(path: str) -> AsyncIterator[Writer]:
    file = await asyncio.to_thread(prepare, path)
    with locked(file):
        writer = Writer(file)
        try:
            await writer.open()
            yield writer
        finally:
            await writer.close()
