"""How long a deployment takes: what its last tasks took, while that is still news."""

from collections import deque
from collections.abc import Iterator


class Durations:
    """The newest durations of one deployment, each with the time it was taken at."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: deque[tuple[float, float]] = deque()

    def add(self, duration_s: float, *, now_s: float, most: int) -> None:
        """Take a duration; of more than `most` the oldest goes."""
        self._taken.append((now_s, duration_s))
        while len(self._taken) > most:
            self._taken.popleft()

    def mean_s(self, *, now_s: float, ttl_s: float) -> float | None:
        """Return the mean of the durations not older than `ttl_s`; None without any."""
        fresh = list(self._fresh(now_s - ttl_s))
        return sum(fresh) / len(fresh) if fresh else None

    def _fresh(self, since_s: float) -> Iterator[float]:
        return (duration_s for at_s, duration_s in self._taken if at_s >= since_s)
