"""How tasks find a deployment: the strategy, and the names that follow a name. All names must lead somewhere."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from taxiway.config.deployments import Offer
from taxiway.config.models import near
from taxiway.config.policies import not_negative
from taxiway.config.reading import Reading
from taxiway.config.showing import named, shown
from taxiway.config.values import choice, positive, whole
from taxiway.routing.itinerary import EVERY
from taxiway.settings import Routing, Strategy

#: The settings that make up `Routing`.
FIELDS = frozenset(field.name for field in fields(Routing))

#: LiteLLM's strategies, and what each of them is here.
STRATEGIES: Mapping[str, Strategy] = {
    "simple-shuffle": Strategy.SIMPLE_SHUFFLE,
    "least-busy": Strategy.LEAST_BUSY,
    "usage-based-routing": Strategy.LEAST_BUSY,
    "usage-based-routing-v2": Strategy.LEAST_BUSY,
    "latency-based-routing": Strategy.LATENCY,
    "cost-based-routing": Strategy.COST,
    "lar1": Strategy.SIMPLE_SHUFFLE,
}

_ARGS: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "ttl": ("latency_ttl_s", positive("seconds")),
    "lowest_latency_buffer": ("latency_buffer", not_negative("times the lowest")),
    "max_latency_list_size": ("latency_samples", whole("durations", least=1)),
}

_SECTION = "router_settings"


def read_strategy(router: Mapping[str, object], reading: Reading) -> dict[str, Any]:
    """Return the strategy and its arguments, by field of `Routing`."""
    found: dict[str, Any] = {}
    place = f"{_SECTION}.routing_strategy"
    word = reading.value(router.get("routing_strategy"), choice(*STRATEGIES), place=place)
    if word is not None:
        found["strategy"] = strategy = STRATEGIES[word]
        if word != strategy:
            reading.notes.warn(place, f"is {word}, which is about tokens; {strategy} is used.")
    args = reading.mapping(
        router.get("routing_strategy_args"), place=f"{place}_args", what="settings"
    )
    for key, value in args.items():
        if key not in _ARGS:
            reading.notes.refuse(f"{place}_args.{named(key)} is not a known key{near(key, _ARGS)}")
            continue
        field, read = _ARGS[key]
        number = reading.value(value, read, place=f"{place}_args.{key}")
        if number is not None:
            found[field] = number
    if args and found.get("strategy") is not Strategy.LATENCY:
        reading.notes.warn(
            f"{place}_args",
            f"has no effect: it belongs to {Strategy.LATENCY}, which is not in use.",
        )
    return found


class Names:
    """The names that a configuration serves, and where a name that it does not serve is refused or skipped."""

    def __init__(self, offer: Offer, aliases: Mapping[str, str], reading: Reading) -> None:
        served = dict.fromkeys(draft.model_name for draft in offer.drafts)
        self._known = {**{name: name for name in served}, **aliases}
        self._skipped = offer.skipped
        self._reading = reading

    def routing(
        self, values: Mapping[str, Any], sections: Mapping[str, Mapping[str, object]]
    ) -> dict[str, Any]:
        """Return the settings of `Routing` with every name as the deployments bear it.

        `sections` are the file's, by name: a name that nobody knows is refused where it stands.
        """
        found = dict(values)
        for field in ("fallbacks", "content_policy_fallbacks"):
            if field in values:
                place = _place(field, sections)
                found[field] = self._chains(values[field], place)
        if "default_fallbacks" in values:
            place = _place("default_fallbacks", sections)
            found["default_fallbacks"] = self._followers(values["default_fallbacks"], place)
        if "group_retry_policies" in values:
            place = f"{_SECTION}.model_group_retry_policy"
            policies = values["group_retry_policies"]
            found["group_retry_policies"] = {
                known: policy
                for name, policy in policies.items()
                if (known := self._name(name, f"{place}.{named(name)}")) is not None
            }
        return found

    def _chains(
        self, chains: Mapping[str, tuple[str, ...]], place: str
    ) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for name, followers in chains.items():
            where = f"{place}.{named(name)}"
            first = EVERY if name == EVERY else self._name(name, where)
            after = self._followers(followers, where)
            if first is None:
                continue
            if first in after:
                self._reading.notes.warn(where, "falls back to itself, which is tried already.")
                after = tuple(each for each in after if each != first)
            if after:
                found[first] = after
        return found

    def _followers(self, followers: tuple[str, ...], place: str) -> tuple[str, ...]:
        known = (self._name(name, place) for name in followers)
        return tuple(dict.fromkeys(name for name in known if name is not None))

    def _name(self, name: str, place: str) -> str | None:
        if name in self._known:
            return self._known[name]
        if name in self._skipped:
            self._reading.notes.warn(place, f"goes without {shown(name)}: {self._skipped[name]}")
        else:
            self._reading.notes.refuse(
                f"{place} names {shown(name)}, which no entry of model_list bears"
                f"{near(name, self._known)}"
            )
        return None


def _place(field: str, sections: Mapping[str, Mapping[str, object]]) -> str:
    """Return where a setting stands, of two sections the one that counts."""
    section = next((name for name, values in sections.items() if field in values), _SECTION)
    return f"{section}.{field}"
