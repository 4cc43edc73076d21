"""How a job ends: delivered, failed, in parts, or stopped."""

from dataclasses import replace

import pytest
from tests.transitions.facts import (
    BOUGHT,
    BROKEN,
    CALLED_OFF,
    FAULT,
    LATE,
    MODERATED,
    RUNNING,
    TWO,
    accepted,
    after,
    delivered,
    failed,
    of,
    seen,
    stopped,
    submitted,
    submitting,
)

from taxiway.facts import (
    CancelRequested,
    Fact,
    Refused,
)
from taxiway.jobs import (
    AttemptStatus,
    CreditsSource,
    Image,
    JobError,
    JobStatus,
    Phase,
)
from taxiway.transitions import advance


class TestEnding:
    """Tasks come to their end, and the job with them."""

    def test_a_delivered_image_completes_the_job(self) -> None:
        """A delivery is the job's end: image, size, charge and a progress of 100."""
        job = after(accepted(), *RUNNING, delivered(charge=5, size="1280x720"))

        image = Image(
            index=0,
            attempt=0,
            url="https://cdn/0.png",
            size="1280x720",
            content_type="image/png",
        )
        assert (JobStatus.COMPLETED, None, 100, 104.0, "1280x720", (image,), None) == of(
            job, "status", "phase", "progress", "finished_at", "size", "images", "error"
        )
        assert (5, True) == (job.credits, job.cost_final)

    def test_an_attempt_that_delivered_is_closed(self) -> None:
        """The attempt keeps what was charged, when it ended and how many polls it took."""
        (attempt,) = after(accepted(), *RUNNING, delivered(charge=5)).attempts

        assert (AttemptStatus.COMPLETED, 1.0, 104.0, 5, CreditsSource.CHARGED, 4) == of(
            attempt, "status", "progress", "finished_at", "credits", "credits_source", "polls"
        )

    def test_an_unmeasured_image_keeps_the_planned_size(self) -> None:
        """Where nobody has looked at the bytes, the size is the one that was planned."""
        assert "1920x1080" == after(accepted(), *RUNNING, delivered(size=None)).size

    def test_a_charge_not_reported_stays_an_estimate(self) -> None:
        """A provider that does not say what it charged leaves the estimate, called so."""
        job = after(accepted(), submitting(), submitted(estimate=7), delivered(charge=None))

        assert (7, False) == (job.credits, job.cost_final)

    def test_a_failed_task_fails_the_job(self) -> None:
        """A failure for good is the job's, and the provider's text stays with the attempt."""
        job = after(accepted(), *RUNNING, failed())

        assert (JobStatus.FAILED, BROKEN, 25, 0, True) == of(
            job, "status", "error", "progress", "credits", "cost_final"
        )
        assert (AttemptStatus.FAILED, "Out of memory", BROKEN) == of(
            job.attempts[0], "status", "failure", "error"
        )

    def test_a_failure_to_be_repeated_is_not_the_end(self) -> None:
        """A failed attempt that another follows puts the job back into the queue, its progress kept."""
        job = after(accepted(), *RUNNING, failed(again=True))

        assert (JobStatus.IN_PROGRESS, Phase.QUEUED, None, 25, None) == of(
            job, "status", "phase", "error", "progress", "finished_at"
        )

    def test_the_cost_to_come_is_part_of_the_estimate(self) -> None:
        """Between a failure that was free and the next attempt, the job still costs its estimate."""
        assert 8 == after(accepted(), *RUNNING, failed(charge=0, again=True)).credits

    def test_a_second_attempt_completes_the_job(self) -> None:
        """The next attempt of a part is an attempt of its own, and both are paid."""
        job = after(
            accepted(),
            *(*RUNNING, failed(charge=3, again=True)),
            *(submitting(1, part=0), submitted(1), delivered(1)),
        )

        assert (JobStatus.COMPLETED, 11, True, None) == of(
            job, "status", "credits", "cost_final", "error"
        )
        assert [(0, AttemptStatus.FAILED), (0, AttemptStatus.COMPLETED)] == [
            (attempt.part, attempt.status) for attempt in job.attempts
        ]

    def test_a_second_failure_is_the_end(self) -> None:
        """The last attempt of a part decides."""
        job = after(
            accepted(), *RUNNING, failed(again=True), submitting(1, part=0), submitted(1), failed(1)
        )

        assert (JobStatus.FAILED, BROKEN) == (job.status, job.error)


