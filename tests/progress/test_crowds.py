"""Many viewers, and a store that is slow: one encoding for all, and everything counted."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import fields
from typing import Any

import pytest
from tests.progress.wire import DELIVERED, LIFE, RUNNING, SUBMITTING, WRITTEN, job_at, queued

from taxiway.deliveries import Endpoint
from taxiway.events import Event
from taxiway.facts import Seen
from taxiway.jobs import Job, Phase
from taxiway.journal import Journal
from taxiway.server.followers import Stream
from taxiway.store.memory import MemoryStore


class SlowStore(MemoryStore):
    """A store whose commits wait until they are let through."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()

    async def record(self, event: Event, *, endpoints: Sequence[Endpoint] = ()) -> None:
        """Keep the job after an event, once the gate is open."""
        await self.open.wait()
        await super().record(event, endpoints=endpoints)


class TestDuringACommit:
    """While a change is on its way into the store."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[SlowStore]:
        """A store with a gate."""
        store = SlowStore()
        yield store
        await store.close()

    async def test_nobody_sees_what_is_not_stored(
        self, journal: Journal, watch: Callable[..., Any], store: SlowStore
    ) -> None:
        """Neither a viewer who waits, nor one who comes, nor a tick tells more than a crash would leave."""
        job = await job_at(journal, 3)
        before = await watch(job)
        first = await before.frame()

        store.open.clear()
        change = asyncio.create_task(journal.record(job.id, RUNNING))
        await asyncio.sleep(20)
        await journal.record(job.id, Seen(attempt=0, phase=Phase.RUNNING, progress=0.5))
        during = await (await watch(job)).frame()
        silence = await before.chunk()
        store.open.set()
        await change
        after = await before.frame()

        assert [("job.in_progress", "3", 0), ("job.in_progress", "3", 0)] == [
            first.line,
            during.line,
        ]
        assert (b":\n", ("job.in_progress", "4", 2)) == (silence, after.line)


class CountingJob(Job):
    """A job that counts how often it is written out, by revision: a document asks for its `eta_s` once."""

    @property
    def eta_s(self) -> float | None:
        """Count, and know nothing."""
        WRITTEN[self.revision] += 1
        return None


async def test_a_thousand_viewers_of_a_job_share_one_encoding(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """An event is made into bytes once, at its first viewer; without a viewer it is not made at all."""
    asyncio.get_running_loop().set_debug(False)  # it takes four fifths of this test's time
    WRITTEN.clear()
    plain = queued()
    job = await journal.accept(
        CountingJob(**{field.name: getattr(plain, field.name) for field in fields(Job)})
    )
    await journal.record(job.id, SUBMITTING)
    wires = [await watch(job) for _ in range(1_000)]
    for fact in LIFE[1:]:
        await journal.record(job.id, fact)

    lasts = [(await wire.rest())[-1] for wire in wires]

    assert 1 == len(set(lasts))
    assert {2: 1, 5: 1} == {revision: WRITTEN[revision] for revision in (2, 5)}
    assert {1, 3, 4} & {revision for revision, times in WRITTEN.items() if times > 1} == set()


async def test_what_streams_do_is_counted(
    journal: Journal, watch: Callable[..., Any], counted: Callable[[str], dict[str, float]]
) -> None:
    """Events by name, how long they took to arrive, and how streams ended."""
    job = await job_at(journal, 3)
    wire = await watch(job)
    await wire.frame()
    opened = counted("streams_open")

    await journal.record(job.id, RUNNING)
    await wire.frame()
    await journal.record(job.id, Seen(attempt=0, phase=Phase.RUNNING, progress=0.5))
    await wire.frame()
    await journal.record(job.id, DELIVERED)
    await wire.rest()

    assert {"": 1} == opened
    assert {"job.in_progress": 2, "job.progress": 1, "job.completed": 1} == counted(
        "events_sent_total"
    )
    assert {"": 3} == counted("delivery_lag_seconds_count")
    assert {"completed": 1} == counted("streams_closed_total")


async def test_a_stream_that_has_ended_leaves_nothing_behind(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """What a stream held is free at its end, and waits for no garbage collector: that comes rarely."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            job = await job_at(journal, 3)
            wire = await watch(job)
            await wire.frame()
            await journal.record(job.id, RUNNING)
            await journal.record(job.id, DELIVERED)
            await wire.rest()
            wire.leave()
            await asyncio.sleep(0.1)
        left = [each for each in gc.get_objects() if isinstance(each, Stream)]
    finally:
        gc.enable()

    assert left == []
