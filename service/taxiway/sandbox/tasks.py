"""One Runway task: a record of times fixed at its creation, read against the clock.

Nothing runs while a task ages, so a hundred thousand of them cost memory alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from taxiway.sandbox.faults import Outcome

Status = Literal[
    "PENDING", "THROTTLED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "VANISHED", "DELETED"
]

#: What the vendor calls active: a task with an estimate and no cost yet.
ACTIVE: frozenset[Status] = frozenset(("PENDING", "THROTTLED", "RUNNING"))

#: `progress` in its first and last moments; the real one is never seen at 0 nor, before the end, at 1.
_FIRST, _LAST = 0.02, 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a valid create asked for."""

    model: str
    prompt: str
    ratio: str | None
    size: tuple[int, int]
    outputs: int
    quality: str | None
    format: Literal["png", "jpeg", "webp", "svg"]
    transparent: bool
    seed: int | None
    references: int


@dataclass(slots=True, kw_only=True, eq=False)
class RunwayTask:
    """A task and what was seen of it. Made and changed by the sandbox, read by tests."""

    id: str
    order: Order
    outcome: Outcome
    estimate: int
    created_at: float
    """In the vendor's seconds since the sandbox's start."""
    created_date: float
    """In Unix seconds."""
    pending_s: float
    running_s: float
    pace_s: float
    """How long `progress` takes from first to last; as `running_s`, unless the task is stuck."""
    tick_s: float
    settle: Callable[[], float] = field(repr=False)
    """Brings the queue and the money up to now, which it returns."""

    active_from: float = math.inf
    """When it left the queue of THROTTLED tasks."""
    charged: int = 0
    refunded: int = 0
    deleted_at: float | None = None
    status_when_deleted: Status | None = None
    polls: int = 0
    last_poll_at: float | None = None
    """In the loop's seconds, as is the gap."""
    smallest_gap_s: float | None = None
    faults: list[Any] = field(default_factory=list, repr=False)

    @property
    def model(self) -> str:
        """The model it was created for."""
        return self.order.model

    @property
    def prompt(self) -> str:
        """Its `promptText`."""
        return self.order.prompt

    @property
    def ratio(self) -> str | None:
        """Its `ratio`, None where the model was left to choose."""
        return self.order.ratio

    @property
    def status(self) -> Status:
        """Its status now, in the vendor's words and two of the sandbox's: VANISHED and DELETED."""
        return self.status_at(self.settle())

    @property
    def active(self) -> bool:
        """Whether it is still at work."""
        return self.status in ACTIVE

    @property
    def running_from(self) -> float:
        """When it turns RUNNING."""
        return self.active_from + self.pending_s

    @property
    def ends_at(self) -> float:
        """When it ends by itself."""
        return self.active_from + self.pending_s + self.running_s

    def status_at(self, now: float) -> Status:
        """Return the status at a moment up to which the queue has been settled."""
        if self.deleted_at is not None:
            return "DELETED"
        if now < self.active_from:
            return "THROTTLED"
        if now >= self.ends_at:
            return self.outcome.ending
        return "RUNNING" if now >= self.running_from else "PENDING"

    def progress_at(self, now: float) -> float | None:
        """Return `progress` of a RUNNING task, which moves on ticks only; None = the key is absent."""
        elapsed = now - self.running_from
        if self.tick_s > 0:
            elapsed = math.floor(elapsed / self.tick_s + 1e-9) * self.tick_s
        share = min(1.0, elapsed / self.pace_s) if self.pace_s > 0 else 1.0
        steady = round(_FIRST + (_LAST - _FIRST) * share, 3)
        match self.outcome.progress:
            case "steady":
                return steady
            case "frozen":
                return min(steady, 0.4)
            case "backwards":
                return self._falling(now, steady)
            case "early":
                return 1.0
            case "absent":
                return None

    def _falling(self, now: float, steady: float) -> float:
        tick_s = self.tick_s or 0.5
        falls = math.floor((now - self.running_from) / tick_s + 1e-9) % 2
        return round(max(0.0, steady - 0.3), 3) if falls else steady

    def seen(self, real: float) -> None:
        """Count a poll at this time of the loop."""
        self.polls += 1
        if self.last_poll_at is not None:
            gap = real - self.last_poll_at
            if self.smallest_gap_s is None or gap < self.smallest_gap_s:
                self.smallest_gap_s = gap
        self.last_poll_at = real


def durations(outcome: Outcome, *, queue_s: float, duration_s: float) -> tuple[float, float, float]:
    """Return how long a task is PENDING, how long RUNNING, and the pace of its progress."""
    pending_s = queue_s if outcome.queue_s is None else outcome.queue_s
    pace_s = duration_s if outcome.duration_s is None else outcome.duration_s
    running_s = pace_s
    if outcome.ending != "SUCCEEDED" and outcome.at == "PENDING":
        running_s = 0.0
    if outcome.stuck == "PENDING":
        pending_s = math.inf
    if outcome.stuck == "RUNNING":
        running_s = math.inf
    return pending_s, running_s, pace_s
