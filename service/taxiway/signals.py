"""What replicas tell each other. A signal is a hint: it may be lost, and may come twice."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Another replica has committed a revision of a job. Read it from the store."""

    job_id: str
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """Another replica told a tick: what `Seen` needs to make the same of a copy at the same revision."""

    job_id: str
    revision: int
    attempt: int
    progress: float
    """The attempt's, 0 to 1."""
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Another replica told a job's place in its queue: a tick too."""

    job_id: str
    revision: int
    position: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """Another replica has let go of its jobs: claim now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWanted:
    """Somebody wants a job to stop. Told to every other replica; the one that owns it acts."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChanged:
    """Another replica has changed, blocked or deleted a virtual key. Read it from the store."""

    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resync:
    """Signals reach this process from now on; earlier ones may have been missed. Read again what matters."""


#: What a replica hears from the others. A signal may be lost and may come twice: it is a hint, not the truth.
Signal = Changed | Ticked | Placed | Released | CancelWanted | KeyChanged | Resync
