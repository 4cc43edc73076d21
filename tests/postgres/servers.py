"""PostgreSQL as these chapters meet it: jobs to write, and a server that goes away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from taxiway.errors import StoreError
from taxiway.events import Event
from taxiway.facts import Seen
from taxiway.jobs import GenerationRequest, Job, JobStatus, Part, Phase, Plan
from taxiway.signals import Signal
from taxiway.store import Store
from taxiway.transitions import accept, advance

PLAN = Plan(size="1920x1080", parts=(Part(images=1, credits=8),))


Opener = Callable[..., Awaitable[Store]]


@asynccontextmanager
async def server_down(server: Any) -> AsyncIterator[None]:
    """Let the server be down."""
    await asyncio.to_thread(server.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


async def cut_off(psql: Any) -> None:
    """End every connection but the operator's."""
    await psql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def new_job(number: int, *, model: str = "gen4-image") -> Job:
    return accept(
        GenerationRequest(model=model, prompt="A lighthouse."),
        PLAN,
        id=f"job_{number:04}",
        at=float(number),
        deadline_at=1000.0,
    )


def running(job: Job, revision: int = 2) -> Job:
    return replace(job, revision=revision, status=JobStatus.IN_PROGRESS, phase=Phase.PROVIDER_QUEUE)


def event(job: Job) -> Event:
    return Event(job=job, at=job.created_at)


async def until_it_works(call: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat a call as the journal does, until the store takes it."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await call()
            except StoreError:
                await asyncio.sleep(0.05)


OWNER = "SELECT owner FROM jobs WHERE id = 'job_0001'"


#: Has the commit of the first job take so long that its answer is given up, and succeed all the same.
LATE_ANSWER = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(3);
    RETURN NULL;
EXCEPTION WHEN query_canceled THEN
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON jobs DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.id = 'job_0001') EXECUTE FUNCTION dawdle();
"""


async def until_there(store: Store, job_id: str) -> Job:
    """A job, as soon as it is there."""
    async with asyncio.timeout(20):
        while (job := await store.get(job_id)) is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    return job


def tick_of(job: Job, progress: float) -> Event:
    """The event of a poll that found progress and nothing else."""
    fact = Seen(attempt=0, phase=job.attempts[0].phase, progress=progress)
    return Event(job=advance(job, fact, at=9.0), before=job, fact=fact, at=9.0)


async def heard_some(heard: list[Signal], expected: Signal, *, times: int = 1) -> None:
    """Return when a signal was heard so many times."""
    async with asyncio.timeout(20):
        while heard.count(expected) < times:  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0.01)
