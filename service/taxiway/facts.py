"""What providers and callers report about a job. `transitions.advance` says what each one changes.

A fact about an attempt names it by its index. Providers return `Submitted`, `Seen`, `Delivered` and `Failed`;
the engine adds the rest.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum

from taxiway.jobs import JobError, JobStatus, Phase, Plan, Tokens


class Again(StrEnum):
    """Whether the same input may be bought again after a task has failed."""

    NEVER = "never"
    ONCE = "once"
    YES = "yes"
    ELSEWHERE = "elsewhere"
    """Rather of another model, where there is one to fall back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One image as the provider hands it over. `size` is None while nobody has looked at the bytes."""

    url: str
    """Empty where it has none: its bytes came with the answer, and are kept already."""
    size: str | None
    content_type: str
    archived: str | None = None
    """Its name in the archive or the spool, where it is kept already."""
    digest: str | None = None
    length_bytes: int | None = None
    revised_prompt: str | None = None
    """What the provider made of the prompt, where it says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitting:
    """A submission is about to leave. Recorded before it does, so that a crash cannot hide it.

    `attempt` equal to the number of attempts so far opens a new one; an earlier index repeats a refused one.
    """

    attempt: int
    part: int
    deployment: str
    provider: str
    model: str
    group: str = ""
    """The public name that is served: the request's, or that of a fallback."""
    plan: Plan | None = None
    """What the part comes to at this deployment, where that is not what was planned before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The provider took the task; `credits` is its own estimate, where it gave one."""

    attempt: int
    upstream_id: str
    credits: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The provider certainly bought nothing. Without an `error` the same attempt will be submitted again.

    With one the attempt is closed; `again` says that another follows elsewhere.
    """

    attempt: int
    error: JobError | None = None
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A poll found the task alive. `progress` is 0 to 1, or None where the provider says nothing."""

    attempt: int
    phase: Phase
    progress: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The task succeeded. `credits` is what it was charged, None where the provider did not say.

    `price_microusd` is its price where that is not for the credits to say: the deployment's own, or one in money.
    `keep` is decided: True means that the job goes on until the images are in the archive.
    """

    attempt: int
    outputs: tuple[Output, ...]
    credits: int | None
    price_microusd: int | None = None
    polls: int = 0
    keep: bool = False
    upstream_id: str | None = None
    """The provider's name for the task, where the answer to the submission is its result."""
    submitted_at: float | None = None
    """When that submission left."""
    tokens: Tokens | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The task ended without an image. `again` is decided: True means that another attempt follows."""

    attempt: int
    error: JobError
    credits: int | None
    price_microusd: int | None = None
    """As of `Delivered`."""
    failure: str | None = None
    retry: Again = Again.NEVER
    again: bool = False
    polls: int = 0
    upstream_id: str | None = None
    submitted_at: float | None = None
    """These two as of `Delivered`."""

    @property
    def free(self) -> bool:
        """Whether it certainly cost nothing."""
        return self.credits == 0 or self.price_microusd == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionLost:
    """Nobody can tell whether the submission bought a task. It is repeated only where somebody asked for that."""

    attempt: int
    error: JobError
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of one image that was to be stored, and what its bytes say of it as far as they were seen."""

    image: int
    archived: str | None
    """Its name in the archive; None where it could not be stored, and stays with the provider."""
    size: str | None = None
    content_type: str | None = None
    length_bytes: int | None = None
    digest: str | None = None
    error: str | None = None
    """Why it was not stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Storing is over, one way or the other, for every image that was to be kept."""

    images: tuple[Kept, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The job's place in the queue for a slot. Told, and never recorded."""

    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """No deployment can take a part (again). What it cost so far stays."""

    part: int
    error: JobError


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """A caller, or the policy for callers who left, wants the job to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The job ends here, from outside: cancelled, past its deadline, or broken by a fault of ours.

    Attempts still open are closed; what they cost stays the estimate, since a deleted task has no readable cost.
    `keep`: images that are there already, and were to be kept, are stored before the job ends.
    """

    status: JobStatus
    error: JobError
    keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """One image as it comes with the answer to a submission: an address, or the bytes themselves."""

    url: str = ""
    content: Callable[[], AsyncIterator[bytes]] | None = None
    """Begins with the first byte at each call. None where there is an address."""
    revised_prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A task that was made while its submission waited. `price_microusd` as of `Delivered`."""

    images: tuple[Handed, ...]
    upstream_id: str
    price_microusd: int | None
    tokens: Tokens | None = None


#: What a provider's poll can find.
Report = Seen | Delivered | Failed

#: Everything that can happen to a job after its acceptance.
Fact = (
    Submitting
    | Submitted
    | Refused
    | Seen
    | Delivered
    | Failed
    | SubmissionLost
    | Waiting
    | GivenUp
    | Stored
    | CancelRequested
    | Stopped
)
