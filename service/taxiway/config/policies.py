"""Readers of how tasks are routed: lists of fallbacks, numbers by kind of failure, tags.

Each raises `ValueError` with what is accepted, worded to follow "must be".
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches

from taxiway.config.showing import named
from taxiway.config.values import positive, text, whole
from taxiway.settings import Trouble

#: LiteLLM's classes of failure, and what each of them is here; None has no repeats, and rests at once or never.
_CLASSES: Mapping[str, Trouble | None] = {
    "InternalServerError": Trouble.FAILED,
    "Timeout": Trouble.UNREACHABLE,
    "RateLimitError": Trouble.RATE_LIMITED,
    "BadRequestError": None,
    "AuthenticationError": None,
    "ContentPolicyViolationError": None,
}

#: LiteLLM writes `TimeoutErrorRetries` for its class `Timeout`.
_SPELT = {"Timeout": "TimeoutError"}

_NAME = text("a name")
_CHAINS = "a list such as [{image: [image-spare]}]"


def names(value: object) -> tuple[str, ...]:
    """Return public names, in their order."""
    if isinstance(value, list):
        return tuple(dict.fromkeys(map(_name, value)))
    raise ValueError("a list of names")


def fallbacks(value: object) -> dict[str, tuple[str, ...]]:
    """Return name → the names that follow it."""
    listed = value if isinstance(value, list) else [value]
    chains = [each for each in listed if isinstance(each, Mapping)]
    if len(chains) < len(listed):
        raise ValueError(_CHAINS)
    found: dict[str, tuple[str, ...]] = {}
    for chain in chains:
        for name, followers in chain.items():
            found[_name(name)] = (*found.get(_name(name), ()), *_followers(followers))
    return found


def _followers(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return names(value)
    raise ValueError(_CHAINS)


def per_trouble(ending: str) -> Callable[[object], dict[Trouble, int]]:
    """Return a reader of LiteLLM's policies, whose keys are a class of failure with an ending."""
    known = {f"{_SPELT.get(name, name)}{ending}": trouble for name, trouble in _CLASSES.items()}
    count = whole("", least=0)

    def read(value: object) -> dict[Trouble, int]:
        if isinstance(value, Mapping):
            if unknown := [key for key in value if key not in known]:
                raise ValueError(with_keys(known, unknown[0]))
            numbers = {key: count(number) for key, number in value.items() if number is not None}
            troubles = ((known[key], number) for key, number in numbers.items())
            return {trouble: number for trouble, number in troubles if trouble is not None}
        raise ValueError(f"a mapping such as {{InternalServerError{ending}: 1}}")

    return read


def per_group(ending: str) -> Callable[[object], dict[str, dict[Trouble, int]]]:
    """Return a reader of such policies by public name."""
    read_one = per_trouble(ending)

    def read(value: object) -> dict[str, dict[Trouble, int]]:
        if isinstance(value, Mapping):
            return {_name(name): read_one(each) for name, each in value.items()}
        raise ValueError(f"a mapping such as {{image: {{InternalServerError{ending}: 1}}}}")

    return read


def tags(value: object) -> tuple[str, ...]:
    """Return the tags of a deployment."""
    if isinstance(value, list) and all(isinstance(each, str) and each.strip() for each in value):
        return tuple(dict.fromkeys(each.strip() for each in value))
    raise ValueError("a list of texts")


def not_negative(unit: str) -> Callable[[object], float]:
    """Return a reader of a number from 0 on; `unit` names what it counts."""

    def read(value: object) -> float:
        return whole(unit, least=0)(value) if value in (0, "0") else _measure(value, unit)

    return read


def _measure(value: object, unit: str) -> float:
    try:
        return positive(unit)(value)
    except ValueError:
        raise ValueError(f"a number of {unit}, 0 or more") from None


def with_keys(known: Iterable[str], wrong: object) -> str:
    """Return which keys a mapping may have, and which one that it has not is meant by a wrong one."""
    near = get_close_matches(str(wrong), list(known), n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"a mapping with keys of {', '.join(known)}; {named(wrong)} is none{hint}"


def _name(value: object) -> str:
    try:
        return _NAME(value)
    except ValueError:
        raise ValueError("a list of names, each in one line of text") from None
