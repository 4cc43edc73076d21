"""Every knob, with its unit and its reason. Frozen, and reads nothing by itself: `config` fills it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from taxiway.vendors import RUNWAYML

#: The only version Runway has published since November 2024, demanded on every call.
RUNWAY_VERSION = "2024-11-06"


class Secret:
    """A text that shows as `***` wherever it is printed. `reveal` gives it to the one call that needs it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Strategy(StrEnum):
    """How one of several deployments is chosen for a task; see `routing.strategies`."""

    SIMPLE_SHUFFLE = "simple-shuffle"
    LEAST_BUSY = "least-busy"
    LATENCY = "latency-based-routing"
    COST = "cost-based-routing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent in a period; without a `duration`, altogether."""

    microusd: int
    duration: str | None = None
    """A length of time like `30d`; see `periods`."""


class Trouble(StrEnum):
    """What can go wrong at a deployment through no fault of the caller's, and may be tried again."""

    FAILED = "failed"
    """A task failed inside the provider, or a submission met an overload."""
    UNREACHABLE = "unreachable"
    """No connection came about."""
    RATE_LIMITED = "rate_limited"
    """Too many submissions for the moment."""


#: Numbers by kind of trouble; an absent one leaves it to the general number.
PerTrouble = Mapping[Trouble, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One way to make an image: a public name, and the vendor's model and account behind it."""

    id: str
    """Stable under edits of key and price: derived from the names unless `model_info.id` gives it."""
    model_name: str
    """The public name that requests carry."""
    provider: str
    model: str
    """The vendor's name for the model."""
    api_key: Secret | None = None
    """None: the deployment is listed, and refused by the vendor until a key is configured."""
    api_base: str = RUNWAYML.api_base
    """Without a trailing slash, and without what the vendor's `drops`. Every call to the vendor goes here."""
    api_version: str = RUNWAY_VERSION
    timeout_s: float | None = None
    """The deadline of a whole job on this deployment; None leaves it to `job_timeout_s`."""
    stream_timeout_s: float | None = None
    """The same for a job whose caller asked for a stream; None leaves it to `timeout_s`."""
    num_retries: int | None = None
    drop_params: bool = False
    """Leave out fields that the model does not have, and say so, instead of refusing the request."""
    verify_tls: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with every call beside the adapter's own; not shown, since one may carry a secret."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """Body fields by the vendor's names, used where a request does not set them."""
    weight: float | None = None
    """Its share among its siblings; where none of them has one, `rpm` counts, then `tpm`."""
    rpm: float | None = None
    """Submissions per minute, evenly spaced; more than that wait."""
    tpm: float | None = None
    """Nothing but a weight: an image has no tokens."""
    order: int | None = None
    """Its level: the lowest one with a usable deployment is used. None is the last level."""
    max_parallel_requests: int | None = None
    """Tasks that may be under way at once; more than that wait. None leaves it to the routing's default."""
    cooldown_time_s: float | None = None
    """How long it rests after too many failures; None leaves it to the routing."""
    allowed_fails: int | None = None
    """Failures in a minute before it rests; None leaves it to the routing."""
    allowed_fails_policy: PerTrouble = field(default_factory=dict)
    price_microusd: int | None = None
    """What an image costs by its owner's word, in micro-USD; None leaves it to the vendor's."""
    tags: tuple[str, ...] = ()
    """Words that requests may choose it by."""
    blocked: bool = False
    """Paused by its owner: it takes nothing new."""
    max_budget_microusd: int | None = None
    """What its tasks may cost in each `budget_duration`; with nothing left, it takes no further ones."""
    budget_duration: str | None = None
    access_groups: tuple[str, ...] = ()
    """Words by which a virtual key may be allowed to use it."""

    @property
    def budget(self) -> Budget | None:
        """What may be spent at it; None: anything."""
        if self.max_budget_microusd is None:
            return None
        return Budget(microusd=self.max_budget_microusd, duration=self.budget_duration)

    def price_of(self, images: int) -> int | None:
        """Return what so many images cost by the owner's word; None where there is none."""
        return None if self.price_microusd is None else self.price_microusd * images


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """How tasks find a deployment, and what follows when one fails."""

    strategy: Strategy = Strategy.LEAST_BUSY
    """Images take long, so what counts is who is busy; why not the others is argued in ARCHITECTURE.md."""
    latency_ttl_s: float = 3600.0
    """How long a measured duration counts."""
    latency_buffer: float = 0.0
    """Deployments within this fraction above the fastest count as equally fast."""
    latency_samples: int = 10
    """Durations kept per deployment."""
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Public name → the names that follow it, in their order."""
    default_fallbacks: tuple[str, ...] = ()
    """The names that follow every name, after its own."""
    content_policy_fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names that follow a refusal by moderation. `*` stands for every name."""
    max_fallbacks: int = 5
    """Changes of name in the life of one image."""
    allowed_fails: int = 3
    """Failures of a deployment in a minute; one more, and it rests."""
    allowed_fails_policy: PerTrouble = field(default_factory=dict)
    cooldown_time_s: float = 5.0
    cooldowns: bool = True
    retry_policy: PerTrouble = field(default_factory=dict)
    """Retries by kind of trouble, where that differs from `num_retries`."""
    group_retry_policies: Mapping[str, PerTrouble] = field(default_factory=dict)
    """The same for one public name."""
    retry_after_s: float = 0.0
    """The shortest pause before a repeat at the same deployment."""
    max_parallel_requests: int | None = None
    """Tasks under way at once at a deployment that does not say otherwise."""
    max_parallel_per_key: int | None = None
    """Jobs under way at once for one API key; more than that wait."""
    max_parallel_total: int | None = None
    """Jobs under way at once in this process; more than that wait."""
    tag_filtering: bool = False
    tag_match_any: bool = True
    """One common tag is enough; else a deployment must have all of a request's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyParams:
    """What virtual keys may do, by default or at the most. None leaves it open."""

    max_budget_microusd: int | None = None
    budget_duration: str | None = None
    """A length of time like `30d`; see `periods`."""
    duration: str | None = None
    """How long a key is good, in the same way."""
    rpm_limit: int | None = None
    max_parallel_requests: int | None = None
    models: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    user_id: str | None = None
    team_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a service is told at its start."""

    host: str = "127.0.0.1"
    """Loopback unless told otherwise; a public address needs a master key."""
    port: int = 4000
    """LiteLLM's port, so that clients move over unchanged."""
    metrics_port: int | None = None
    """A second port for `/metrics` and the probes; None serves them on the main one only."""
    metrics_need_key: bool = False
    """Whether the numbers are for whoever has the master key alone, on either port."""
    database_url: str = field(default="sqlite+aiosqlite:///taxiway.db", repr=False)
    """Where jobs are kept. Never shown: it may carry a password."""
    artifacts_url: str | None = field(default=None, repr=False)
    """Where images are kept: `file:///path`, `s3://`, `gs://` or `az://`, or `none`.

    Without it, in a folder beside the SQLite file; with another database, nowhere.
    """
    job_retention_days: int | None = None
    """Finished jobs and their images are deleted after so many days; without it, they are kept."""
    poll_interval_s: float = 2.0
    """Runway advises one look in 5 s and takes one every 2 s; an image is ready within 2 s of its end."""
    job_timeout_s: float = 600.0
    """From acceptance to the end of a job, waiting in every queue included."""
    num_retries: int = 2
    """Further attempts after one that failed for good and cost nothing."""
    resubmit_unknown: bool = False
    """Submit again after a submission whose outcome nobody knows. It may pay for two tasks."""
    retry_charged: bool = False
    """Try again after a failure that the provider charged for. It pays for both."""
    on_disconnect: Literal["continue", "cancel"] = "continue"
    """What becomes of a job whose waiting caller hangs up. `continue`: it was asked for and will be paid for."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged: this and everything graver."""
    log_prompts: bool = False
    """Prompts are people's words; a log keeps their length and a keyed digest instead."""
    lease_s: float = 15.0
    """How long a silent process keeps its jobs before another one takes them over."""
    shutdown_budget_s: float = 10.0
    """How long requests that wait for an image may keep a stopping process; streams never do."""
    max_body_bytes: int = 20 * 1024 * 1024
    """Room for three reference images as data URIs of 5 MB each."""
    cors_origins: tuple[str, ...] = ()
    """Web pages on these origins may call the service from a browser."""
    public_url: str | None = None
    """Where clients reach this service, without a trailing slash; for the links in its answers."""
    sse_heartbeat_s: float = 15.0
    """A comment after this long a silence: under every proxy's idle limit (60 s at the strictest)."""
    sse_write_timeout_s: float = 10.0
    """A reader that takes no byte for this long is cut."""
    sse_max_age_s: float = 900.0
    """A stream ends after two thirds to all of this, so that viewers spread over new replicas."""
    sse_max_streams: int = 10_000
    """Event streams open at once in this process; past it, viewers are asked to come back."""
    max_queued_jobs: int = 10_000
    """Unfinished jobs of this process; past it, requests get 429 `queue_full`."""
    master_key: Secret | None = None
    """The key every request must show; without one, everybody on this machine is served."""
    key_header: str | None = None
    """The one header that carries the key, where `litellm_key_header_name` names it."""
    max_budget_microusd: int | None = None
    """What all jobs may cost in each `budget_duration`; more is refused."""
    budget_duration: str | None = None
    provider_budgets: Mapping[str, Budget] = field(default_factory=dict)
    """What the tasks at a provider may cost, by its name."""
    budget_exceeded_status: int = 422
    """What answers a request that the budget of its key does not cover: no SDK repeats a 422."""
    key_defaults: KeyParams = field(default_factory=KeyParams)
    """What a new virtual key may do where whoever makes it does not say."""
    key_bounds: KeyParams = field(default_factory=KeyParams)
    """The most that a virtual key may do."""
    webhook_url: str | None = field(default=None, repr=False)
    """Is told of every job's end, beside whom a request names."""
    webhook_secrets: tuple[Secret, ...] = ()
    """Sign what is told, `whsec_` and base64; while one takes another's place, both do."""
    webhook_networks: tuple[str, ...] = ()
    """Private networks that may be told, such as `10.0.0.0/8`, also by plain HTTP; else only public addresses."""
    deployments: tuple[Deployment, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Further public names: alias → model_name."""
    hidden_aliases: frozenset[str] = frozenset()
    """Aliases that are served and not listed."""
    routing: Routing = field(default_factory=Routing)

    @property
    def budget(self) -> Budget | None:
        """What may be spent in all; None: anything."""
        if self.max_budget_microusd is None:
            return None
        return Budget(microusd=self.max_budget_microusd, duration=self.budget_duration)
