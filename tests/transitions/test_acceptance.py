"""A request becomes a job, and its attempts are submitted."""

import pytest
from tests.transitions.facts import (
    BOUGHT,
    LOST,
    REFUSED,
    REQUEST,
    TWO,
    UNPRICED,
    accepted,
    after,
    of,
    submitted,
    submitting,
)

from taxiway.facts import (
    Refused,
    SubmissionLost,
)
from taxiway.jobs import (
    Attempt,
    AttemptStatus,
    CreditsSource,
    Job,
    JobStatus,
    Moment,
    Part,
    Phase,
    new_job_id,
)
from taxiway.transitions import advance


class TestAcceptance:
    """A request becomes a job."""

    def test_a_new_job_waits_at_revision_one(self) -> None:
        """A job begins queued, with the plan's parts and nothing attempted."""
        expected = Job(
            id="job_1",
            revision=1,
            status=JobStatus.QUEUED,
            phase=Phase.QUEUED,
            request=REQUEST,
            size="1920x1080",
            parts=(Part(images=1, credits=8),),
            created_at=100.0,
            deadline_at=700.0,
            timeline=(Moment(at=100.0, status=JobStatus.QUEUED, phase=Phase.QUEUED),),
        )

        assert expected == accepted()

    def test_a_new_job_costs_its_estimate(self) -> None:
        """Before anything is attempted the cost is the plan's, and not final."""
        job = accepted(TWO)

        assert (16, False) == (job.credits, job.cost_final)

    def test_ids_sort_by_date(self) -> None:
        """Ids made later sort later, so that they can serve as a second key beside the date."""
        ids = [new_job_id(1_795_445_754.0 + i / 1000) for i in range(50)]

        assert sorted(ids) == ids

    def test_an_id_is_a_version_7_uuid(self) -> None:
        """An id is `job_` and a UUIDv7: version 7, variant 10."""
        prefix, _, digits = new_job_id(1_795_445_754.0).partition("_")

        assert ("job", 32, "7", True) == (prefix, len(digits), digits[12], digits[16] in "89ab")


class TestSubmitting:
    """A task is about to be bought, is bought, is refused, or nobody knows."""

    def test_a_submission_opens_an_attempt(self) -> None:
        """The attempt is on record, at the list's price, before the submission leaves."""
        job = after(accepted(), submitting())

        expected = Attempt(
            index=0,
            part=0,
            images=1,
            deployment="east",
            provider="runwayml",
            model="gen4_image",
            phase=Phase.SUBMITTING,
            credits=8,
            credits_source=CreditsSource.CATALOGUE,
        )
        assert (expected,) == job.attempts
        assert (2, JobStatus.IN_PROGRESS, Phase.SUBMITTING, 101.0) == of(
            job, "revision", "status", "phase", "started_at"
        )

    def test_an_unknown_price_stays_unknown(self) -> None:
        """A part without a price costs None, never zero."""
        job = after(accepted(UNPRICED), submitting())

        assert (None, None) == (job.credits, job.attempts[0].credits_source)

    def test_a_bought_task_is_named(self) -> None:
        """The provider's id, date and estimate are kept as soon as it took the task."""
        job = after(accepted(), submitting(), submitted(estimate=7))

        (attempt,) = job.attempts
        assert ("task-0", 102.0, Phase.PROVIDER_QUEUE, 7, CreditsSource.ESTIMATED) == of(
            attempt, "upstream_id", "submitted_at", "phase", "credits", "credits_source"
        )
        assert Phase.PROVIDER_QUEUE is job.phase

    def test_a_provider_without_an_estimate_leaves_the_list_price(self) -> None:
        """Where the provider gives no estimate, the list's stands, under its own name."""
        (attempt,) = after(accepted(), *BOUGHT).attempts

        assert (8, CreditsSource.CATALOGUE) == (attempt.credits, attempt.credits_source)

    def test_a_refusal_that_may_be_repeated_waits(self) -> None:
        """A submission that was turned away waits in the same attempt, and is counted."""
        job = after(accepted(), submitting(), Refused(attempt=0), submitting(), Refused(attempt=0))

        (attempt,) = job.attempts
        assert (JobStatus.IN_PROGRESS, Phase.QUEUED, 2, AttemptStatus.IN_PROGRESS) == (
            *of(job, "status", "phase"),
            *of(attempt, "refusals", "status"),
        )

    def test_a_repeat_may_go_elsewhere(self) -> None:
        """The same attempt may be submitted to another deployment after a refusal."""
        job = after(
            accepted(), submitting(), Refused(attempt=0), submitting(deployment="west"), submitted()
        )

        (attempt,) = job.attempts
        assert ("west", "task-0", 1, 101.0) == (
            *of(attempt, "deployment", "upstream_id", "refusals"),
            job.started_at,
        )

    def test_an_attempt_is_of_one_part(self) -> None:
        """A submission for one part under the attempt of another is refused: it would hide a bought task."""
        job = after(accepted(TWO), submitting(0, part=0))

        with pytest.raises(ValueError, match=r"^attempt 0 is of part 0, not 1$"):
            advance(job, submitting(0, part=1), at=102.0)

    def test_a_refusal_for_good_fails_the_job_and_costs_nothing(self) -> None:
        """A refused submission certainly cost nothing, and the job bears the refusal's error."""
        job = after(accepted(), submitting(), Refused(attempt=0, error=REFUSED))

        assert (JobStatus.FAILED, REFUSED, 0, True, AttemptStatus.REFUSED) == (
            *of(job, "status", "error", "credits", "cost_final"),
            job.attempts[0].status,
        )

    def test_a_lost_submission_may_have_cost_its_estimate(self) -> None:
        """Where nobody knows whether a task was bought, the job fails and its cost stays an estimate."""
        job = after(accepted(), submitting(), SubmissionLost(attempt=0, error=LOST))

        assert (JobStatus.FAILED, LOST, 8, False, AttemptStatus.UNKNOWN) == (
            *of(job, "status", "error", "credits", "cost_final"),
            job.attempts[0].status,
        )
