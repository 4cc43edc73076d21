"""When a deployment rests, and how it comes back.

It rests after too many failures in a minute, or at once when its account is of no use: a refused key, no
credits, no quota. Afterwards one job is let through, a real one since any other would have to be paid for:
if it goes well the deployment is back, if not it rests again.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from taxiway.errors import Reason
from taxiway.jobs import JobError
from taxiway.settings import Trouble

#: Failures count for so long.
WINDOW_S = 60.0

#: Among at least so many outcomes, more failures than half are too many, whatever is allowed.
SHARE_OF_AT_LEAST = 5

#: The rest of an account that is of no use: a minute first, then twice as long each time.
UNUSABLE_S = 60.0
UNUSABLE_MAX_S = 900.0


class Health(StrEnum):
    """Whether a deployment takes tasks."""

    READY = "ready"
    COOLING = "cooling"
    """It rests until its time is up."""
    PROBING = "probing"
    """Its time is up, and one job is to show whether it works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What is borne before a deployment rests, and how long it does."""

    allowed: int
    allowed_of: dict[Trouble, int]
    """Numbers of a kind of trouble; where there is one, that kind is counted by itself."""
    rest_s: float


class Breaker:
    """The health of one deployment. Owned by its `Traffic`; times are the loop's."""

    __slots__ = ("_outcomes", "_rests", "error", "probe", "reason", "until_s")

    def __init__(self) -> None:
        self._outcomes: deque[tuple[float, Trouble | None]] = deque()
        self._rests = 0
        self.reason: Reason | None = None
        """Why it rests, or was resting when the probe began."""
        self.error: JobError | None = None
        """What a job meets while the account is of no use; None for a rest after failures."""
        self.until_s = 0.0
        self.probe = False
        """Whether the one job that is to show something is under way."""

    def health(self, now_s: float) -> Health:
        """Return whether it takes tasks."""
        if self.reason is None:
            return Health.READY
        return Health.COOLING if now_s < self.until_s else Health.PROBING

    def admits(self, now_s: float) -> bool:
        """Return whether a task may go there now."""
        if self.reason is None:
            return True
        return now_s >= self.until_s and not self.probe

    def useless(self, now_s: float) -> bool:
        """Return whether it is known to be of no use for a while: waiting for it is in vain."""
        return self.error is not None and now_s < self.until_s

    def succeeded(self, now_s: float) -> bool:
        """Count a task that was made. Returns whether this brought the deployment back."""
        self._count(None, now_s)
        return self._back() if self.error is None else False

    def accepted(self) -> bool:
        """Note that the account took a task: it is of use. Returns whether this brought the deployment back."""
        return self._back() if self.error is not None else False

    def failed(self, trouble: Trouble, *, now_s: float, tolerance: Tolerance, rests: bool) -> bool:
        """Count a failure; one that must not rest stays. Returns whether the deployment's health has changed."""
        self._count(trouble, now_s)
        probed = self.reason is not None and now_s >= self.until_s
        if self.reason is not None and not probed:
            return False
        if not rests:
            # Nothing else can take its tasks: a deployment that mostly fails is better than none.
            return probed and self._back()
        if not probed and not self._too_many(trouble, tolerance):
            return False
        self._rest(_REASONS[trouble], None, until_s=now_s + tolerance.rest_s)
        return True

    def useless_for(self, reason: Reason, error: JobError, *, now_s: float) -> bool:
        """Let the deployment rest since its account is of no use. Returns whether that is news."""
        if self.error is not None and now_s < self.until_s:
            return False  # told by a task that left before the first one came back
        rest_s = min(UNUSABLE_S * 2.0**self._rests, UNUSABLE_MAX_S)
        self._rests += 1
        self._rest(reason, error, until_s=now_s + rest_s)
        return True

    def abandoned(self) -> None:
        """Note that the job that was to show something has left without showing it."""
        self.probe = False

    def forgive(self) -> None:
        """Forget everything: whoever changed the account wants to know at once whether it works."""
        self._outcomes.clear()
        self._back()

    def _back(self) -> bool:
        was_out = self.reason is not None
        self.reason = self.error = None
        self.probe = False
        self._rests = 0
        return was_out

    def _rest(self, reason: Reason, error: JobError | None, *, until_s: float) -> None:
        self.reason, self.error, self.until_s = reason, error, until_s
        self.probe = False
        self._outcomes.clear()

    def _count(self, trouble: Trouble | None, now_s: float) -> None:
        self._outcomes.append((now_s, trouble))
        while self._outcomes[0][0] < now_s - WINDOW_S:
            self._outcomes.popleft()

    def _too_many(self, trouble: Trouble, tolerance: Tolerance) -> bool:
        of_kind = tolerance.allowed_of.get(trouble)
        if of_kind is not None:
            return sum(met is trouble for _, met in self._outcomes) > of_kind
        if trouble is Trouble.RATE_LIMITED:
            return False  # it is waited for, unless somebody wants it counted
        failures = sum(
            met is not None and met is not Trouble.RATE_LIMITED for _, met in self._outcomes
        )
        share = len(self._outcomes) >= SHARE_OF_AT_LEAST and failures * 2 > len(self._outcomes)
        return failures > tolerance.allowed or share


_REASONS = {
    Trouble.FAILED: Reason.UPSTREAM_ERROR,
    Trouble.UNREACHABLE: Reason.UPSTREAM_UNREACHABLE,
    Trouble.RATE_LIMITED: Reason.THROTTLED,
}
