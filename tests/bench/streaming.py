"""What viewers cost: the CPU of an event for one of them, and the memory of one who waits."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
from tests.bench.callers import Viewer, ask, watch
from tests.bench.machine import Cores, cpu_s, memory
from tests.bench.pace import Pace
from tests.bench.processes import Running, running
from tests.bench.subjects import Subject
from tests.bench.vendor import Vendor

#: Five events a second: polls this far apart, each of which finds some progress.
_EVERY_S = 0.2

#: What the first of everything makes a program load must not be charged to those who come after.
_WARM = 20

_SETTLE_S = 2.0
_MANY_AT_ONCE = 100
_KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """How many, and for how long."""

    jobs: int = 100
    viewers: int = 2_000
    """Of those jobs, in equal shares."""
    idle: int = 2_000
    """Viewers of a job to which nothing happens."""
    watched: int = 1_000
    """Jobs with a viewer each, whose memory is measured."""
    seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """What viewers came to."""

    event_us: float
    """CPU of the program for each event and viewer, that of the polls apart."""
    events_per_s: float
    idle_kib: float
    """Memory of a stream on which nothing happens."""
    job_kib: float
    """Memory of a job in flight and its one viewer."""
    pace_ms: float
    """What the same piece of work took while events were measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Used:
    """The share of a core that a program has used, the events that viewers got in a second, and the pace."""

    share: float
    events_per_s: float
    pace_ms: float


async def streams(
    subject: Subject,
    vendor: Vendor,
    *,
    crowd: Crowd,
    cores: Cores,
    pace: Pace,
    folder: Path,
    before: Streams | None = None,
) -> Streams:
    """Measure one program, started afresh for each of the three figures; memory only where it was not `before`."""
    async with _started(subject, vendor, cores, folder / "events") as program:
        event_us, per_s, pace_ms = await _event_us(program, vendor, subject.model, crowd, pace)
    if before is not None:
        return replace(before, event_us=event_us, events_per_s=per_s, pace_ms=pace_ms)
    async with _started(subject, vendor, cores, folder / "idle") as program:
        idle_kib = await _idle_kib(program, vendor, subject.model, crowd)
    async with _started(subject, vendor, cores, folder / "jobs", every_s=2.0) as program:
        job_kib = await _job_kib(program, vendor, subject.model, crowd)
    return Streams(
        event_us=event_us,
        events_per_s=per_s,
        idle_kib=idle_kib,
        job_kib=job_kib,
        pace_ms=pace_ms,
    )


@asynccontextmanager
async def _started(
    subject: Subject, vendor: Vendor, cores: Cores, folder: Path, *, every_s: float = _EVERY_S
) -> AsyncIterator[Running]:
    await asyncio.to_thread(folder.mkdir, parents=True)
    program = subject.program(upstream=vendor.url, folder=folder, poll_interval_s=every_s)
    async with running(program, core=cores.tested, folder=folder) as process:
        yield process


async def _idle_kib(program: Running, vendor: Vendor, model: str, crowd: Crowd) -> float:
    await vendor.reset(queue_s=600)
    [job_id] = await _accepted(program.port, 1, model=model)
    await _warmed(program.port, job_id)
    before = memory(program.pid).rss_bytes
    viewers = await _watching(program.port, [job_id] * crowd.idle)
    await asyncio.sleep(_SETTLE_S)
    grown = memory(program.pid).rss_bytes - before
    _leave(viewers)
    return grown / crowd.idle / _KIB


async def _event_us(
    program: Running, vendor: Vendor, model: str, crowd: Crowd, pace: Pace
) -> tuple[float, float, float]:
    """Return the CPU of an event for one viewer, such events in a second, and the pace it was measured at."""
    await vendor.reset(queue_s=0, duration_s=120, progress_tick_s=0)
    job_ids = await _accepted(program.port, crowd.jobs, model=model)
    await _warmed(program.port, job_ids[0])
    before = await _used(program.pid, [], crowd.seconds / 2, pace)
    viewers = await _watching(
        program.port, list(itertools.islice(itertools.cycle(job_ids), crowd.viewers))
    )
    await asyncio.sleep(_SETTLE_S)
    watched = await _used(program.pid, viewers, crowd.seconds, pace)
    _leave(viewers)
    await asyncio.sleep(_SETTLE_S)
    after = await _used(program.pid, [], crowd.seconds / 2, pace)
    # What the jobs cost by themselves, on both sides and at the pace between: the machine may change meanwhile.
    alone = (before.share / before.pace_ms + after.share / after.pace_ms) / 2 * watched.pace_ms
    event_us = (watched.share - alone) / watched.events_per_s * 1e6
    return event_us, watched.events_per_s, watched.pace_ms


async def _job_kib(program: Running, vendor: Vendor, model: str, crowd: Crowd) -> float:
    await vendor.reset(duration_s=120)
    [first] = await _accepted(program.port, 1, model=model)
    await _warmed(program.port, first)
    before = memory(program.pid).rss_bytes
    job_ids = await _accepted(program.port, crowd.watched, model=model)
    viewers = await _watching(program.port, job_ids)
    await asyncio.sleep(3 * _SETTLE_S)  # everybody has been polled, and told of it
    grown = memory(program.pid).rss_bytes - before
    _leave(viewers)
    return grown / crowd.watched / _KIB


async def _used(pid: int, viewers: Sequence[Viewer], seconds: float, pace: Pace) -> _Used:
    loop = asyncio.get_running_loop()
    began_s, used_s, seen = loop.time(), cpu_s(pid), sum(each.events for each in viewers)
    spun = pace.read()
    await asyncio.sleep(seconds)
    spent_s = loop.time() - began_s
    return _Used(
        share=(cpu_s(pid) - used_s) / spent_s,
        events_per_s=(sum(each.events for each in viewers) - seen) / spent_s,
        pace_ms=pace.since(spun),
    )


async def _accepted(port: int, count: int, *, model: str) -> list[str]:
    """Ask for images without waiting for them; return the jobs."""
    job_ids = []
    async with asyncio.timeout(30):
        for start in range(0, count, _MANY_AT_ONCE):
            prompts = [
                f"owl {number}" for number in range(start, min(count, start + _MANY_AT_ONCE))
            ]
            headers = {"Prefer": "respond-async"}
            callers = await asyncio.gather(
                *(ask(port, prompt, model=model, headers=headers) for prompt in prompts)
            )
            await asyncio.gather(*(caller.done for caller in callers))
            job_ids += [orjson.loads(caller.body)["id"] for caller in callers]
    return job_ids


async def _watching(port: int, job_ids: Sequence[str]) -> list[Viewer]:
    """Open a stream of each job, and return when each has had its first event."""
    viewers: list[Viewer] = []
    async with asyncio.timeout(60):
        for start in range(0, len(job_ids), _MANY_AT_ONCE):
            some = job_ids[start : start + _MANY_AT_ONCE]
            viewers += await asyncio.gather(*(watch(port, job_id) for job_id in some))
        await asyncio.gather(*(viewer.told for viewer in viewers))
    return viewers


async def _warmed(port: int, job_id: str) -> None:
    _leave(await _watching(port, [job_id] * _WARM))
    await asyncio.sleep(_SETTLE_S)


def _leave(viewers: Sequence[Viewer]) -> None:
    for viewer in viewers:
        viewer.hang_up()
