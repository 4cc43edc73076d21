"""Readers of what virtual keys may do.

Each raises `ValueError` with what is accepted, worded to follow "must be".
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from taxiway.config.policies import names, not_negative, tags, with_keys
from taxiway.config.values import text, whole
from taxiway.periods import ACCEPTED, read_period
from taxiway.settings import Budget, KeyParams

#: More than this nobody hands out in one key.
_USD_MAX = 1e9


def budget(value: object) -> int:
    """Return a budget in micro-USD, half of one rounded up."""
    amount = not_negative("US dollars")(value)
    if amount > _USD_MAX:
        raise ValueError(f"a number of US dollars from 0 to {_USD_MAX:.0f}")
    return int(amount * 1_000_000 + 0.5)


def budget_of_all(value: object) -> int | None:
    """Return a budget in micro-USD; None for 0, with which LiteLLM means that there is none."""
    return budget(value) or None


def period(value: object) -> str:
    """Return a length of time, as it is written."""
    if isinstance(value, str) and read_period(value) is not None:
        return value
    raise ValueError(ACCEPTED)


def provider_budgets(value: object) -> dict[str, Budget]:
    """Return provider → what its tasks may cost, in either of LiteLLM's spellings."""
    listed: list[tuple[object, Any]] = (
        list(value.items()) if isinstance(value, Mapping) else [(None, value)]
    )
    if not all(isinstance(each, Mapping) for _, each in listed):
        raise ValueError(_PROVIDER)
    found = {}
    for provider, each in listed:
        words = {_SPELT.get(word, word): said for word, said in dict(each).items()}
        if not {"max_budget"} <= set(words) <= {"max_budget", "budget_duration"}:
            raise ValueError(_PROVIDER)
        duration = words.get("budget_duration")
        found[str(provider)] = Budget(
            microusd=budget(words["max_budget"]),
            duration=None if duration is None else period(duration),
        )
    return found


_PROVIDER = "a mapping such as {runwayml: {budget_limit: 100, time_period: 1d}}"
_SPELT = {"budget_limit": "max_budget", "time_period": "budget_duration"}


def status(value: object) -> int:
    """Return the HTTP status of a refusal for want of budget: one of those that LiteLLM has answered with."""
    if str(value) in map(str, _STATUSES):
        return int(str(value))
    raise ValueError(f"one of {', '.join(map(str, _STATUSES))}")


_STATUSES = (400, 402, 403, 422, 429)
_COUNT = whole("", least=1)
_LABEL = text("a text")


def _metadata(value: object) -> Mapping[str, object]:
    if isinstance(value, Mapping) and all(
        isinstance(key, str) and _is_flat(each) for key, each in value.items()
    ):
        return dict(value)
    raise ValueError("a flat mapping of texts, numbers, booleans and lists of texts")


def _is_flat(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    return value is None or isinstance(value, str | int | float | bool)


#: LiteLLM's word → the field, and how it is read. None: it would change nothing here.
_Fields = Mapping[str, tuple[str, Callable[[object], Any]] | None]

_LIMITS: _Fields = {
    "max_budget": ("max_budget_microusd", budget),
    "budget_duration": ("budget_duration", period),
    "duration": ("duration", period),
    "rpm_limit": ("rpm_limit", _COUNT),
    "max_parallel_requests": ("max_parallel_requests", _COUNT),
    "tpm_limit": None,
}

_LABELS: _Fields = {
    "models": ("models", names),
    "metadata": ("metadata", _metadata),
    "tags": ("tags", tags),
    "user_id": ("user_id", _LABEL),
    "team_id": ("team_id", _LABEL),
    "soft_budget": None,
}


def key_params(*, labels: bool) -> Callable[[object], KeyParams]:
    """Return a reader of what keys may do; `labels`: also of what they are called, and of which models."""
    known = {**_LIMITS, **_LABELS} if labels else _LIMITS

    def read(value: object) -> KeyParams:
        found: dict[str, Any] = {}
        for word, each in _words(value, known):
            field = known[word]
            if field is None or each is None:
                continue
            try:
                found[field[0]] = field[1](each)
            except ValueError as error:
                raise ValueError(f"a mapping whose {word} is {error}") from error
        return KeyParams(**found)

    return read


def _words(value: object, known: Iterable[str]) -> Iterable[tuple[str, object]]:
    if isinstance(value, Mapping):
        if unknown := [word for word in value if word not in known]:
            raise ValueError(with_keys(known, unknown[0]))
        return value.items()
    raise ValueError("a mapping such as {max_budget: 10, budget_duration: 1mo}")
