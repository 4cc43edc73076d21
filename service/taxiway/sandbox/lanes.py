"""Concurrency: which tasks are at work, which wait as THROTTLED, and who is let in next.

The past is worked out when somebody asks. Every end is known beforehand, so replaying the ends in order
gives the very queue that a timer per task would have given.
"""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Mapping

from taxiway.sandbox.settings import limit_for
from taxiway.sandbox.tasks import RunwayTask

Limit = int | Mapping[str, int] | None


class Lanes:
    """One first-in-first-out lane per model. `on_end` hears of each task that has ended by itself."""

    def __init__(self, *, limit: Limit, on_end: Callable[[RunwayTask], None]) -> None:
        self._limit = limit
        self._on_end = on_end
        self._active: Counter[str] = Counter()
        self._waiting: dict[str, deque[RunwayTask]] = {}
        self._ends: list[tuple[float, int, RunwayTask]] = []
        self._entered = 0

    def enter(self, task: RunwayTask, *, now: float) -> None:
        """Let a new task in, or line it up behind those that wait."""
        if task.outcome.stuck == "THROTTLED":
            return
        self._waiting.setdefault(task.model, deque()).append(task)
        self._admit(task.model, now=now)

    def leave(self, task: RunwayTask, *, now: float) -> None:
        """Take out a task that has just been marked as deleted; the next in line gets its place."""
        if task.active_from <= now < task.ends_at:
            self._active[task.model] -= 1
            self._admit(task.model, now=now)

    def settle(self, now: float) -> None:
        """Play everything that has ended by now, in order."""
        while self._ends and self._ends[0][0] <= now:
            ended_at, _, task = heapq.heappop(self._ends)
            if task.deleted_at is not None:
                continue
            self._active[task.model] -= 1
            self._on_end(task)
            self._admit(task.model, now=ended_at)

    def relimit(self, limit: Limit, *, now: float) -> None:
        """Change the concurrency from now on. Tasks at work are left alone."""
        self._limit = limit
        for model in self._waiting:
            self._admit(model, now=now)

    def _admit(self, model: str, *, now: float) -> None:
        limit = limit_for(model, limit=self._limit)
        waiting = self._waiting.get(model)
        while waiting and (limit is None or self._active[model] < limit):
            task = waiting.popleft()
            if task.deleted_at is not None:
                continue
            task.active_from = now
            self._active[model] += 1
            self._entered += 1
            heapq.heappush(self._ends, (task.ends_at, self._entered, task))
