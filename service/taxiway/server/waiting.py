"""Callers who wait for an image: until it is there, until their patience ends, or until they have left."""

import asyncio
from collections.abc import Mapping
from enum import StrEnum

from aiohttp import web

from taxiway.errors import StoreError
from taxiway.jobs import Job
from taxiway.server.followers import Caller, CloseReason
from taxiway.server.keys import JOURNAL, LOGS, RUNNER, STORE, SWEEP
from taxiway.topics import Topic


class Outcome(StrEnum):
    """What ended a wait."""

    ENDED = "ended"
    """The job has come to its end, a bad one perhaps."""
    TIMED_OUT = "timed_out"
    """The caller wanted to wait no longer."""
    CLIENT_LEFT = "client_left"
    """Nobody reads the answer. What the settings want done with the job is done."""
    DRAINING = "draining"
    """The service is stopping and its patience has run out."""


_OUTCOMES: Mapping[CloseReason | None, Outcome] = {
    CloseReason.MAX_AGE: Outcome.TIMED_OUT,
    CloseReason.CLIENT_GONE: Outcome.CLIENT_LEFT,
    CloseReason.DRAINING: Outcome.DRAINING,
}

#: Why a handler ends whose client gets no answer.
_DEPARTURES = (CloseReason.CLIENT_GONE, CloseReason.SLOW_CONSUMER)


class _Waiter(Caller):
    """A caller whom nothing but the end of a job concerns."""

    __slots__ = ()

    def told(self, topic: Topic) -> bool:
        """Wake at the end."""
        if topic.job.final:
            self.wake()
        return True


async def wait_for_end(
    request: web.Request, job_id: str, *, limit_s: float | None = None
) -> tuple[Job, Outcome]:
    """Wait for a job's end on behalf of a request, for at most `limit_s` seconds. Returns the job as it stands.

    Raises `NotFoundError`. A caller who leaves is noticed within a second.
    """
    caller = _Waiter(request.transport)
    loop = asyncio.get_running_loop()
    async with request.app[JOURNAL].follow(job_id, caller) as topic:
        timer = None
        if limit_s is not None:
            timer = loop.call_later(max(0.0, limit_s), caller.leave, CloseReason.MAX_AGE)
        try:
            with request.app[SWEEP].watching(caller):
                while not topic.job.final and caller.leaving is None:
                    await caller.wait()
        finally:
            if timer is not None:
                timer.cancel()
        if topic.job.final:
            if caller.gone:
                await note_departure(request, topic.job)
            return topic.job, Outcome.ENDED
        if caller.gone:  # since the sweep has looked, perhaps
            caller.leaving = CloseReason.CLIENT_GONE
        await see_off(request, caller, topic)
        if limit_s is not None and caller.leaving not in _DEPARTURES:
            # While this one still counts among those who wait: in between nobody would hold the job.
            await promise(request, topic.job)
        return topic.job, _OUTCOMES[caller.leaving]


async def see_off(request: web.Request, caller: Caller, topic: Topic) -> None:
    """Note that a caller has left, and stop the job where that is wanted and nobody else expects it.

    Those who wait are known for this process alone; who was given the job's id, the job's row says to all.
    """
    if caller.leaving not in _DEPARTURES:
        return
    await note_departure(request, topic.job)
    wanted = topic.job.policy.on_disconnect or request.app[RUNNER].settings.on_disconnect
    if wanted != "cancel" or _expected(topic) or await _promised(request, topic.job):
        return
    if not _expected(topic):  # by somebody who has come meanwhile
        await request.app[RUNNER].cancel(topic.job.id)


async def promise(request: web.Request, job: Job) -> None:
    """Remember that a caller is about to be given the job's id for an answer: no hang-up cancels it from now on.

    A store that fails does not keep the answer back: the job is there, and hardly anybody hangs up on it.
    """
    if job.final:
        return
    try:
        await request.app[STORE].promised(job.id)
    except StoreError as error:
        request.app[LOGS].note("store.failed", job_id=job.id, error=str(error))


async def _promised(request: web.Request, job: Job) -> bool:
    try:
        return await request.app[STORE].is_promised(job.id)
    except StoreError as error:
        request.app[LOGS].note("store.failed", job_id=job.id, error=str(error))
        return True  # rather an image too many than a promise broken


async def note_departure(request: web.Request, job: Job) -> None:
    """Remember that a caller went without an answer: a client library that asks again by itself finds its job."""
    try:
        await request.app[STORE].departed(job.id)
    except StoreError as error:
        request.app[LOGS].note("store.failed", job_id=job.id, error=str(error))


def _expected(topic: Topic) -> bool:
    """Whether the job has ended, or somebody who has not left waits for it, or for an answer without it."""
    return topic.job.final or any(_waits(other) for other in topic.followers)


def _waits(follower: object) -> bool:
    return isinstance(follower, Caller) and follower.patient and follower.leaving not in _DEPARTURES
