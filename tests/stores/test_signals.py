"""What the stores of several processes tell each other."""

import asyncio
from dataclasses import replace

import pytest
from tests.stores.histories import (
    RUNNING,
    SUBMITTED,
    SUBMITTING,
    event,
    history,
    later,
    new_job,
    numbers,
    recorded,
    shared,
    stored,
)

from taxiway.facts import Seen
from taxiway.signals import CancelWanted, Changed, Released, Resync, Signal, Ticked
from taxiway.store import Store
from taxiway.transitions import advance

pytestmark = pytest.mark.looptime(False)


class Ear:
    """Hears signals, and waits for them."""

    def __init__(self) -> None:
        self.heard: list[Signal] = []
        self._more = asyncio.Event()

    def hear(self, signal: Signal) -> None:
        self.heard.append(signal)
        self._more.set()

    async def hears(self, *signals: Signal) -> None:
        """Return when all of these were heard."""
        async with asyncio.timeout(10):
            while not set(signals) <= set(self.heard):
                self._more.clear()
                await self._more.wait()


@pytest.fixture
async def ear(rival: Store) -> Ear:
    """What the rival hears, from when it can hear."""
    ear = Ear()
    rival.signals(ear.hear)
    await ear.hears(Resync())
    ear.heard.clear()
    return ear


@shared
class TestSignals:
    """What one process hears of another."""

    async def test_changes_are_told(self, store: Store, ear: Ear) -> None:
        """Each committed revision after the first is told, and what was refused is not."""
        job = new_job(1)
        await stored(store, job)
        await recorded(store, *history(job, SUBMITTING, SUBMITTED))
        await store.record(event(later(job, 2)))
        await store.record(event(later(job, 5)))

        await ear.hears(Changed(job_id=job.id, revision=5))
        assert [Changed(job_id=job.id, revision=n) for n in (2, 3, 5)] == ear.heard

    async def test_a_crowd_is_told(self, store: Store, ear: Ear) -> None:
        """Hundreds of changes at once, more than one message can hold, are heard, every one."""
        jobs = [new_job(n) for n in range(400)]
        await asyncio.gather(*(store.create(event(job)) for job in jobs))
        await asyncio.gather(*(store.record(event(later(job, 2))) for job in jobs))

        await ear.hears(*(Changed(job_id=job.id, revision=2) for job in jobs))
        assert 400 == len(ear.heard)

    async def test_ticks_are_told(self, store: Store, ear: Ear) -> None:
        """A tick is told with what it takes to make the same of a copy of the job."""
        job = new_job(1)
        await stored(store, job)
        *before, tick = history(job, SUBMITTING, SUBMITTED, RUNNING, replace(RUNNING, progress=0.5))
        await recorded(store, *before)
        store.tell(tick)

        told = Ticked(job_id=job.id, revision=4, attempt=0, progress=0.5, at=13.0)
        await ear.hears(told)
        copy = await store.get(job.id)
        assert copy is not None
        seen = Seen(attempt=0, phase=copy.attempts[0].phase, progress=told.progress)
        assert tick.job == advance(copy, seen, at=told.at)

    async def test_what_is_no_tick_is_not_told(self, store: Store, ear: Ear) -> None:
        """A revision is told by its commit, not by whoever calls."""
        job = new_job(1)
        await stored(store, job)
        (submitting,) = history(job, SUBMITTING)
        store.tell(submitting)
        await store.record(submitting)

        await ear.hears(Changed(job_id=job.id, revision=2))
        assert [Changed(job_id=job.id, revision=2)] == ear.heard

    async def test_a_release_is_told(self, store: Store, ear: Ear) -> None:
        """Whoever lets go of its jobs says so."""
        await store.release()

        await ear.hears(Released())

    async def test_a_close_is_a_release(self, store: Store, ear: Ear, rival: Store) -> None:
        """A store that is closed lets go of its jobs, which can be claimed at once."""
        await stored(store, new_job(1))
        await store.close()

        await ear.hears(Released())
        assert [1] == numbers(await rival.claim())

    async def test_a_wish_to_stop_is_told(self, store: Store, ear: Ear, rival: Store) -> None:
        """A request to stop reaches the owner."""
        await stored(rival, new_job(1))
        await store.request_cancel("job_0001")

        await ear.hears(CancelWanted(job_id="job_0001"))

    async def test_nobody_hears_itself(self, store: Store, ear: Ear, rival: Store) -> None:
        """What a process does itself it is not told."""
        await stored(rival, later(new_job(1), 2), new_job(2))
        await rival.request_cancel("job_0001")
        await stored(store, later(new_job(3), 2))

        await ear.hears(Changed(job_id="job_0003", revision=2))
        assert [Changed(job_id="job_0003", revision=2)] == ear.heard
