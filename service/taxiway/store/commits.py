"""Group commit: whatever waits is committed in one transaction, and each caller goes on when its own is in.

A commit costs a flush of the disk however little is in it. While one is under way the next group gathers, so the
groups grow with the load by themselves. A failed group is its callers' to repeat; the writer goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context

from taxiway.errors import StoreError, TaxiwayError
from taxiway.origins import Existing
from taxiway.store.faults import not_taken
from taxiway.store.timing import Observe, timed
from taxiway.store.writes import Outcome, Write

#: How long a group gathers after one of several writes. A group costs as much CPU as some twenty writes in it, and
#: a fast disk would have it commit in twos and threes. A caller alone is never held up; among many, nobody notices
#: so short a wait beside two seconds between two looks.
_GATHER_S = 0.05

#: So many are worth a group of their own at once.
_WORTH = 100

#: More than this is more than one transaction: a few megabytes, some tens of milliseconds.
GROUP_MAX = 1000

#: Commits a group in one transaction and answers for each write, in order.
#: Raises when the transaction as a whole failed; then nothing of it is in.
Commit = Callable[[Sequence[Write]], Awaitable[Sequence[Outcome]]]

#: A write and what its caller waits for.
_Entry = tuple[Write, asyncio.Future[Existing | None]]


class GroupCommit:
    """The queue before the one writer. Owned by the store, made inside its loop, closed by it."""

    def __init__(self, commit: Commit, *, observe: Observe | None = None) -> None:
        self._commit = commit
        self._observe = observe
        self._waiting: list[_Entry] = []
        self._committing: list[_Entry] = []
        self._wake = asyncio.Event()
        self._worth = asyncio.Event()
        self._closed = False
        # A context of its own: the writer must not carry the first caller's log fields for ever.
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run(), name="store:commits", context=Context())

    async def submit(self, write: Write) -> Existing | None:
        """Return when the write is committed; writes go in by the order of the calls.

        Raises `StoreError` when the transaction failed, or the error that concerns this write alone. A caller that
        is cancelled here leaves its write where it is: it will be committed.
        """
        if self._closed:
            raise StoreError("The store is closed.")
        done: asyncio.Future[Existing | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, done))
        self._wake.set()
        if len(self._waiting) >= _WORTH:
            self._worth.set()
        return await done

    async def close(self) -> None:
        """Commit what waits and stop."""
        self._closed = True
        self._wake.set()
        self._worth.set()
        try:
            await asyncio.wait({self._task})
        finally:
            self._task.cancel()  # only where this call was cancelled itself

    async def _run(self) -> None:
        crowded = False
        try:
            while group := await self._gather(crowded=crowded):
                self._committing = group
                await self._commit_group(group)
                self._committing = []
                crowded = len(group) > 1
        finally:
            self._closed = True
            # Only a writer that was cancelled leaves anybody here.
            for _, done in (*self._committing, *self._waiting):
                _release(done, not_taken(asyncio.CancelledError("the store was stopped")))

    async def _gather(self, *, crowded: bool) -> list[_Entry]:
        """Wait for writes and take as many as make a group; none when the store is closed and nothing waits."""
        if crowded:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GATHER_S):
                    await self._worth.wait()
        if not self._waiting and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        group, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
        if len(self._waiting) < _WORTH and not self._closed:
            self._worth.clear()
        return group

    async def _commit_group(self, group: list[_Entry]) -> None:
        try:
            with timed(self._observe, "commit"):
                outcomes = await self._commit([write for write, _ in group])
            released = list(zip(group, outcomes, strict=True))
        except Exception as error:  # noqa: BLE001 - whatever it was, the callers must hear of it
            released = [(entry, not_taken(error)) for entry in group]
        for (_, done), outcome in released:
            _release(done, outcome)


def _release(done: asyncio.Future[Existing | None], outcome: Outcome) -> None:
    if done.done():  # its caller was cancelled
        return
    if isinstance(outcome, TaxiwayError):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
