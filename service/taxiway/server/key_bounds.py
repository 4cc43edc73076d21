"""What the configuration says of virtual keys: what a new one may do by default, and the most that any may."""

from dataclasses import replace
from typing import Any

from taxiway.budgets import usd
from taxiway.errors import BadRequestError
from taxiway.keys import Key
from taxiway.periods import read_period
from taxiway.settings import KeyParams

#: The numbers of a key that may have a most, and what they are called outside.
_NUMBERS = {
    "max_budget_microusd": "max_budget",
    "rpm_limit": "rpm_limit",
    "max_parallel_requests": "max_parallel_requests",
}

#: What a new key takes from the defaults unchanged.
_AS_THEY_ARE = (
    *_NUMBERS,
    *("budget_duration", "models", "metadata", "tags", "user_id", "team_id"),
)


def defaults(params: KeyParams, *, at: float) -> dict[str, Any]:
    """Return the fields of a new key of which nobody says otherwise."""
    found: dict[str, Any] = {name: getattr(params, name) for name in _AS_THEY_ARE}
    if params.duration is not None:
        found["expires_at"] = _after(params.duration, at)
    return found


def bounded(key: Key, most: KeyParams, *, at: float) -> Key:
    """Return a key that does not go beyond what keys may do: what it leaves open is the most.

    Raises `BadRequestError` naming the field that goes beyond, and the most.
    """
    found: dict[str, Any] = {}
    for name, field in _NUMBERS.items():
        limit, own = getattr(most, name), getattr(key, name)
        if limit is not None and (own is None or own > limit):
            if own is not None:
                raise _beyond(field, usd(limit) if field == "max_budget" else str(limit))
            found[name] = limit
    if most.budget_duration is not None:
        found["budget_duration"] = _period(key, most.budget_duration, at)
    if most.duration is not None:
        found["expires_at"] = _end(key, most.duration, at)
    return replace(key, **found)


def _period(key: Key, most: str, at: float) -> str:
    """Return how long a key's budget lasts: as LiteLLM has it, at most so long."""
    if key.budget_duration is None:
        return most
    if _after(key.budget_duration, at) > _after(most, at):
        raise _beyond("budget_duration", most)
    return key.budget_duration


def _end(key: Key, most: str, at: float) -> float:
    last_at = _after(most, at)
    if key.expires_at is None:
        return last_at
    if key.expires_at > last_at:
        raise _beyond("duration", most)
    return key.expires_at


def _after(duration: str, at: float) -> float:
    period = read_period(duration)
    return at if period is None else period.after(at)


def _beyond(field: str, most: str) -> BadRequestError:
    return BadRequestError(f"`{field}` must be at most {most} here.", param=field)
