"""Images on their way into the archive."""

from dataclasses import replace

from tests.transitions.facts import (
    BOUGHT,
    FAULT,
    LATE,
    RUNNING,
    TWO,
    accepted,
    after,
    delivered,
    failed,
    of,
    stopped,
    submitted,
    submitting,
)

from taxiway.facts import (
    Delivered,
    Kept,
    Stored,
)
from taxiway.jobs import (
    AttemptStatus,
    JobStatus,
    Phase,
)
from taxiway.transitions import advance


def to_keep(attempt: int = 0) -> Delivered:
    return replace(delivered(attempt), keep=True)


def kept(image: int = 0, *, archived: str | None = "day/job_1/0.png", **seen: str) -> Kept:
    return Kept(image=image, archived=archived, **seen)  # type: ignore[arg-type]


class TestStoring:
    """Images that are to be kept are stored between the last delivery and the end."""

    def test_the_last_delivery_leads_to_storing(self) -> None:
        """The job goes on until its images are stored; its tasks, and its cost, are final already."""
        job = after(accepted(), *RUNNING, to_keep())

        assert of(job, "status", "phase", "progress", "finished_at") == (
            *(JobStatus.IN_PROGRESS, Phase.STORING, 99, None),
        )
        assert of(job.attempts[0], "status", "credits") == (AttemptStatus.COMPLETED, 8)

    def test_a_failure_after_a_delivery_leads_to_storing_too(self) -> None:
        """Whatever the last part comes to, what was delivered before is stored."""
        job = after(accepted(TWO), *BOUGHT, submitting(1), submitted(1), to_keep(), failed(1))

        assert (job.phase, len(job.images)) == (Phase.STORING, 1)

    def test_a_stored_image_is_what_its_bytes_say(self) -> None:
        """Size, type and digest come from the bytes, and the job has the size of its first image."""
        job = after(accepted(), *RUNNING, to_keep())
        done = after(job, Stored(images=(kept(size="7x7", content_type="image/webp", digest="d"),)))

        assert of(done, "status", "phase", "size", "progress") == (
            *(JobStatus.COMPLETED, None, "7x7", 100),
        )
        assert of(done.images[0], "keep", "archived", "size", "content_type", "digest") == (
            *(False, "day/job_1/0.png", "7x7", "image/webp", "d"),
        )

    def test_an_image_that_was_not_stored_stays_as_it_was(self) -> None:
        """The job completes with the provider's address, and with its word for the rest."""
        job = after(accepted(), *RUNNING, to_keep())
        done = after(job, Stored(images=(kept(archived=None),)))
        unseen = after(job, Stored(images=()))

        assert done.status is unseen.status is JobStatus.COMPLETED
        assert done.images == unseen.images == (replace(job.images[0], keep=False),)

    def test_nothing_is_stored_at_another_time(self) -> None:
        """Before all is delivered, and after the end, the news changes nothing."""
        running, ended = after(accepted(), *RUNNING), after(accepted(), *RUNNING, delivered())

        for job in (running, ended):
            assert advance(job, Stored(images=(kept(),)), at=200.0) is job

    def test_a_deadline_stores_what_is_there(self) -> None:
        """Of two parts one is delivered: with its image still to be stored, the job is not yet at its end."""
        job = after(accepted(TWO), *BOUGHT, submitting(1), submitted(1), to_keep())
        late = advance(job, replace(stopped(JobStatus.FAILED, LATE), keep=True), at=700.0)
        done = advance(late, Stored(images=(kept(),)), at=701.0)

        assert of(late, "status", "phase") == (JobStatus.IN_PROGRESS, Phase.STORING)
        assert late.attempts[1].status is AttemptStatus.CANCELLED
        assert of(done, "status", "error") == (JobStatus.COMPLETED, None)

    def test_an_end_that_does_not_wait_completes_at_once(self) -> None:
        """A fault of ours ends the job with what there is, stored or not."""
        job = after(accepted(), *RUNNING, to_keep(), stopped(JobStatus.FAILED, FAULT))

        assert of(job, "status", "error", "phase") == (JobStatus.COMPLETED, None, None)
