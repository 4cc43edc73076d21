"""The tasks that run as long as the process does, and what probes may know of them without asking anybody."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

from taxiway.cadence import every
from taxiway.errors import StoreError
from taxiway.metrics import Metrics
from taxiway.protocols import JobStore, Note

STORE_PERIOD_S = 2.0

#: Two rounds may fail before the store counts as gone: one slow answer must not empty a load balancer.
STORE_PATIENCE_S = 6.0


class Watch:
    """The background tasks by name, and when the store last answered. Owned by the application."""

    def __init__(self, *, note: Note) -> None:
        self._note = note
        self._tasks: dict[str, asyncio.Task[None]] = {}
        # It was opened a moment ago: there is no need to be not ready until the first question is answered.
        self._store_answered_s = asyncio.get_running_loop().time()

    @asynccontextmanager
    async def running(self, name: str, task: Coroutine[None, None, None]) -> AsyncIterator[None]:
        """Run a task in the background while the context lasts."""
        self._tasks[name] = owned = asyncio.create_task(self._run(name, task), name=f"watch:{name}")
        try:
            yield
        finally:
            owned.cancel()
            with suppress(asyncio.CancelledError):
                await owned

    def ended(self) -> list[str]:
        """Return the names of tasks that are no longer running: while the process serves, there must be none."""
        return [name for name, task in self._tasks.items() if task.done()]

    @property
    def store_answers(self) -> bool:
        """Whether the store answered within the last few seconds."""
        return asyncio.get_running_loop().time() - self._store_answered_s < STORE_PATIENCE_S

    async def ask_store(self, store: JobStore, metrics: Metrics) -> None:
        """Ask the store whether it is there, again and again, until cancelled."""
        rounds = metrics.background("store_ping")
        async for _ in every(STORE_PERIOD_S, first_s=0.0):
            with suppress(StoreError, TimeoutError), rounds:
                async with asyncio.timeout(STORE_PERIOD_S):
                    await store.ping()
                self._store_answered_s = asyncio.get_running_loop().time()

    async def _run(self, name: str, task: Coroutine[None, None, None]) -> None:
        try:
            await task
        except Exception:
            self._note("background.failed", task=name, exc_info=True)
            raise
