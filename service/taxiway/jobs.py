"""The nouns: what was asked, and the durable record of how it went.

All values are frozen; `transitions.advance` alone makes a later one from an earlier one. Times are Unix
seconds, money is whole micro-USD, beside the whole credits that Runway counts in (1 credit is 10,000 micro-USD);
sizes are written `WIDTHxHEIGHT` in pixels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from taxiway.ids import new_id

#: A credit is sold for one US cent.
MICRO_USD_PER_CREDIT = 10_000


class JobStatus(StrEnum):
    """Where a job stands, in the words of OpenAI's Responses."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: The statuses that nothing leaves.
FINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


class Phase(StrEnum):
    """What an unfinished job waits for, from the earliest to the latest."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    PROVIDER_QUEUE = "provider_queue"
    THROTTLED = "throttled"
    RUNNING = "running"
    STORING = "storing"


class AttemptStatus(StrEnum):
    """How one attempt stands. `unknown`: nobody can tell whether the task was bought."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class CreditsSource(StrEnum):
    """Where an attempt's number of credits comes from, the most exact first."""

    CHARGED = "charged"
    """Reported by the provider for the ended task, or certainly zero."""
    ESTIMATED = "estimated"
    """The provider's own estimate, given when it took the task: the most it may charge."""
    CATALOGUE = "catalogue"
    """Our price list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file that came with a request. Its bytes are in the archive, so that the job need not carry them."""

    digest: str
    """SHA-256 of the bytes, in hex: the same file is the same asset."""
    content_type: str
    length_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A reference image: an HTTPS, `runway://` or `data:` address, and the name the prompt calls it by."""

    uri: str
    """Empty for an asset."""
    tag: str | None = None
    subject: str | None = None
    asset: Asset | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """What was asked, validated and with defaults applied. Delivery (stream, base64) is not part of it."""

    model: str
    """The public name, as asked."""
    prompt: str
    n: int = 1
    size: str | None = None
    """As asked: `WxH`, `auto` or a special value of the model; None leaves it to the model's default."""
    quality: str | None = None
    output_format: str | None = None
    background: str | None = None
    moderation: str | None = None
    seed: int | None = None
    references: tuple[Reference, ...] = ()
    mask: Reference | None = None
    """Where the first reference may be changed."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Further body fields by the vendor's own names, already checked against the model."""
    metadata: Mapping[str, object] = field(default_factory=dict)
    user: str | None = None
    drop_params: bool | None = None
    """Whether to leave out what a model does not have. None leaves it to the deployment; see `drops`."""

    def drops(self, configured: bool) -> bool:
        """Return whether what a model does not have is left out rather than refused."""
        return configured if self.drop_params is None else self.drop_params


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why a job did not complete: a code of `errors.JOB_CODES` and a sentence for the caller."""

    code: str
    message: str
    param: str | None = None
    failure_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One upstream task's share of a job: how many images, and the credits it should cost (None: unknown).

    A part that goes on at another model may need several tasks there: then further parts are split from it.
    """

    images: int
    credits: int | None
    price_microusd: int | None = None
    """What it should cost where that is not for the credits to say: see `microusd`."""
    most_microusd: int | None = None
    """What it may cost where it is not decided yet who makes it; None: no more than `microusd`."""
    size: str | None = None
    """What it makes where that is not the job's size."""
    of: int | None = None
    """The part it was split from; that one's attempts up to `since` were for this one too."""
    since: int = 0
    """How many attempts the job had when it was split off."""
    error: JobError | None = None
    """Why no further attempt is made; None while one may be, and for a part that has its images."""

    @property
    def microusd(self) -> int | None:
        """The estimate in micro-USD; None while unknown."""
        return in_microusd(self.credits, price_microusd=self.price_microusd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a request comes to on one model: the size that will be made and the tasks to buy."""

    size: str | None
    parts: tuple[Part, ...]
    dropped: tuple[str, ...] = ()
    """Fields of the request left out because the model does not have them, where that is allowed."""

    @property
    def credits(self) -> int | None:
        """The estimate for the whole, None as soon as one part's is unknown or not in credits."""
        return total(part.credits for part in self.parts)

    @property
    def microusd(self) -> int | None:
        """The estimate for the whole in micro-USD, None as soon as one part's price is unknown."""
        return total(part.microusd for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a task took and made in tokens, where the provider counts in them."""

    input_text: int = 0
    input_image: int = 0
    output_text: int = 0
    output_image: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One upstream task bought, or to be bought, for one part of a job."""

    index: int
    part: int
    images: int
    deployment: str
    provider: str
    model: str
    group: str = ""
    """The public name it was bought under: the request's, or that of a fallback. Empty in old jobs."""
    status: AttemptStatus = AttemptStatus.IN_PROGRESS
    phase: Phase = Phase.SUBMITTING
    progress: float = 0.0
    """0 to 1, and never falling."""
    seen_at: float | None = None
    """When progress last moved."""
    upstream_id: str | None = None
    refusals: int = 0
    """How often the provider turned the submission away before it took it, or for good."""
    submitted_at: float | None = None
    running_at: float | None = None
    finished_at: float | None = None
    credits: int | None = None
    price_microusd: int | None = None
    """What it costs where that is not for the credits to say: see `microusd`."""
    credits_source: CreditsSource | None = None
    error: JobError | None = None
    failure: str | None = None
    """The provider's own text: for the operator, not for the caller."""
    again: bool = False
    """Whether another attempt at the same part follows."""
    polls: int = 0
    """Polls its last owner needed."""
    tokens: Tokens | None = None

    @property
    def microusd(self) -> int | None:
        """What it costs in micro-USD, as far as `credits_source` says; None while unknown."""
        return in_microusd(self.credits, price_microusd=self.price_microusd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One finished image. `url` is the provider's, signed and short-lived; empty where it gave the bytes.

    Size and type are the provider's word until somebody has looked at the bytes.
    """

    index: int
    attempt: int
    url: str
    size: str | None
    content_type: str
    keep: bool = False
    """Still to be stored in the archive; the job does not end before that was tried."""
    archived: str | None = None
    """Its name in the archive, once it is there; see `artifacts.spooled` for one that is not."""
    digest: str | None = None
    """SHA-256 of its bytes, in hex."""
    length_bytes: int | None = None
    revised_prompt: str | None = None
    """What the provider made of the prompt, where it says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Whom a caller wants to be told of the job's end, and the secret that signs it, if it has one of its own."""

    url: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a caller wants the job to be run, mostly where money is at risk. None leaves it to the settings."""

    num_retries: int | None = None
    """Further tasks after one that failed and cost nothing."""
    resubmit_unknown: bool | None = None
    """Submit again after a submission whose outcome nobody knows: perhaps two tasks are paid then."""
    retry_charged: bool | None = None
    """Try again after a failure that was charged: then both are paid."""
    on_disconnect: str | None = None
    """`continue` or `cancel`, for the caller who waits and hangs up."""
    fallbacks: tuple[str, ...] = ()
    """Public names to go on with, before those of the configuration."""
    tags: tuple[str, ...] = ()
    """Words that choose among the deployments, where the configuration lets them."""
    webhook: Webhook | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A change of status or phase."""

    at: float
    status: JobStatus
    phase: Phase | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One generation from acceptance to its end, with its own history."""

    id: str
    revision: int
    status: JobStatus
    phase: Phase | None
    """None once the status is final."""
    request: GenerationRequest
    size: str | None
    parts: tuple[Part, ...]
    created_at: float
    deadline_at: float
    scope: str = ""
    """The id of the API key that asked: jobs of different keys take turns."""
    progress: int = 0
    """0 to 100, and never falling."""
    queue_position: int | None = None
    """The job's place while it waits for a slot, 1 being the next; never rising, and never stored."""
    started_at: float | None = None
    finished_at: float | None = None
    cancel_requested_at: float | None = None
    attempts: tuple[Attempt, ...] = ()
    images: tuple[Image, ...] = ()
    error: JobError | None = None
    timeline: tuple[Moment, ...] = ()
    dropped: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)
    trace_id: str | None = None
    parent_span_id: str | None = None
    """The caller's own span in that trace."""
    trace_flags: str | None = None
    """What the caller says about that trace, in hex; `01` in it: it is recorded."""
    request_id: str | None = None

    @property
    def final(self) -> bool:
        """Whether nothing can happen to this job any more."""
        return self.status in FINAL

    @property
    def credits(self) -> int | None:
        """Credits of all attempts, and the estimate for those still to come.

        None while unknown, and where a provider has a part in it that does not count in credits.
        """
        return total(each.credits for each in self._paid())

    @property
    def microusd(self) -> int | None:
        """Micro-USD of all attempts, and the estimate for those still to come; None while unknown."""
        return total(each.microusd for each in self._paid())

    @property
    def cost_final(self) -> bool:
        """Whether the cost is what was charged, and no estimate."""
        return self.final and all(
            attempt.credits_source is CreditsSource.CHARGED for attempt in self.attempts
        )

    @property
    def eta_s(self) -> float | None:
        """Seconds still to go by the pace so far; None until every unfinished part has shown one."""
        if self._parts_to_attempt():
            return None
        running = [a for a in self.attempts if a.status is AttemptStatus.IN_PROGRESS]
        etas = [eta for a in running if (eta := self._eta_of(a)) is not None]
        return max(etas) if etas and len(etas) == len(running) else None

    def _paid(self) -> tuple[Attempt | Part, ...]:
        return (*self.attempts, *(() if self.final else self._parts_to_attempt()))

    def _parts_to_attempt(self) -> tuple[Part, ...]:
        last = {attempt.part: attempt for attempt in self.attempts}
        return tuple(
            part
            for i, part in enumerate(self.parts)
            if part.error is None and (i not in last or last[i].again)
        )

    def _eta_of(self, attempt: Attempt) -> float | None:
        if attempt.running_at is None or attempt.seen_at is None or not 0 < attempt.progress < 1:
            return None
        spent_s = attempt.seen_at - attempt.running_at
        if spent_s <= 0:  # the first look at a running task shows a place, not a pace
            return None
        return round(spent_s / attempt.progress * (1 - attempt.progress), 1)


def total(numbers: Iterable[int | None]) -> int | None:
    """Return the sum, or None as soon as one number is unknown: an unknown price is never zero."""
    known = 0
    for number in numbers:
        if number is None:
            return None
        known += number
    return known


def in_microusd(credits: int | None, *, price_microusd: int | None = None) -> int | None:  # noqa: A002
    """Return a cost in micro-USD: a price in money counts, and else the credits; None for neither.

    A deployment may have a price of its own, and not every provider knows credits.
    """
    if price_microusd is not None:
        return price_microusd
    return None if credits is None else credits * MICRO_USD_PER_CREDIT


def new_job_id(now: float) -> str:
    """Return the id of a job that is made now."""
    return new_id("job_", now)
