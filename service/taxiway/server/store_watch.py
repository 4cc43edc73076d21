"""What is unfinished in the store, its connections, and its files: read now and then, told at every scrape."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from taxiway.cadence import every
from taxiway.errors import StoreError
from taxiway.metrics import Metrics
from taxiway.protocols import Backlog
from taxiway.server.keys import CLOCK, METRICS, SETTINGS, STORE, WATCH
from taxiway.store import files_of
from taxiway.store.connections import Connections

#: About how often Prometheus comes by. The read goes over a partial index: cheap, though every replica does it.
BACKLOG_PERIOD_S = 15.0

#: A store that takes longer has troubles that show elsewhere.
BACKLOG_TIMEOUT_S = 10.0


@asynccontextmanager
async def backlog(app: web.Application) -> AsyncIterator[None]:
    """Show what is unfinished while the context lasts. It comes after the `watch` that runs its task."""
    watching = watch_backlog(
        app[STORE].backlog,
        connections=app[STORE].connections,
        files=files_of(app[SETTINGS].database_url),
        metrics=app[METRICS],
        now=app[CLOCK].now,
    )
    async with app[WATCH].running("backlog", watching):
        yield


async def watch_backlog(
    read: Callable[[], Awaitable[Backlog]],
    *,
    connections: Callable[[], Connections],
    files: Mapping[str, Path],
    metrics: Metrics,
    now: Callable[[], float],
) -> None:
    """Read and show every `BACKLOG_PERIOD_S`, the first time at once, until cancelled.

    `files` are those of an embedded store by what they are, `database` and `wal`. A failed read is counted and
    changes nothing that is shown, but for the connections: they tell why it may have failed.
    """
    rounds = metrics.background("backlog")
    async for _ in every(BACKLOG_PERIOD_S, first_s=0.0):
        show_connections(connections(), metrics=metrics)  # before one of them is ours
        with suppress(StoreError, TimeoutError), rounds:
            async with asyncio.timeout(BACKLOG_TIMEOUT_S):
                backlog = await read()
            show(backlog, metrics=metrics, now=now())
            for name, size_bytes in (await asyncio.to_thread(_sizes, files)).items():
                metrics.store_size(name, size_bytes)


def show(backlog: Backlog, *, metrics: Metrics, now: float) -> None:
    """Put what was read into the numbers."""
    metrics.store_jobs(
        {phase: count for phase, (count, _) in backlog.items()},
        {phase: now - oldest_at for phase, (_, oldest_at) in backlog.items()},
    )


def show_connections(connections: Connections, *, metrics: Metrics) -> None:
    """Put what the connections do into the numbers."""
    metrics.store_connections("used", connections.used)
    metrics.store_connections("idle", connections.idle)
    metrics.store_connections("waiting", connections.waiting)


def _sizes(files: Mapping[str, Path]) -> Mapping[str, int]:
    """Return the sizes of those that are there: the log comes and goes."""
    return {name: file.stat().st_size for name, file in files.items() if file.exists()}
