"""Deleting what is old: finished jobs after `job_retention_days`, and their files with them. The books stay."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from taxiway.artifacts import Archive
from taxiway.cadence import every
from taxiway.errors import ArchiveError, StoreError
from taxiway.metrics import Metrics
from taxiway.protocols import JobStore, Note
from taxiway.server.keys import ARCHIVE, CLOCK, LOGS, METRICS, SETTINGS, STORE, WATCH

PERIOD_S = 3_600.0

#: The first round comes within so much of the start: replicas start together, and need not tidy up together.
FIRST_S = (2.0, 30.0)

DAY_S = 86_400.0

#: Files stay so much longer: an image is older than the end of its job, and no job may lose its own.
MARGIN_S = 3_600.0


@asynccontextmanager
async def retention(app: web.Application) -> AsyncIterator[None]:
    """Delete what is old while the context lasts. It comes after the `watch` that runs its task."""
    days = app[SETTINGS].job_retention_days
    if days is None:
        yield
        return
    forgetting = forget_old(
        app[STORE],
        app.get(ARCHIVE),
        days=days,
        now=app[CLOCK].now,
        metrics=app[METRICS],
        note=app[LOGS].note,
    )
    async with app[WATCH].running("retention", forgetting):
        yield


async def forget_old(
    store: JobStore,
    archive: Archive | None,
    *,
    days: int,
    now: Callable[[], float],
    metrics: Metrics,
    note: Note,
) -> None:
    """Delete what is older than so many days, once an hour, until cancelled."""
    rounds = metrics.background("retention")
    async for _ in every(PERIOD_S, first_s=random.uniform(*FIRST_S)):  # noqa: S311 - not a secret
        before = now() - days * DAY_S
        with suppress(StoreError, ArchiveError), rounds:
            jobs = await store.forget(before)
            files = 0 if archive is None else await archive.forget(before - MARGIN_S)
            if jobs or files:
                note("jobs.forgotten", jobs=jobs, files=files)
