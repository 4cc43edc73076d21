"""What happened to a job, carrying the whole job after it.

A viewer who has the latest event has everything: nobody needs the ones before it.
"""

from dataclasses import dataclass
from enum import StrEnum

from taxiway.facts import Fact
from taxiway.jobs import Job, JobStatus


class EventName(StrEnum):
    """The names on the wire and in the log: `noun.status`, and `job.progress` for what is not recorded."""

    QUEUED = "job.queued"
    IN_PROGRESS = "job.in_progress"
    PROGRESS = "job.progress"
    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"


_BY_STATUS = {status: EventName(f"job.{status}") for status in JobStatus}


def name_of(job: Job) -> EventName:
    """Return the name of the event that brought a job to its present revision."""
    return _BY_STATUS[job.status]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A change of a job. `fact` is None for its acceptance; `before` is the job it came from.

    A *tick* moved only the progress: it is told, never stored, and bears no revision of its own.
    """

    job: Job
    at: float
    fact: Fact | None = None
    before: Job | None = None

    @property
    def tick(self) -> bool:
        """Whether nothing but the progress moved."""
        return self.before is not None and self.before.revision == self.job.revision

    @property
    def name(self) -> EventName:
        """The event's name on the wire."""
        return EventName.PROGRESS if self.tick else name_of(self.job)
