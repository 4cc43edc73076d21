"""What a sandbox is told at its start, and may be told anew while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from taxiway.sandbox.faults import Fault

#: Settings that must be numbers of at least zero; a number below would turn the clock or the money around.
_NOT_NEGATIVE = (
    "duration_s",
    "queue_s",
    "progress_tick_s",
    "balance",
    "unknown_price",
    "log_size",
    "max_body_bytes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """Every knob of the sandbox. Seconds are the vendor's seconds: `time_scale` of them pass in one of ours.

    Raises `ValueError`, naming the field, for a value that makes no sense.
    """

    duration_s: float = 6.0
    """How long a Runway task is RUNNING."""
    queue_s: float = 0.5
    """How long a Runway task is PENDING before that."""
    jitter: float = 0.0
    """Both durations vary by up to this fraction, evenly, both ways: 0.2 makes 6 s any of 4.8 to 7.2 s."""
    seed: int = 0
    """Makes the jitter the same in each run."""
    time_scale: float = 1.0
    """How much faster than ours the vendor's clock runs; dates stay true."""
    progress_tick_s: float = 0.5
    """`progress` changes only this often; the real service is slower, near 5 s. 0 = at each poll."""

    concurrency: int | Mapping[str, int] | None = None
    """How many tasks of one model are active at once, for every model or by model; None = no limit."""
    daily_quota: int | Mapping[str, int] | None = None
    """How many tasks of one model may be created in any 24 h; None = no limit."""
    balance: int = 1_000_000
    """Credits on the account."""
    monthly_spend: int = 100_000
    """`tier.maxMonthlyCreditSpend` of the organization; shown, never enforced."""
    unknown_price: int = 10
    """Credits for an image whose price nobody has published. The figure is invented."""
    charge_safety: bool = True
    """Whether a task that fails with a `SAFETY` code costs what a success costs."""
    charge_internal: bool = False
    """The same for every other failure."""

    api_keys: tuple[str, ...] = ()
    """The keys that are accepted; none = every non-empty one is."""
    strict_keys: bool = False
    """Accept only keys of the vendor's form, `key_` and 128 hexadecimal digits."""
    require_on_behalf_of: bool = False
    """Refuse a create without `X-Runway-On-Behalf-Of`, as some kinds of account do."""
    unknown_keys: Literal["refuse", "ignore"] = "refuse"
    """What a model does with unknown body fields where the vendor has not said."""
    strict_tags: bool = False
    """Hold reference tags to the schema's lower-case pattern; the vendor's own examples break it."""
    fetch_references: bool = False
    """Fetch HTTPS references and measure every reference, as the vendor does."""
    reference_mirrors: Mapping[str, str] = field(default_factory=dict)
    """Where references are fetched instead: `{"https://images.example": "http://127.0.0.1:8000"}`."""

    url_ttl_s: float = 86_400.0
    """How long a signed output URL is good."""
    expired_status: int = 401
    """What an output URL answers afterwards, 401 or 403."""
    public_url: str | None = None
    """Base of output and upload URLs; None = whatever host the caller used."""
    pictures: Literal["scene", "plain"] = "scene"
    """`scene` draws a landscape from the prompt; `plain` is one colour, for runs with thousands of pictures."""

    max_body_bytes: int = 32 * 1024 * 1024
    """The longest request body, beyond which the gateway answers 413."""
    log_size: int = 20_000
    """How many requests the log remembers."""
    faults: tuple[Fault | str, ...] = ()
    """Faults in place from the start, also in the notation of `marks`."""

    def __post_init__(self) -> None:
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0:
                message = f"{name} must be 0 or more, not {getattr(self, name)}."
                raise ValueError(message)
        if self.time_scale <= 0:
            message = f"time_scale must be above 0, not {self.time_scale}."
            raise ValueError(message)
        if not 0 <= self.jitter < 1:
            message = f"jitter must be from 0 to below 1, not {self.jitter}."
            raise ValueError(message)
        if self.expired_status not in (401, 403):
            message = f"expired_status must be 401 or 403, not {self.expired_status}."
            raise ValueError(message)


#: Names of every setting, in order, for the control route and the command line.
SETTING_NAMES = tuple(each.name for each in fields(SandboxSettings))


def limit_for(model: str, *, limit: int | Mapping[str, int] | None) -> int | None:
    """Return what a limit that may differ by model says about this one; None = no limit."""
    if isinstance(limit, Mapping):
        return limit.get(model)
    return limit
