"""Stores on one PostgreSQL server."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from tests.postgres.servers import Opener

from taxiway.store import Store
from taxiway.store import postgres as backend


@pytest.fixture
async def another(postgres: str) -> AsyncIterator[Opener]:
    """What opens stores, as so many processes would."""
    opened: list[Store] = []

    async def open_another(*, lease_s: float = 60.0, **options: Any) -> Store:
        store = await backend.open_store(postgres, lease_s=lease_s, **options)
        opened.append(store)
        return store

    yield open_another
    for store in opened:
        await store.close()


@pytest.fixture
async def store(another: Opener) -> Store:
    """An open, empty store."""
    return await another()


@pytest.fixture
async def hasty(another: Opener) -> Store:
    """A store to which a server that takes a second is down."""
    return await another(answer_s=1.0)


@pytest.fixture
async def psql(postgres: str) -> AsyncIterator[Any]:
    """A session of an operator's own."""
    session = await asyncpg.connect(postgres)
    yield session
    await session.close()