class TestFanOut:
    """A job that takes several tasks."""

    ALL = (submitting(0), submitting(1), submitted(0), submitted(1))

    def test_the_phase_is_the_furthest(self) -> None:
        """A job is as far as the part that is furthest."""
        job = after(accepted(TWO), *self.ALL, seen(0.1, attempt=1))

        assert Phase.RUNNING is job.phase

    def test_the_progress_is_the_mean(self) -> None:
        """Parts count alike, those not begun included."""
        job = after(accepted(TWO), submitting(0), submitted(0), seen(0.5))

        assert 25 == job.progress

    def test_the_first_image_does_not_end_the_job(self) -> None:
        """An image that is ready is shown at once; the job goes on with the rest."""
        job = after(accepted(TWO), *self.ALL, delivered(1))

        assert (JobStatus.IN_PROGRESS, 50, 1, None) == (
            *of(job, "status", "progress"),
            len(job.images),
            job.finished_at,
        )

    def test_images_are_numbered_as_they_come(self) -> None:
        """The images of all parts are numbered in one row, and say which attempt made them."""
        job = after(accepted(TWO), *self.ALL, delivered(1), delivered(0))

        assert (JobStatus.COMPLETED, 16) == (job.status, job.credits)
        assert [(0, 1), (1, 0)] == [(image.index, image.attempt) for image in job.images]

    @pytest.mark.parametrize(
        "facts",
        [
            pytest.param((failed(0), delivered(1)), id="failed first"),
            pytest.param((delivered(1), failed(0)), id="failed last"),
        ],
    )
    def test_one_image_is_enough(self, facts: tuple[Fact, ...]) -> None:
        """A job completes with the images that succeeded."""
        job = after(accepted(TWO), *self.ALL, *facts)

        assert (JobStatus.COMPLETED, None, 1, 100, 8) == (
            *of(job, "status", "error"),
            len(job.images),
            *of(job, "progress", "credits"),
        )

    def test_it_fails_only_when_all_failed(self) -> None:
        """A job without any image bears the error of its first part, whichever failed last."""
        moderated = replace(failed(0), error=MODERATED)
        job = after(accepted(TWO), *self.ALL, failed(1), moderated)

        assert (JobStatus.FAILED, MODERATED) == (job.status, job.error)

    def test_a_part_not_begun_keeps_it_open(self) -> None:
        """A job whose first part is ready before the second has begun waits for the second."""
        job = after(accepted(TWO), *BOUGHT, delivered())

        assert (JobStatus.IN_PROGRESS, Phase.QUEUED, 16) == (job.status, job.phase, job.credits)

    def test_one_unknown_price_makes_the_sum_unknown(self) -> None:
        """A sum with an unknown part is unknown."""
        job = after(accepted(TWO), *self.ALL, delivered(0), delivered(1))
        attempts = (job.attempts[0], replace(job.attempts[1], credits=None, credits_source=None))

        assert (None, False) == (
            replace(job, attempts=attempts).credits,
            replace(job, attempts=attempts).cost_final,
        )


