"""The books: what every step of a job does to them, and that they always add up to what the job says."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxiway.facts import (
    Again,
    CancelRequested,
    Delivered,
    Fact,
    Failed,
    Output,
    Refused,
    Seen,
    Stopped,
    SubmissionLost,
    Submitted,
    Submitting,
)
from taxiway.jobs import (
    Attempt,
    AttemptStatus,
    CreditsSource,
    GenerationRequest,
    Job,
    JobError,
    JobStatus,
    Part,
    Phase,
    Plan,
)
from taxiway.ledger import Entry, EntryKind, entries, summarised
from taxiway.transitions import accept, advance

ERROR = JobError(code="provider_failed", message="The provider failed.")


def new_job(*prices: int | None) -> Job:
    """A queued job with a part for each price."""
    return accept(
        GenerationRequest(model="gen4", prompt="A lighthouse.", n=len(prices)),
        Plan(size=None, parts=tuple(Part(images=1, credits=price) for price in prices)),
        id="job_1",
        at=0.0,
        deadline_at=1000.0,
    )


def submitting(attempt: int = 0, part: int = 0, *, at: str = "d1") -> Submitting:
    return Submitting(
        attempt=attempt, part=part, deployment=at, provider="runwayml", model="gen4_image"
    )


def submitted(attempt: int = 0, credits: int | None = 6) -> Submitted:  # noqa: A002 - the trade's word
    return Submitted(attempt=attempt, upstream_id=f"task-{attempt}", credits=credits)


def delivered(attempt: int = 0, credits: int | None = 5) -> Delivered:  # noqa: A002 - as above
    output = Output(url="https://example.com/1.png", size=None, content_type="image/png")
    return Delivered(attempt=attempt, outputs=(output,), credits=credits)


def failed(attempt: int = 0, credits: int | None = 0, *, again: bool = False) -> Failed:  # noqa: A002 - as above
    return Failed(
        attempt=attempt,
        error=ERROR,
        credits=credits,
        retry=Again.YES if again else Again.NEVER,
        again=again,
    )


def after(job: Job, *facts: Fact) -> Job:
    """The job after some facts."""
    for fact in facts:
        job = advance(job, fact, at=1.0)
    return job


def booked(job: Job, *facts: Fact) -> list[tuple[str, int, int | None, bool]]:
    """Kind, reservation, charge and exactness of what the last of some facts books."""
    *before, last = facts
    earlier = after(job, *before)
    made = entries(after(earlier, last), before=earlier, at=1.0)
    return [(e.kind.value, e.reserved_credits, e.charged_credits, e.exact) for e in made]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param([submitting()], [("reserve", 8, 0, True)], id="opened"),
        pytest.param([submitting(), submitted()], [("adjust", -2, 0, True)], id="estimated"),
        pytest.param([submitting(), submitted(credits=8)], [], id="estimated the same"),
        pytest.param([submitting(), submitted(credits=None)], [], id="taken without an estimate"),
        pytest.param(
            [submitting(), submitted(), Seen(attempt=0, phase=Phase.RUNNING)], [], id="running"
        ),
        pytest.param(
            [submitting(), submitted(), delivered()], [("settle", -6, 5, True)], id="delivered"
        ),
        pytest.param(
            [submitting(), submitted(), delivered(credits=None)],
            [("settle", -6, 6, False)],
            id="delivered, the charge not told",
        ),
        pytest.param(
            [submitting(), submitted(), failed(credits=3)],
            [("settle", -6, 3, True)],
            id="failed, and charged",
        ),
        pytest.param([submitting(), Refused(attempt=0)], [], id="turned away for now"),
        pytest.param(
            [submitting(), Refused(attempt=0, error=ERROR)],
            [("settle", -8, 0, True)],
            id="turned away for good",
        ),
        pytest.param(
            [submitting(), SubmissionLost(attempt=0, error=ERROR)],
            [("settle", -8, 8, False)],
            id="the answer lost",
        ),
        pytest.param(
            [submitting(), submitted(), Stopped(status=JobStatus.CANCELLED, error=ERROR)],
            [("settle", -6, 6, False)],
            id="stopped while it ran",
        ),
        pytest.param(
            [submitting(), Refused(attempt=0), Stopped(status=JobStatus.FAILED, error=ERROR)],
            [("settle", -8, 0, True)],
            id="stopped before it was taken",
        ),
        pytest.param([submitting(), CancelRequested()], [], id="asked to stop"),
        pytest.param(
            [submitting(), submitted(), failed(again=True), submitting(1)],
            [("reserve", 8, 0, True)],
            id="a second attempt",
        ),
        pytest.param(
            [submitting(), Refused(attempt=0), submitting(at="d2")],
            [("adjust", -8, 0, True), ("adjust", 8, 0, True)],
            id="submitted again elsewhere",
        ),
        pytest.param(
            [submitting(), Refused(attempt=0), submitting()], [], id="submitted again there"
        ),
    ],
)
def test_a_step_is_booked(
    facts: Sequence[Fact], expected: list[tuple[str, int, int | None, bool]]
) -> None:
    """Each step books what it does to the reservation and to the charge, and no other step books anything."""
    assert expected == booked(new_job(8), *facts)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param([submitting()], [("reserve", 0, 0, True)], id="opened"),
        pytest.param([submitting(), submitted()], [("adjust", 6, 0, True)], id="estimated"),
        pytest.param(
            [submitting(), SubmissionLost(attempt=0, error=ERROR)],
            [("settle", 0, None, False)],
            id="the answer lost",
        ),
    ],
)
def test_an_unknown_price_is_not_zero(
    facts: Sequence[Fact], expected: list[tuple[str, int, int | None, bool]]
) -> None:
    """Where nobody knows a price nothing is reserved, and a charge that nobody can know is None."""
    assert expected == booked(new_job(None), *facts)


def test_an_entry_says_what_it_is_about() -> None:
    """An entry names the job, the attempt, the day, the models, the deployment, the task and the source."""
    before = after(new_job(8), submitting(), submitted())

    assert (
        Entry(
            job_id="job_1",
            attempt=0,
            at=1_795_445_754.21,
            kind=EntryKind.SETTLE,
            reserved_credits=-6,
            charged_credits=5,
            reserved_microusd=-60_000,
            charged_microusd=50_000,
            exact=True,
            source=CreditsSource.CHARGED,
            model="gen4",
            upstream_model="gen4_image",
            deployment="d1",
            upstream_id="task-0",
        ),
    ) == tuple(entries(after(before, delivered()), before=before, at=1_795_445_754.21))


@pytest.mark.parametrize(
    ("at", "day"),
    [
        pytest.param(0.0, "1970-01-01", id="the first second"),
        pytest.param(1_795_391_999.99, "2026-11-22", id="the last of a day"),
        pytest.param(1_795_392_000.0, "2026-11-23", id="the first of the next"),
    ],
)
def test_a_day_is_utc(at: float, day: str) -> None:
    """An entry belongs to a day in UTC, wherever the machine stands."""
    (entry,) = entries(after(new_job(8), submitting()), before=None, at=at)

    assert day == entry.day


def any_history(seed: int) -> list[Job]:
    """A job's states from acceptance to some end, as chance would have it."""
    chance = random.Random(seed)
    jobs = [new_job(*(chance.choice((8, 5, None)) for _ in range(chance.randint(1, 3))))]
    for _ in range(chance.randint(1, 40)):
        job = jobs[-1]
        open_ones = [a for a in job.attempts if a.status is AttemptStatus.IN_PROGRESS]
        facts = [next_submission(job, chance), *(next_fact(a, chance) for a in open_ones)]
        if chance.random() < 0.05:
            facts = [Stopped(status=JobStatus.FAILED, error=ERROR)]
        fact = chance.choice([fact for fact in facts if fact is not None] or [CancelRequested()])
        jobs.append(advance(job, fact, at=1.0))
    return jobs


