"""What may go wrong, as values: a request that is answered badly, and a Runway task that goes its own way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Route = Literal[
    "create", "poll", "delete", "output", "upload", "form", "organization", "usage", "any"
]
Body = Literal["runway", "quota", "credits", "throttle", "json", "html", "empty"]
Cut = Literal["answer", "body"]
Stuck = Literal["PENDING", "THROTTLED", "RUNNING"]
Progress = Literal["steady", "frozen", "backwards", "early", "absent"]
Outputs = Literal[
    "fewer",
    "none",
    "null",
    "absent",
    "wrong_size",
    "wrong_type",
    "html",
    "empty_file",
    "truncated",
    "cut",
    "missing",
    "forbidden",
    "expired",
    "slow",
]

ROUTES: tuple[str, ...] = get_args(Route)
OUTPUTS: tuple[str, ...] = get_args(Outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one Runway task lives and ends, where it differs from the sandbox's settings.

    It ends when the phase `at` ends: from PENDING it is never seen RUNNING.
    """

    fail: str | None = None
    """FAILED with this `failureCode`; the words `null` and `absent` mean what they say."""
    failure: str | None = None
    """The text for people beside the code."""
    cancelled: bool = False
    """CANCELLED, though nobody asked for it."""
    vanish: bool = False
    """Turns into a 404 by itself."""
    at: Literal["PENDING", "RUNNING"] = "RUNNING"
    """The phase after which it fails, is cancelled, or vanishes."""
    stuck: Stuck | None = None
    """Never leaves this status."""
    duration_s: float | None = None
    """RUNNING for so long, without jitter."""
    queue_s: float | None = None
    """PENDING for so long, without jitter."""
    progress: Progress = "steady"
    """`early` says 1 from the first tick on; `backwards` falls at every second tick."""
    cost: int | Literal["full", "absent"] | None = None
    """The terminal `cost` in credits; None = by the sandbox's rules; `absent` charges in full, in silence."""
    outputs: Outputs | None = None
    """What is the matter with the pictures."""
    race: bool = False
    """A DELETE arrives just after completion: answered 204, and nothing is given back."""

    @property
    def ending(self) -> Literal["SUCCEEDED", "FAILED", "CANCELLED", "VANISHED"]:
        """The last status of such a task; `VANISHED` is the sandbox's word for a 404."""
        if self.fail is not None:
            return "FAILED"
        if self.cancelled:
            return "CANCELLED"
        return "VANISHED" if self.vanish else "SUCCEEDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A rule: which requests are answered how. Without a scope it holds for every request on its route."""

    on: Route = "create"
    """The route. `form` is where uploads are posted to, `output` where pictures are fetched."""

    status: int | None = None
    """The answer's HTTP status. 302 points at `/sandbox/elsewhere`, which records a bearer as a leak."""
    body: Body | None = None
    """The answer's body; None = what the vendor is known to send with this status."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers: `Retry-After`, `retry-after-ms`, `x-should-retry`."""
    delay_s: float = 0.0
    """Real seconds until the first byte."""
    hang: bool = False
    """Accepted and never answered."""
    cut: Cut | None = None
    """The connection is reset before the `answer`, or closed in the middle of its `body`."""
    truncate: bool = False
    """A well-formed answer with half the JSON."""
    drop: tuple[str, ...] = ()
    """Keys left out of the answer."""
    put: Mapping[str, object] = field(default_factory=dict)
    """Keys added to the answer or replaced in it."""
    processed: bool | None = None
    """Whether the request has its effect all the same (a task is created and charged).

    None = yes, unless `status` is 300 or above.
    """
    outcome: Outcome | None = None
    """On `create`: how the new task fares."""

    times: int | None = None
    """Only the next so many requests."""
    skip: int = 0
    """Not the first so many."""
    per_task: int | None = None
    """At most so many requests about any one task."""
    for_s: float | None = None
    """Only for so many of the vendor's seconds from now."""
    probability: float = 1.0
    """Of striking, drawn for each request from `seed`."""
    seed: int = 0
    """Makes the draws the same in each run."""
    model: str | None = None
    """Only requests about this model."""
    prompt: str | None = None
    """Only requests about a prompt that contains this."""
    task: str | None = None
    """Only requests about this task id."""

    @property
    def answers(self) -> bool:
        """Whether it changes an answer, and not only a task's outcome."""
        return bool(
            self.status is not None
            or self.body
            or self.headers
            or self.delay_s
            or self.hang
            or self.cut
            or self.truncate
            or self.drop
            or self.put
        )

    @property
    def has_effect(self) -> bool:
        """Whether the request is carried out although it is answered badly."""
        if self.processed is not None:
            return self.processed
        return self.status is None or self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one create brings: how its task fares, and the faults that follow this one task."""

    outcome: Outcome | None = None
    faults: tuple[Fault, ...] = ()