class TestStopping:
    """A job ends from outside."""

    def test_a_wish_to_cancel_is_noted_once(self) -> None:
        """The first wish to cancel is a revision; the second changes nothing."""
        job = after(accepted(), *RUNNING, CancelRequested())

        assert (5, 104.0, JobStatus.IN_PROGRESS, Phase.RUNNING) == of(
            job, "revision", "cancel_requested_at", "status", "phase"
        )
        assert job is advance(job, CancelRequested(), at=110.0)

    def test_an_image_beats_a_wish_to_cancel(self) -> None:
        """A task that delivers before it could be stopped completes the job: it is paid for."""
        job = after(accepted(), *RUNNING, CancelRequested(), delivered())

        assert JobStatus.COMPLETED is job.status

    def test_a_cancelled_task_costs_its_estimate(self) -> None:
        """Nobody reports what a deleted task cost, so the estimate stands and is called one."""
        job = after(accepted(), *RUNNING, stopped(JobStatus.CANCELLED, CALLED_OFF))

        assert (JobStatus.CANCELLED, CALLED_OFF, 8, False, AttemptStatus.CANCELLED, 104.0) == (
            *of(job, "status", "error", "credits", "cost_final"),
            *of(job.attempts[0], "status", "finished_at"),
        )

    @pytest.mark.parametrize(
        "facts",
        [
            pytest.param((), id="nothing attempted"),
            pytest.param((submitting(), Refused(attempt=0)), id="turned away, waiting"),
        ],
    )
    def test_what_was_not_bought_costs_nothing(self, facts: tuple[Fact, ...]) -> None:
        """A job that is stopped while it waits to buy cost nothing, and that is final."""
        job = after(accepted(), *facts, stopped(JobStatus.CANCELLED, CALLED_OFF))

        assert (JobStatus.CANCELLED, 0, True) == (job.status, job.credits, job.cost_final)

    def test_a_submission_without_an_answer_stays_unknown(self) -> None:
        """Stopping a job whose submission has no answer yet does not claim that nothing was bought."""
        job = after(accepted(), submitting(), stopped(JobStatus.FAILED, FAULT))

        assert (AttemptStatus.UNKNOWN, 8, False) == (
            job.attempts[0].status,
            *of(job, "credits", "cost_final"),
        )

    @pytest.mark.parametrize(
        "error",
        [pytest.param(LATE, id="deadline"), pytest.param(FAULT, id="a fault of ours")],
    )
    def test_it_fails_without_an_image(self, error: JobError) -> None:
        """A deadline, or a fault, ends a job that has no image as failed."""
        job = after(accepted(TWO), *RUNNING, stopped(JobStatus.FAILED, error))

        assert (JobStatus.FAILED, error, None, 12) == of(
            job, "status", "error", "phase", "progress"
        )

    def test_a_deadline_delivers_what_is_ready(self) -> None:
        """A deadline that finds finished images completes the job with them: they are paid for."""
        job = after(
            accepted(TWO),
            *(submitting(0), submitting(1), submitted(0), submitted(1), delivered(0)),
            stopped(JobStatus.FAILED, LATE),
        )

        assert (JobStatus.COMPLETED, None, 1, 100, 16, False) == (
            *of(job, "status", "error"),
            len(job.images),
            *of(job, "progress", "credits", "cost_final"),
        )
        assert [AttemptStatus.COMPLETED, AttemptStatus.CANCELLED] == [
            attempt.status for attempt in job.attempts
        ]

    def test_a_cancelled_job_keeps_its_images(self) -> None:
        """Cancelling stays cancelling, but what was paid for is not thrown away."""
        job = after(accepted(TWO), *BOUGHT, delivered(0), stopped(JobStatus.CANCELLED, CALLED_OFF))

        assert (JobStatus.CANCELLED, 1) == (job.status, len(job.images))

    def test_no_attempt_follows_any_more(self) -> None:
        """A job that is stopped between two attempts no longer announces the second."""
        job = after(
            accepted(), *RUNNING, failed(again=True), stopped(JobStatus.CANCELLED, CALLED_OFF)
        )

        assert [False] == [attempt.again for attempt in job.attempts]
