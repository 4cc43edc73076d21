"""Jobs, what happens to them, and the stores that are told of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields, replace

import pytest

from taxiway.events import Event
from taxiway.facts import Delivered, Fact, Output, Seen, Submitted, Submitting
from taxiway.jobs import GenerationRequest, Job, JobError, JobStatus, Part, Phase, Plan
from taxiway.ledger import Usage
from taxiway.origins import NOBODY, Caller, Origin
from taxiway.store import Store
from taxiway.transitions import accept, advance

PLAN = Plan(size="1920x1080", parts=(Part(images=1, credits=8),))

#: Opens one more store over the same jobs, as another process would. `lease_s` is how long it lasts.
Opener = Callable[..., Awaitable[Store]]

#: Stores that several processes can use at once.
shared = pytest.mark.parametrize("backend", ["memory", "postgres"], indirect=True)


def new_job(number: int, *, model: str = "gen4-image", at: float | None = None) -> Job:
    """A queued job, created at second `number` unless told otherwise."""
    return accept(
        GenerationRequest(model=model, prompt=f"Lighthouse {number}."),
        PLAN,
        id=f"job_{number:04}",
        at=float(number) if at is None else at,
        deadline_at=1000.0,
    )


def later(job: Job, revision: int, status: JobStatus = JobStatus.IN_PROGRESS) -> Job:
    """The job at a later revision: running, or ended with the status."""
    if status is JobStatus.IN_PROGRESS:
        return replace(job, revision=revision, status=status, phase=Phase.RUNNING)
    error = None
    if status is JobStatus.FAILED:
        error = JobError(code="provider_failed", message="The provider failed.")
    return replace(job, revision=revision, status=status, phase=None, finished_at=99.0, error=error)


def event(job: Job) -> Event:
    return Event(job=job, at=job.created_at)


def history(job: Job, *facts: Fact, at: float = 10.0) -> list[Event]:
    """The events that facts make of a job, one a second."""
    events: list[Event] = []
    for i, fact in enumerate(facts):
        after = advance(job, fact, at=at + i)
        events.append(Event(job=after, before=job, fact=fact, at=at + i))
        job = after
    return events


#: A generation for 8 credits by the price list, 6 by the provider's estimate, and 5 in the end.
SUBMITTING = Submitting(attempt=0, part=0, deployment="d1", provider="runwayml", model="gen4_image")
SUBMITTED = Submitted(attempt=0, upstream_id="task-1", credits=6)
RUNNING = Seen(attempt=0, phase=Phase.RUNNING, progress=0.25)
DELIVERED = Delivered(
    attempt=0,
    outputs=(Output(url="https://example.com/1.png", size=None, content_type="image/png"),),
    credits=5,
)
LIFE = (SUBMITTING, SUBMITTED, RUNNING, DELIVERED)


def usage(*group: str, **numbers: int) -> Usage:
    """A row of the books; what is not named is 0, and the money is that of the credits."""
    names = [field.name for field in fields(Usage) if field.name != "group"]
    money = {
        f"{kind}_microusd": numbers.get(f"{kind}_credits", 0) * 10_000
        for kind in ("charged", "estimated", "reserved")
    }
    numbers = money | numbers
    return Usage(group=group, **{**dict.fromkeys(names, 0), **numbers})


#: One generation as it is booked when it has ended.
ONE = {"jobs": 1, "attempts": 1, "tasks": 1, "charged_credits": 5}


async def stored(store: Store, *jobs: Job, origin: Origin = NOBODY) -> None:
    """Create jobs, and bring those with a later revision to it."""
    for job in jobs:
        first = replace(
            job, revision=1, status=JobStatus.QUEUED, phase=Phase.QUEUED, finished_at=None
        )
        await store.create(event(replace(first, error=None)), origin=origin)
        if job.revision > 1:
            await store.record(event(job))


async def recorded(store: Store, *events: Event) -> None:
    """Record events, one after the other."""
    for each in events:
        await store.record(each)


def numbers(jobs: Sequence[Job]) -> list[int]:
    """The numbers of jobs."""
    return [int(job.id.removeprefix("job_")) for job in jobs]


def asked(
    *, scope: str = "", key: str | None = None, fingerprint: str = "f", caller: Caller
) -> Origin:
    """Who asked for a job."""
    return Origin(scope=scope, key_hash=key, fingerprint=fingerprint, caller=caller)


KEYED = asked(key="k", caller=Caller.WAITING)

#: Four models' worth of jobs in every state. Two share a second, so that the id must decide.
POPULATION = [
    new_job(1),
    later(new_job(2), 2),
    later(new_job(3), 4, JobStatus.COMPLETED),
    later(new_job(4), 4, JobStatus.FAILED),
    later(new_job(5, model="other"), 4, JobStatus.CANCELLED),
    new_job(6, model="other", at=5.0),
    later(new_job(7, model="other"), 4, JobStatus.FAILED),
    later(new_job(8), 3),
]
