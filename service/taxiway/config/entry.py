"""One entry of `model_list`: what it names, whether it can be offered, and the settings it gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taxiway.config import body, params
from taxiway.config.credentials import Credentials
from taxiway.config.defaults import Defaults
from taxiway.config.models import Named, near, parse
from taxiway.config.reading import Reading
from taxiway.config.showing import shown
from taxiway.config.values import text
from taxiway.vendors import RUNWAYML, VENDORS, Vendor

#: LiteLLM's word for what Taxiway does.
MODE = "image_generation"

_NAME = text("a name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry that says what it is about."""

    place: str
    """Its path in the file."""
    name: str
    """The public name, or a pattern of names."""
    named: Named
    vendor: Vendor | None
    """None for one that has no adapter here."""
    params: Mapping[str, object]
    info: Mapping[str, object]


def parsed(raw: object, reading: Reading, *, place: str) -> Entry | None:
    """Return an entry; None where it is refused."""
    before = len(reading.notes.problems)
    values = reading.mapping(raw, place=place, what="model_name and litellm_params")
    if len(reading.notes.problems) > before:
        return None
    given = reading.mapping(
        values.get("litellm_params"), place=f"{place}.litellm_params", what="settings"
    )
    info = reading.mapping(values.get("model_info"), place=f"{place}.model_info", what="settings")
    name = _needed(values, "model_name", reading, place=place)
    model = _needed(given, "model", reading, place=f"{place}.litellm_params")
    vendor = reading.value(
        given.get("custom_llm_provider"), _NAME, place=f"{place}.litellm_params.custom_llm_provider"
    )
    if name is None or model is None or len(reading.notes.problems) > before:
        return None
    reading.section(values, params.ENTRY, place=place)
    named = parse(model, vendor=vendor)
    known = VENDORS.get(named.vendor or "")
    return Entry(place=place, name=name, named=named, vendor=known, params=given, info=info)


def reason_to_skip(entry: Entry, reading: Reading) -> str | None:
    """Return why an entry cannot be offered, as the end of a sentence; None where it can."""
    place, info = f"{entry.place}.model_info", entry.info
    if entry.vendor is None:
        return _foreign(entry.named)
    mode = reading.value(info.get("mode"), _NAME, place=f"{place}.mode")
    if mode is not None and mode != MODE:
        return f"its mode is {shown(mode)}, and Taxiway serves {MODE}."
    images = entry.vendor.makes_images
    if mode is None and images is not None and not images.fullmatch(entry.named.model):
        model = shown(entry.named.model)
        return f"nothing says that {model} makes images; if it does, set model_info.mode to {MODE}."
    for key in ("team_id", "access_windows"):
        if info.get(key):
            return f"{key} keeps it to some callers, and Taxiway would offer it to all."
    if entry.params.get("mock_response") is not None:
        return "mock_response has no effect in this release, and it would buy real images."
    return None


def settings(
    entry: Entry, vendor: Vendor, reading: Reading, *, defaults: Defaults, credentials: Credentials
) -> dict[str, Any]:
    """Return the deployment's settings by field: the entry's, else its credential's, else the defaults."""
    place = f"{entry.place}.litellm_params"
    before = len(reading.notes.problems)
    words = params.litellm_params(vendor, body.fields(vendor))
    own = reading.section(entry.params, words, place=place)
    own |= reading.section(entry.info, params.INFO, place=f"{entry.place}.model_info")
    name = reading.value(
        entry.params.get("litellm_credential_name"),
        _NAME,
        place=f"{place}.litellm_credential_name",
    )
    shared = credentials.find(name, vendor, place=place) if name is not None else {}
    found = {**defaults.of(vendor, reading), **shared, **own}
    if (price := found.pop("input_price_microusd", None)) is not None:
        found.setdefault("price_microusd", price)
    if "api_key" not in found and len(reading.notes.problems) == before:
        reading.notes.refuse(
            f"{place}.api_key is missing, and the variable {vendor.key_variables[0]} is not set."
        )
    return found


def _foreign(named: Named) -> str:
    if named.vendor is None:
        return (
            f"the catalogue has no model {shown(named.model)}; if it is Runway's, write {RUNWAYML.name}/"
            f" before it{near(named.model)}"
        )
    return (
        f"it belongs to {shown(named.vendor)}, and Taxiway serves {' and '.join(VENDORS)}"
        f"{near(named.vendor, VENDORS)}"
    )


def _needed(values: Mapping[str, object], key: str, reading: Reading, *, place: str) -> str | None:
    if values.get(key) is None:
        reading.notes.refuse(f"{place}.{key} is missing.")
        return None
    return reading.value(values[key], _NAME, place=f"{place}.{key}")