def next_submission(job: Job, chance: random.Random) -> Submitting | None:
    last = {attempt.part: attempt for attempt in job.attempts}
    free = [part for part in range(len(job.parts)) if part not in last or last[part].again]
    if not free:
        return None
    return submitting(len(job.attempts), chance.choice(free), at=chance.choice(("d1", "d2")))


def next_fact(attempt: Attempt, chance: random.Random) -> Fact:
    i, price = attempt.index, chance.choice((0, 3, 6, None))
    if attempt.upstream_id is None:
        again = replace(submitting(i, attempt.part), deployment=chance.choice(("d1", "d2")))
        lost, refused = SubmissionLost(attempt=i, error=ERROR), Refused(attempt=i, error=ERROR)
        return chance.choice((submitted(i, price), Refused(attempt=i), refused, lost, again))
    seen = Seen(attempt=i, phase=Phase.RUNNING, progress=chance.random())
    return chance.choice((seen, delivered(i, price), failed(i, price, again=chance.random() < 0.5)))


@given(seed=st.integers(0, 10**9), gaps=st.integers(1, 5))
def test_the_books_say_what_the_job_says(seed: int, gaps: int) -> None:
    """At any moment reservations are what open attempts may cost, and charges what ended ones did, step by step.

    So it is too when steps are booked together, as a store does that could not be reached for a while.
    """
    jobs = any_history(seed)
    steps = [jobs[0], *jobs[1:-1:gaps], jobs[-1]]
    made: list[Entry] = []
    for before, job in zip([None, *steps], steps, strict=False):
        made += entries(job, before=before, at=1.0)
        open_ones = [a for a in job.attempts if a.status is AttemptStatus.IN_PROGRESS]
        ended = [a for a in job.attempts if a.status is not AttemptStatus.IN_PROGRESS]
        usage = summarised((), made)

        assert (
            sum(a.credits or 0 for a in open_ones),
            sum(a.credits or 0 for a in ended),
            len(ended),
            sum(a.microusd or 0 for a in open_ones),
            sum(a.microusd or 0 for a in ended),
            sum(a.microusd is None for a in ended),
        ) == (
            usage.reserved_credits,
            usage.charged_credits + usage.estimated_credits,
            usage.attempts,
            usage.reserved_microusd,
            usage.spent_microusd,
            usage.unknown,
        )
        assert sorted(a.index for a in ended) == sorted(
            entry.attempt for entry in made if entry.kind is EntryKind.SETTLE
        )


