"""`model_list`: from entries to deployments. What must not be offered is left out aloud."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taxiway.catalogue.models import models
from taxiway.config import body
from taxiway.config.credentials import Credentials
from taxiway.config.defaults import Defaults
from taxiway.config.entry import Entry, parsed, reason_to_skip, settings
from taxiway.config.models import matching, near
from taxiway.config.reading import Reading
from taxiway.config.showing import shown
from taxiway.settings import Deployment
from taxiway.vendors import RUNWAYML, Vendor


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A deployment on its way: its settings by field, still without a derived id."""

    place: str
    fields: Mapping[str, Any]
    alias: str | None = None
    """A second name that comes with it."""
    from_pattern: bool = False

    @property
    def model_name(self) -> str:
        """The public name."""
        name: str = self.fields["model_name"]
        return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a `model_list` offers, and the public names that no deployment bears, with the reason.

    A refused entry's name is among these: what else names it is not at fault.
    """

    drafts: tuple[Draft, ...]
    skipped: Mapping[str, str]


def read_model_list(
    raw: object, reading: Reading, *, defaults: Defaults, credentials: Credentials
) -> Offer:
    """Return the offer of a `model_list`. `defaults` are the settings of an entry that says nothing else."""
    drafts: list[Draft] = []
    skipped: dict[str, str] = {}
    for index, each in enumerate(reading.items(raw, place="model_list", what="entries")):
        entry = parsed(each, reading, place=f"model_list[{index}]")
        if entry is None:
            skipped |= _refused(each, place=f"model_list[{index}]")
            continue
        why = reason_to_skip(entry, reading)
        if why is not None or entry.vendor is None:
            reading.notes.warn(entry.place, f"is skipped: {why}")
            skipped[entry.name] = f"{entry.place} is skipped: {why}"
            continue
        before = len(reading.notes.problems)
        found = settings(entry, entry.vendor, reading, defaults=defaults, credentials=credentials)
        if len(reading.notes.problems) == before:
            drafts += _drafts(entry, entry.vendor, found, reading)
        else:
            skipped |= _refused(each, place=entry.place)
    if not drafts and not reading.notes.problems:
        why = next(iter(skipped.values()), "it is empty.")
        reading.notes.refuse(f"model_list leaves nothing to serve: {why}")
    named = {draft.model_name for draft in drafts if not draft.from_pattern}
    kept = (draft for draft in drafts if not draft.from_pattern or draft.model_name not in named)
    return Offer(drafts=tuple(kept), skipped=skipped)


def _refused(raw: object, *, place: str) -> dict[str, str]:
    name = raw.get("model_name") if isinstance(raw, Mapping) else None
    return {name: f"{place} is refused."} if isinstance(name, str) else {}


def whole_catalogue(defaults: Mapping[str, Any]) -> Offer:
    """Return every model of the catalogue, under its own name and under that with the vendor's prefix."""
    drafts = (
        Draft(
            place=name,
            fields={**defaults, **_names(name, RUNWAYML, name)},
            alias=f"{RUNWAYML.name}/{name}",
        )
        for name in models()
    )
    return Offer(drafts=tuple(drafts), skipped={})


def deployments(offer: Offer, reading: Reading) -> tuple[Deployment, ...]:
    """Return the deployments, each with its id: a given one, or one that outlives edits of key and price."""
    twins: Counter[tuple[str, str, str]] = Counter()
    taken: dict[str, str] = {}
    made: list[Deployment] = []
    for draft in offer.drafts:
        names = (draft.model_name, draft.fields["provider"], draft.fields["model"])
        twins[names] += 1
        given = draft.fields.get("id") or _identity(*names, ordinal=twins[names])
        if given in taken:
            reading.notes.refuse(
                f"{draft.place}.model_info.id {shown(given)} is that of {taken[given]}."
            )
        taken[given] = draft.place
        made.append(Deployment(**{**draft.fields, "id": given}))
    return tuple(made)


def _drafts(
    entry: Entry, vendor: Vendor, found: Mapping[str, Any], reading: Reading
) -> list[Draft]:
    patterns = entry.name.count("*"), entry.named.model.count("*")
    if patterns == (0, 0):
        return [_one(entry, vendor, found, reading)]
    if not vendor.catalogued:
        reading.notes.refuse(
            f"{entry.place} has a *, and nobody here knows which models {vendor.name} has: name each."
        )
        return []
    if patterns == (1, 1):
        return _many(entry, vendor, found, reading)
    reading.notes.refuse(
        f"{entry.place} must have one * in model_name and one in litellm_params.model, or none in either."
    )
    return []


def _one(entry: Entry, vendor: Vendor, found: Mapping[str, Any], reading: Reading) -> Draft:
    model = entry.named.model
    place = f"{entry.place}.litellm_params"
    if not vendor.catalogued and found.get("price_microusd") is None:
        reading.notes.warn(
            f"{place}.output_cost_per_image",
            "is not set: unless the answers say what they cost, nobody knows it, and jobs say so.",
        )
    if vendor.catalogued and model not in models():
        reading.notes.warn(
            f"{place}.model",
            f"names {shown(model)}, which the catalogue does not know: its fields are not checked and"
            f" its price is unknown{near(model)}",
        )
    defaults = body.defaults(entry.params, vendor, model, reading, place=place)
    fields = {**found, **_names(entry.name, vendor, model), "defaults": defaults}
    return Draft(place=entry.place, fields=fields)


def _many(entry: Entry, vendor: Vendor, found: Mapping[str, Any], reading: Reading) -> list[Draft]:
    place = f"{entry.place}.litellm_params"
    matches = matching(entry.named.model)
    if not matches:
        reading.notes.refuse(f"{place}.model matches no model of the catalogue.")
    for key in (key for key in entry.params if key in body.fields(vendor)):
        without = [model for model, _ in matches if not body.has(model, key)]
        if without:
            reading.notes.warn(
                f"{place}.{key}", f"has no effect on {', '.join(without)}: the field is not theirs."
            )
    drafts = []
    for model, star in matches:
        values = {key: value for key, value in entry.params.items() if body.has(model, key)}
        names = _names(entry.name.replace("*", star), vendor, model)
        if "id" in found:
            names["id"] = f"{found['id']}:{model}"
        defaults = body.defaults(values, vendor, model, reading, place=place)
        drafts.append(
            Draft(
                place=entry.place,
                fields={**found, **names, "defaults": defaults},
                alias=f"{vendor.name}/{model}" if entry.name == "*" else None,
                from_pattern=True,
            )
        )
    return drafts


def _names(model_name: str, vendor: Vendor, model: str) -> dict[str, str]:
    return {"model_name": model_name, "provider": vendor.name, "model": model}


def _identity(model_name: str, vendor: str, model: str, *, ordinal: int) -> str:
    """Return an id that can be read, travels in a header, and that no two pairs of names share."""
    digest = hashlib.sha256(f"{model_name}\0{vendor}/{model}".encode()).hexdigest()[:8]
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", model_name).strip("-")[:40] or "deployment"
    return f"{slug}-{digest}" if ordinal == 1 else f"{slug}-{digest}-{ordinal}"
