"""What is written: a new job, a job after an event, or a mark on a job that anybody may set."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from taxiway.deliveries import Endpoint
from taxiway.errors import InternalServerError, TaxiwayError
from taxiway.jobs import Job
from taxiway.origins import Existing, Origin
from taxiway.store.faults import words

if TYPE_CHECKING:
    from taxiway.budgets import Standing

#: The fence that no job has: of a write whose author does not own the job.
NO_FENCE = 0


class Held:
    """A job that this store owns, until it has ended. The fence never changes: claimed anew is held anew."""

    __slots__ = ("booked", "fence", "period", "scope", "standing")

    def __init__(self, *, fence: int, scope: str, booked: Job | None, period: int = 0) -> None:
        self.fence = fence
        self.scope = scope
        self.period = period
        """The number of its key's budget period in which it was accepted; a creation finds it out."""
        self.standing: Standing | None = None
        """Where its key stood when the job was last committed, as far as that had to be known."""
        self.booked = booked
        """The job as it was last committed, up to which the ledger goes; None before its creation is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """A new job on its way into its row."""

    job: Job
    at: float
    document: bytes
    owner: str
    origin: Origin
    held: Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A job on its way into its row, after an event. `held` is None where this store does not own it."""

    job: Job
    at: float
    document: bytes
    owner: str
    held: Held | None
    endpoints: tuple[Endpoint, ...] = ()
    """Whom to tell of it."""

    @property
    def fence(self) -> int:
        """The fence to be met."""
        return NO_FENCE if self.held is None else self.held.fence


class Sign(StrEnum):
    """What a mark says."""

    DEPARTED = "departed"
    PROMISED = "promised"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A remark on a job, by whoever has one."""

    job_id: str
    sign: Sign


Write: TypeAlias = Creation | Change | Mark

#: How a write went: done, refused, or met by the job that its idempotency key has made before.
Outcome: TypeAlias = TaxiwayError | Existing | None


#: The columns of a new job that are not left to the database, in the order of the table.
CREATED = (
    "id",
    "status",
    "model",
    "created_at",
    "finished_at",
    "error_code",
    "revision",
    "document",
    "owner",
    "scope",
    "fingerprint",
    "caller",
    "budget_period",
)

#: The columns of a job that an event changes. What was asked and when does not change.
CHANGED = ("status", "finished_at", "error_code", "revision", "document")

#: The columns of a key.
KEPT = ("scope", "key_hash", "job_id", "fingerprint", "created_at")


def created(write: Creation) -> tuple[object, ...]:
    """Return a new job's row, in the order of `CREATED`."""
    job, origin = write.job, write.origin
    return (
        job.id,
        job.status.value,
        job.request.model,
        job.created_at,
        job.finished_at,
        _error_code(job),
        job.revision,
        write.document,
        write.owner,
        origin.scope,
        origin.fingerprint,
        origin.caller.value,
        write.held.period,
    )


def changed(write: Change) -> tuple[object, ...]:
    """Return what changes in a job's row, in the order of `CHANGED`."""
    job = write.job
    return (job.status.value, job.finished_at, _error_code(job), job.revision, write.document)


def kept(write: Creation) -> tuple[object, ...]:
    """Return the row of a new job's key, in the order of `KEPT`."""
    job, origin = write.job, write.origin
    return (origin.scope, origin.key_hash, job.id, origin.fingerprint, job.created_at)


def unstorable(write: Creation | Change, error: Exception) -> TaxiwayError:
    """Return what the caller of a write gets whose values the database cannot hold."""
    job_id = write.job.id
    refusal = InternalServerError(
        f"The database cannot hold job {job_id}: {words(error)}.", job_id=job_id
    )
    refusal.__cause__ = error
    return refusal


def _error_code(job: Job) -> str | None:
    return None if job.error is None else job.error.code