@given(seed=st.integers(0, 10**9))
def test_no_deployment_keeps_a_reservation(seed: int) -> None:
    """When a job has ended, nothing is reserved at any deployment, wherever its submissions have been."""
    jobs = any_history(seed)
    jobs.append(advance(jobs[-1], Stopped(status=JobStatus.CANCELLED, error=ERROR), at=2.0))
    made = [
        entry
        for before, job in zip([None, *jobs], jobs, strict=False)
        for entry in entries(job, before=before, at=1.0)
    ]

    assert {0} | {
        summarised((), [e for e in made if e.deployment == place]).reserved_credits
        for place in ("d1", "d2")
    } == {0}


def test_a_price_of_ones_own_is_what_is_booked() -> None:
    """A deployment's own price counts, with the credits beside it; what failed costs what Runway took."""
    (part,) = new_job(8).parts
    priced = replace(new_job(8), parts=(replace(part, price_microusd=31_250),))
    under_way = after(priced, submitting(), submitted())
    made = replace(delivered(), price_microusd=31_250)

    assert [
        (-31_250, 31_250, 5),
        (-31_250, 0, 0),
        (-31_250, 20_000, 2),
    ] == [
        (entry.reserved_microusd, entry.charged_microusd, entry.charged_credits)
        for fact in (made, failed(credits=0), failed(credits=2))
        for entry in entries(after(under_way, fact), before=under_way, at=1.0)
    ]


def test_a_provider_without_credits() -> None:
    """A price in money alone is booked as such; without one, the charge is unknown, and never zero."""
    under_way = after(new_job(None), submitting(), submitted(credits=None))
    ends = [replace(delivered(credits=None), price_microusd=price) for price in (40_000, None)]
    usage = summarised(
        (), [e for end in ends for e in entries(after(under_way, end), before=under_way, at=1.0)]
    )

    assert (40_000, 0, 1) == (usage.spent_microusd, usage.charged_credits, usage.unknown)
