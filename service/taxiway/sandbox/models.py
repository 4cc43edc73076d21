"""Runway's models as the sandbox reads them from the packaged catalogue, by its own code.

Only the data is shared with the service: an adapter that misreads it is not echoed by a fake that does too.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

#: The body fields with a closed list of words, by their key in the catalogue.
_CHOICES = {
    "quality": "quality",
    "output_format": "outputFormat",
    "background": "background",
    "thinking_level": "thinkingLevel",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A field that takes one of a few words."""

    values: tuple[str, ...]
    default: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many outputs may be asked for; None = no bound is known."""

    least: int | None
    most: int | None
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What reference images a model takes; None = no bound is known."""

    least: int
    most: int | None
    keys: tuple[str, ...]
    human_max: int | None
    object_max: int | None
    unique_tags: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Credits for one image of a tier and a quality; None = of any."""

    tier: str | None
    quality: str | None
    credits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model's images cost, as far as it is known."""

    rates: tuple[Rate, ...] = ()
    tier_of: Mapping[str, str]
    reference_credits: int = 0
    reference_per: Literal["request", "output"] = "request"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceQuality:
    """How references change a model's qualities: another default, and words that need a reference."""

    default: str | None
    values: tuple[str, ...]
    unless: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model: what its create body may hold, and what its images cost."""

    id: str
    fields: tuple[str, ...]
    required: tuple[str, ...]
    unknown_keys: Literal["ignore", "refuse"] | None
    prompt_max: int | None
    ratios: tuple[str, ...]
    free_area: tuple[int, int] | None
    ratios_only_with_references: tuple[str, ...]
    ratios_only_without_references: tuple[str, ...]
    ratio_needs_references: int
    ratio_excluded_by: tuple[str, ...]
    fields_need_references: tuple[str, ...]
    outputs: Count | None
    choices: Mapping[str, Choice]
    quality_with_references: ReferenceQuality | None
    references: References | None
    price: Price


@cache
def load_models() -> Mapping[str, Model]:
    """Return every image model by id, in the catalogue's order."""
    text = (files("taxiway") / "catalogue" / "models.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)["model"]
    return {
        entry["id"]: _model(entry)
        for entry in entries
        if entry.get("endpoint", "/v1/text_to_image") == "/v1/text_to_image"
    }


def _model(entry: Mapping[str, Any]) -> Model:
    area = entry.get("free_area")
    return Model(
        id=entry["id"],
        fields=tuple(entry["fields"]),
        required=tuple(entry["required"]),
        unknown_keys=entry.get("unknown_keys"),
        prompt_max=entry.get("prompt_max"),
        ratios=tuple(entry.get("ratios", ())),
        free_area=(area[0], area[1]) if area else None,
        ratios_only_with_references=tuple(entry.get("ratios_only_with_references", ())),
        ratios_only_without_references=tuple(entry.get("ratios_only_without_references", ())),
        ratio_needs_references=entry.get("ratio_needs_references", 0),
        ratio_excluded_by=tuple(entry.get("ratio_excluded_by", ())),
        fields_need_references=tuple(entry.get("fields_need_references", ())),
        outputs=_count(entry.get("outputs")),
        choices={
            field: Choice(values=tuple(entry[key]["values"]), default=entry[key].get("default"))
            for key, field in _CHOICES.items()
            if key in entry
        },
        quality_with_references=_reference_quality(entry.get("quality_with_references")),
        references=_references(entry.get("references")),
        price=_price(entry.get("price", {})),
    )


def _count(entry: Mapping[str, Any] | None) -> Count | None:
    if entry is None:
        return None
    return Count(
        least=entry.get("min"), most=entry.get("max"), values=tuple(entry.get("values", ()))
    )


def _references(entry: Mapping[str, Any] | None) -> References | None:
    if entry is None:
        return None
    return References(
        least=entry.get("min", 0),
        most=entry.get("max"),
        keys=tuple(entry["keys"]),
        human_max=entry.get("human_max"),
        object_max=entry.get("object_max"),
        unique_tags=entry.get("unique_tags", False),
    )


def _reference_quality(entry: Mapping[str, Any] | None) -> ReferenceQuality | None:
    if entry is None:
        return None
    return ReferenceQuality(
        default=entry.get("default"),
        values=tuple(entry.get("values", ())),
        unless=tuple(entry.get("unless", ())),
    )


def _price(entry: Mapping[str, Any]) -> Price:
    reference = entry.get("reference", {})
    return Price(
        rates=tuple(
            Rate(tier=rate.get("tier"), quality=rate.get("quality"), credits=rate["credits"])
            for rate in entry.get("rates", ())
        ),
        tier_of={
            ratio: str(tier) for tier, ratios in entry.get("tiers", {}).items() for ratio in ratios
        },
        reference_credits=reference.get("credits", 0),
        reference_per=reference.get("per", "request"),
    )
