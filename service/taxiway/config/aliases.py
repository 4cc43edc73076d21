"""Further public names: `model_group_alias`, and those that come with the catalogue."""

from collections.abc import Mapping

from taxiway.config.deployments import Offer
from taxiway.config.models import near
from taxiway.config.reading import Reading
from taxiway.config.showing import named, shown
from taxiway.config.values import flag, text

PLACE = "router_settings.model_group_alias"

_NAME = text("a model_name")


def read_aliases(
    raw: object, offer: Offer, reading: Reading
) -> tuple[dict[str, str], frozenset[str]]:
    """Return alias → model_name, and the aliases that are not to be listed.

    An alias of a skipped name is left out aloud, one of nothing is refused.
    """
    hidden: set[str] = set()
    names = {draft.model_name for draft in offer.drafts}
    found = {d.alias: d.model_name for d in offer.drafts if d.alias and d.alias not in names}
    for alias, value in reading.mapping(raw, place=PLACE, what="names").items():
        place = f"{PLACE}.{named(alias)}"
        target = _target(value, reading, place=place)
        if target is None:
            continue
        if _is_hidden(value, reading, place=place):
            hidden.add(alias)
        if alias in names:
            reading.notes.refuse(
                f"{place} is a model_name itself; one name cannot mean two things."
            )
        elif target in names:
            found[alias] = target
        elif target in offer.skipped:
            reading.notes.warn(place, f"is skipped, since {offer.skipped[target]}")
        else:
            reading.notes.refuse(
                f"{place} leads to {shown(target)}, which no entry of model_list bears"
                f"{near(target, names)}"
            )
    return found, frozenset(hidden & found.keys())


def _is_hidden(raw: object, reading: Reading, *, place: str) -> bool:
    value = raw.get("hidden") if isinstance(raw, Mapping) else None
    return reading.value(value, flag, place=f"{place}.hidden") or False


def _target(raw: object, reading: Reading, *, place: str) -> str | None:
    if not isinstance(raw, Mapping):
        return reading.value(raw, _NAME, place=place)
    for key in raw:
        if key not in ("model", "hidden"):
            reading.notes.refuse(f"{place} has the key {named(key)}; it takes model and hidden.")
    if raw.get("model") is None:
        reading.notes.refuse(f"{place}.model is missing.")
    return reading.value(raw.get("model"), _NAME, place=f"{place}.model")
