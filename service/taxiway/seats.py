"""How many jobs of a key may be under way at once, also where several processes let them go.

Alone, a process counts what it has let go itself. Where the store is shared, each job takes a seat in it before it
goes, which it keeps until its end; whoever finds none asks again when something has changed, and once a second.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Protocol

from taxiway.errors import StoreError
from taxiway.key_store import KeyStore

#: How long nobody asks again for a seat that was not to be had.
AGAIN_S = 1.0

#: The least time between two looks at the store because something has changed.
SOON_S = 0.1


class Guests(Protocol):
    """Who waits for seats."""

    def look(self) -> None:
        """Let everybody go who can."""
        ...


class Seats:
    """One per process, between the dispatcher that asks for seats and the store that counts them."""

    def __init__(self, store: KeyStore, *, limit_of: Callable[[str], int | None]) -> None:
        self.guests: Guests | None = None
        self._store = store
        self._limit_of = limit_of
        self._seated: set[str] = set()
        self._asking: dict[str, asyncio.Task[None]] = {}
        """By key: one job at a time asks, the one whose turn it is."""
        self._news = asyncio.Event()

    def may_start(self, job_id: str, scope: str, *, under_way: int) -> bool:
        """Return whether a job may go, by the limit of its key; asks for a seat where it needs one first.

        `under_way` are the key's jobs that this process has let go.
        """
        limit = self._limit_of(scope)
        if limit is None or job_id in self._seated:
            return True
        if under_way >= limit:
            return False
        if not self._store.shared:
            return True
        if scope not in self._asking:
            # Not in the context of a request: it outlives that.
            self._asking[scope] = asyncio.create_task(
                self._ask(job_id, scope, limit), name=f"seat:{job_id}", context=Context()
            )
        return False

    def limited(self, scope: str) -> bool:
        """Return whether jobs of a key wait for each other."""
        return self._limit_of(scope) is not None

    def left(self, job_id: str) -> None:
        """Take in that this process has nothing to do with a job any more."""
        self._seated.discard(job_id)
        self._news.set()

    def hear(self) -> None:
        """Take in that something has changed at another process: a job may have ended."""
        if self._asking:
            self._news.set()

    async def close(self) -> None:
        """Ask no more."""
        self.guests = None
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _ask(self, job_id: str, scope: str, limit: int) -> None:
        try:
            self._news.clear()
            with suppress(StoreError):
                if await self._store.take_seat(job_id, scope=scope, limit=limit):
                    self._seated.add(job_id)
                    return
            await asyncio.sleep(SOON_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):
                    await self._news.wait()
        finally:
            del self._asking[scope]
            if self.guests is not None:
                self.guests.look()
