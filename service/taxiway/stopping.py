"""Stopping a job's tasks at the provider, each after a last look: what is finished by then is kept."""

import asyncio
import random

from taxiway.cadence import backoff_s
from taxiway.errors import ProviderUnavailableError, UpstreamTaskGoneError
from taxiway.facts import Delivered, Seen
from taxiway.following import witnesses
from taxiway.frozen import replace
from taxiway.jobs import Attempt, AttemptStatus
from taxiway.routing.stations import Station
from taxiway.work import Work

#: How long stopping a task at the provider may take before the job ends without its word.
STOP_GRACE_S = 10.0


async def stop_tasks(work: Work) -> None:
    """Stop every task of a job that has not ended."""
    for attempt in work.job.attempts:
        if attempt.status is AttemptStatus.IN_PROGRESS and attempt.upstream_id is not None:
            await _stop(work, attempt)


async def _stop(work: Work, attempt: Attempt) -> None:
    asked = witnesses(work, attempt)
    if not asked:
        return
    station = asked[0]
    try:
        async with asyncio.timeout(STOP_GRACE_S):
            # DELETE removes a finished task with its image, so a last look comes first.
            report = await station.provider.poll(work.job, attempt)
            if isinstance(report, Delivered):
                report = replace(report, keep=work.shop.keeper is not None)
            if not isinstance(report, Seen):
                await work.record(report)
                return
    except (ProviderUnavailableError, UpstreamTaskGoneError, TimeoutError):
        pass  # not seen; deleting is right all the same
    try:
        async with asyncio.timeout(STOP_GRACE_S):
            await _delete(work, station, attempt)
    except TimeoutError:
        work.shop.note(
            "upstream.cancel_unconfirmed",
            job_id=work.job_id,
            provider_task_id=attempt.upstream_id,
        )


async def _delete(work: Work, station: Station, attempt: Attempt) -> None:
    tries = 0
    while True:
        try:
            await station.provider.cancel(attempt)
        except ProviderUnavailableError:
            work.shop.instruments.upstream_retry("cancel", "server_error")
            await asyncio.sleep(backoff_s(tries, jitter=random.random()))  # noqa: S311
            tries += 1
        else:
            return
