"""Who asked for a job, and how the same question is known when it is asked again."""

from dataclasses import dataclass
from enum import StrEnum


class Caller(StrEnum):
    """What became of those who asked for a job: whether a retry may join it, and a hang-up end it."""

    WAITING = "waiting"
    """Holds a connection and expects the image on it."""
    LEFT = "left"
    """Went away before the answer was complete."""
    ANSWERED = "answered"
    """Needs nothing more: has the job's id, or lives in this process."""
    PROMISED = "promised"
    """Was given the job's id after a wait, or joined for it. A retry may still come, if that answer is lost."""


#: Somebody was answered with the job's id, and will ask for it.
HOLDS_ID = frozenset({Caller.ANSWERED, Caller.PROMISED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who asked for a job, and how the same question is known when it is asked again."""

    scope: str = ""
    """The id of the API key that asked. Idempotency keys and fingerprints of two scopes never meet."""
    key_hash: str | None = None
    """The hash of the request's `Idempotency-Key`."""
    fingerprint: str | None = None
    """The hash of the validated request."""
    caller: Caller = Caller.ANSWERED


#: A job that nobody will ask for twice: from the Python API, say.
NOBODY = Origin()


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """The job that was made with an idempotency key before, and the fingerprint of that request."""

    job_id: str
    fingerprint: str | None
