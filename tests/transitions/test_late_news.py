"""What comes after the end, and what no order of facts can do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.transitions.facts import (
    CALLED_OFF,
    LATE,
    LOST,
    ONE,
    REFUSED,
    RUNNING,
    TWO,
    UNPRICED,
    accepted,
    after,
    delivered,
    failed,
    seen,
    stopped,
    submitted,
    submitting,
)

from taxiway.facts import (
    CancelRequested,
    Fact,
    Refused,
    SubmissionLost,
)
from taxiway.jobs import (
    FINAL,
    Job,
    JobStatus,
    Phase,
    Plan,
)
from taxiway.transitions import advance

#: One of each, about the first attempt.
EVERY_FACT = [
    pytest.param(submitting(), id="submitting"),
    pytest.param(submitted(), id="submitted"),
    pytest.param(Refused(attempt=0, error=REFUSED), id="refused"),
    pytest.param(seen(0.9, phase=Phase.STORING), id="seen"),
    pytest.param(delivered(), id="delivered"),
    pytest.param(failed(), id="failed"),
    pytest.param(SubmissionLost(attempt=0, error=LOST), id="lost"),
    pytest.param(CancelRequested(), id="cancel"),
    pytest.param(stopped(JobStatus.CANCELLED, CALLED_OFF), id="stopped"),
]


class TestLateNews:
    """What has ended does not change."""

    @pytest.mark.parametrize("fact", EVERY_FACT)
    @pytest.mark.parametrize(
        "end",
        [
            pytest.param(delivered(), id="completed"),
            pytest.param(failed(), id="failed"),
            pytest.param(stopped(JobStatus.CANCELLED, CALLED_OFF), id="cancelled"),
        ],
    )
    def test_a_finished_job_stays_as_it_is(self, end: Fact, fact: Fact) -> None:
        """Whatever is reported after a job's end, the very same job is returned."""
        job = after(accepted(), *RUNNING, end)

        assert job is advance(job, fact, at=200.0)

    @pytest.mark.parametrize("fact", EVERY_FACT[:-2])
    def test_a_finished_attempt_stays_as_it_is(self, fact: Fact) -> None:
        """News about an attempt that has ended changes nothing, though the job goes on: no image twice."""
        job = after(accepted(TWO), *RUNNING, delivered())

        assert job is advance(job, fact, at=200.0)


@st.composite
def facts_about(draw: st.DrawFn, job: Job) -> Fact:
    """Anything that may be reported about a job, in any order."""
    numbers = st.sampled_from([attempt.index for attempt in job.attempts] or [0])
    choices: list[st.SearchStrategy[Fact]] = [
        st.just(CancelRequested()),
        st.sampled_from(range(len(job.parts))).map(
            lambda part: submitting(len(job.attempts), part=part)
        ),
    ]
    if job.attempts:
        charges = st.none() | st.integers(0, 20)
        phases = st.sampled_from([Phase.PROVIDER_QUEUE, Phase.THROTTLED, Phase.RUNNING])
        choices += [
            st.builds(submitted, numbers, charges),
            st.builds(seen, st.none() | st.floats(0, 1), attempt=numbers, phase=phases),
            st.builds(delivered, numbers, charges),
            st.builds(failed, numbers, charge=charges, again=st.booleans()),
            st.builds(Refused, attempt=numbers, error=st.none() | st.just(REFUSED)),
            st.builds(SubmissionLost, attempt=numbers, error=st.just(LOST)),
            st.just(stopped(JobStatus.FAILED, LATE)),
        ]
    return draw(st.one_of(choices))


class TestInvariants:
    """What holds whatever happens."""

    @settings(deadline=None)
    @given(data=st.data(), plan=st.sampled_from([ONE, TWO, UNPRICED]))
    def test_every_history_is_sound(self, data: st.DataObject, plan: Plan) -> None:
        """After any facts in any order, revisions and progress never fall and the ends are consistent."""
        job = accepted(plan)
        for seconds in range(data.draw(st.integers(0, 12))):
            before = job
            job = advance(before, data.draw(facts_about(before)), at=101.0 + seconds)

            assert job.revision - before.revision in (0, 1)
            assert before.progress <= job.progress
            assert before.images == job.images[: len(before.images)]
            assert (job.status in FINAL) == (job.finished_at is not None) == (job.phase is None)
            assert (job.status, job.phase) == (job.timeline[-1].status, job.timeline[-1].phase)
            if job.status is JobStatus.COMPLETED:
                assert (100, None, True) == (job.progress, job.error, bool(job.images))
            if job.status is JobStatus.FAILED:
                assert job.error is not None
                assert not job.images
