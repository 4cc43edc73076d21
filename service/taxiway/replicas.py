"""This process among the others that share its store: it keeps its lease, claims what nobody owns, and listens.

Signals between replicas are hints and may be lost. Whatever a signal says quickly, the steady beat finds out all
the same, a few seconds later.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self, assert_never

from taxiway.cadence import every
from taxiway.errors import StoreError
from taxiway.journal import Journal
from taxiway.keyring import KeyRing
from taxiway.protocols import JobStore, Note
from taxiway.runner import Runner
from taxiway.seats import Seats
from taxiway.signals import (
    CancelWanted,
    Changed,
    KeyChanged,
    Placed,
    Released,
    Resync,
    Signal,
    Ticked,
)

#: The longest time between two beats, whatever the lease: viewers of other replicas' jobs rely on it.
BEAT_MAX_S = 5.0


class Replica:
    """The part of a service that deals with its like. An asynchronous context manager within the runner's life."""

    def __init__(
        self,
        *,
        store: JobStore,
        journal: Journal,
        runner: Runner,
        keyring: KeyRing,
        seats: Seats,
        lease_s: float,
        note: Note,
    ) -> None:
        self._store = store
        self._journal = journal
        self._runner = runner
        self._keyring = keyring
        self._seats = seats
        self._lease_s = lease_s
        self._beat_s = min(lease_s / 3, BEAT_MAX_S)
        self._renewed_s = -math.inf
        """When the last renewal that succeeded was begun, by the loop's clock."""
        self._in_touch_since_s = -math.inf
        """Since when no renewal has been missing."""
        self._note = note
        self._changed: set[str] = set()
        self._wanted: set[str] = set()
        self._released = False
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._renew()
        await self._runner.claim(cause="restart", expired=False)
        self._store.signals(self._hear)
        self._tasks = [
            asyncio.create_task(self._keep(), name="replica:lease"),
            asyncio.create_task(self._look_around(), name="replica:beat"),
            asyncio.create_task(self._listen(), name="replica:signals"),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _keep(self) -> None:
        """Keep the lease, and do nothing else: whatever waited in front of a renewal could cost every job."""
        async for _ in every(self._beat_s):
            await self._guarded("lease", self._renew)

    async def _look_around(self) -> None:
        """Find what signals may have missed."""
        async for _ in every(self._beat_s):
            await self._guarded("beat", self._round)

    async def _round(self) -> None:
        await self._claim_released()
        await self._claim_expired()
        await self._stop_wanted(await self._store.cancel_requests())
        await self._journal.refresh(self._journal.foreign)

    async def _listen(self) -> None:
        """Act upon signals, in the order of their weight, many at a time."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._guarded("signals", self._act)

    async def _act(self) -> None:
        if self._released:
            self._released = False
            await self._claim_released()
        wanted, self._wanted = self._wanted, set()
        await self._stop_wanted(wanted)
        changed, self._changed = self._changed, set()
        await self._journal.refresh(changed)

    async def _guarded(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do one round of a task. One that fails must not end the task: with the lease, every job would go."""
        try:
            await work()
        except StoreError as error:
            self._journal.store_failed(error)
        except Exception:  # noqa: BLE001 - a bug, which is told of
            self._note("background.failed", task=name, exc_info=True)

    async def _renew(self) -> None:
        began_s = asyncio.get_running_loop().time()
        self._runner.lose(await self._store.renew())
        if began_s - self._renewed_s > self._lease_s / 2:
            self._in_touch_since_s = began_s
        self._renewed_s = began_s

    async def _claim_released(self) -> None:
        await self._runner.claim(cause="handover", expired=False)

    async def _claim_expired(self) -> None:
        """Take over the jobs of owners who have fallen silent, after a lease's time in touch.

        When the store comes back from an outage, every lease has run out, and nobody is dead: whoever renewed
        first would take the others' jobs away, and with them the answers to their submissions.
        """
        now_s = asyncio.get_running_loop().time()
        in_touch = now_s - self._renewed_s <= self._lease_s / 2
        if in_touch and now_s - self._in_touch_since_s >= self._lease_s:
            await self._runner.claim(cause="lease_expired", released=False)

    async def _stop_wanted(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            if self._runner.owns(job_id):
                await self._runner.cancel(job_id)

    def _hear(self, signal: Signal) -> None:
        match signal:
            case Changed():
                self._changed.add(signal.job_id)
                self._seats.hear()
            case Ticked() | Placed():
                self._journal.hear(signal)
                return
            case Released():
                self._released = True
            case KeyChanged():
                self._keyring.hear(signal.key_id)
                return
            case CancelWanted():
                self._wanted.add(signal.job_id)
            case Resync():
                self._released = True
                self._keyring.hear(None)
                self._changed.update(self._journal.foreign)
            case _:
                assert_never(signal)
        self._news.set()
