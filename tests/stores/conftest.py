"""The stores: in memory, on SQLite, on PostgreSQL. One contract, told once, kept by all of them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.stores.histories import Opener

from taxiway.store import Store, open_store
from taxiway.store.memory import MemoryStore
from taxiway.store.owners import new_owner
from taxiway.store.shelf import Shelf
from taxiway.store.sql import SqlStore
from taxiway.store.sqlite.database import SqliteDatabase


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of store."""
    return str(request.param)


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store."""
    if backend == "postgres":
        return str(request.getfixturevalue("postgres"))
    return {"memory": "memory://", "sqlite": f"sqlite+aiosqlite:///{tmp_path}/taxiway.db"}[backend]


@pytest.fixture
async def another(backend: str, url: str) -> AsyncIterator[Opener]:
    """What opens stores over the same jobs; they are closed at the end."""
    shelf = Shelf()
    opened: list[Store] = []

    async def open_another(*, lease_s: float = 60.0) -> Store:
        if backend == "memory":
            store: Store = MemoryStore(shelf=shelf, lease_s=lease_s)
        elif backend == "sqlite" and opened:
            store = beside(opened[0])
        else:
            store = await open_store(url, lease_s=lease_s)
        opened.append(store)
        return store

    yield open_another
    for store in reversed(opened):
        await store.close()


@pytest.fixture
async def store(another: Opener) -> Store:
    """An open, empty store."""
    return await another()


@pytest.fixture
async def rival(store: Store, another: Opener) -> Store:
    """Another process's store over the same jobs."""
    return await another()


def beside(store: Store) -> Store:
    """A second store on an open SQLite file, where the lock would let no other process in."""
    assert isinstance(store, SqlStore)
    assert isinstance(store._database, SqliteDatabase)
    owner = new_owner()
    database = SqliteDatabase(store._database._writer, owner=owner)
    resources = AsyncExitStack()
    resources.push_async_callback(database.reader.dispose)
    return SqlStore(database, owner=owner, resources=resources)
