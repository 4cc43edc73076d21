"""Credits: what an order costs, and the account's book."""

import math
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from taxiway.sandbox.clock import day
from taxiway.sandbox.models import Model, Price
from taxiway.sandbox.settings import SandboxSettings
from taxiway.sandbox.tasks import Order, RunwayTask

_DAY_S = 86_400.0


def estimate(order: Order, *, price: Price, unknown_price: int) -> int:
    """Return the most an order may cost, in credits."""
    total = _per_image(order, price=price, unknown_price=unknown_price) * order.outputs
    surcharge = price.reference_credits * order.references
    return total + surcharge * (order.outputs if price.reference_per == "output" else 1)


def _per_image(order: Order, *, price: Price, unknown_price: int) -> int:
    tier = price.tier_of.get(order.ratio or "")
    # Of a quality that is not known, the estimate is the ceiling: the dearest that is possible.
    possible = [
        rate.credits
        for rate in price.rates
        if rate.tier in (None, tier)
        and (rate.quality is None or order.quality is None or rate.quality == order.quality)
    ]
    return max(possible, default=unknown_price)


def quality_of(model: Model, *, body: Mapping[str, Any]) -> str | None:
    """Return the quality that a body gets: its own, or the model's default; None = not known."""
    choice = model.choices.get("quality")
    if choice is None:
        return None
    if "quality" in body:
        return str(body["quality"])
    special = model.quality_with_references
    if special and body.get("referenceImages") and not any(body.get(f) for f in special.unless):
        return special.default
    return choice.default


def final_cost(task: RunwayTask, *, settings: SandboxSettings) -> int:
    """Return what a task that has ended by itself costs in the end."""
    outcome = task.outcome
    if isinstance(outcome.cost, int):
        return min(outcome.cost, task.estimate)
    if outcome.cost is not None:
        return task.estimate
    if outcome.ending == "CANCELLED":
        return 0
    if outcome.ending == "FAILED":
        safety = "SAFETY" in (outcome.fail or "")
        full = settings.charge_safety if safety else settings.charge_internal
        return task.estimate if full else 0
    return task.estimate


class Ledger:
    """The account: its balance, what was taken and given back, and how many tasks were made when."""

    def __init__(self, *, balance: int) -> None:
        self.balance = balance
        self.charged = 0
        self.refunded = 0
        self._net: dict[str, Counter[str]] = {}
        self._made: dict[str, deque[float]] = {}

    def charge(self, task: RunwayTask, *, now: float) -> None:
        """Take a new task's estimate from the balance, and count the task."""
        task.charged = task.estimate
        self.charged += task.estimate
        self._book(task.estimate, model=task.model, date=task.created_date)
        self._made.setdefault(task.model, deque()).append(now)

    def refund(self, task: RunwayTask, *, amount: int, date: float) -> None:
        """Give back some credits of a task, on this date in Unix seconds."""
        if amount <= 0:
            return
        task.refunded += amount
        self.refunded += amount
        self._book(-amount, model=task.model, date=date)

    def made_today(self, model: str, *, now: float) -> int:
        """Return how many tasks of a model were created in the last 24 h."""
        made = self._made.get(model)
        while made and made[0] <= now - _DAY_S:
            made.popleft()
        return len(made) if made else 0

    def usage(self, *, first: str, before: str) -> list[tuple[str, Mapping[str, int]]]:
        """Return net credits by model for each day from `first` up to and without `before`."""
        return [(date, self._net[date]) for date in sorted(self._net) if first <= date < before]

    def _book(self, amount: int, *, model: str, date: float) -> None:
        self.balance -= amount
        self._net.setdefault(day(date), Counter())[model] += amount


def whole(number: float) -> float:
    """Return a number as JavaScript would print it: 1, not 1.0."""
    return int(number) if math.isfinite(number) and number == int(number) else number
