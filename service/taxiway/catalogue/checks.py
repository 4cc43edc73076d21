"""What a catalogue entry must satisfy to be believed: a slip of the pen stops the start, not a request."""

import re
from collections.abc import Iterator
from itertools import combinations

from taxiway.catalogue.entries import Choices, Model, Price, Rate

#: Width and height of a ratio; five digits reach well beyond the largest side of any model (11,712).
PAIR = re.compile(r"([1-9][0-9]{0,4}):([1-9][0-9]{0,4})")
SPECIAL = re.compile(r"[a-z][a-z0-9_]*")


def faults(model: Model) -> Iterator[str]:
    """Yield what cannot be right about a model, a clause each; nothing for a sound one."""
    yield from _body_faults(model)
    yield from _ratio_faults(model)
    yield from _condition_faults(model)
    yield from _number_faults(model)
    yield from _choice_faults(model)
    if model.price is not None:
        yield from _tier_faults(model, model.price)
        yield from _rate_faults(model, model.price)


def _body_faults(model: Model) -> Iterator[str]:
    yield from _repeated("fields", model.fields)
    yield from _strangers("required", model.required, among=model.fields, kind="field")
    described = {
        "outputCount": model.outputs,
        "quality": model.quality,
        "outputFormat": model.output_format,
        "background": model.background,
        "thinkingLevel": model.thinking_level,
        "referenceImages": model.references,
    }
    for field, facts in described.items():
        if (field in model.fields) != (facts is not None):
            yield f"{field} must be both among the fields and described, or neither"


def _ratio_faults(model: Model) -> Iterator[str]:
    if not model.ratios:
        yield "ratios must not be empty"
    yield from _repeated("ratios", model.ratios)
    for ratio in model.ratios:
        if not PAIR.fullmatch(ratio) and not SPECIAL.fullmatch(ratio):
            yield f"ratio {ratio!r} is neither width:height nor a word"
    if model.ratio_default is None:
        if "ratio" in model.required:
            yield "ratio is required, so ratio_default must be set"
    elif model.ratio_default not in model.ratios:
        yield f"ratio_default {model.ratio_default!r} is not among the ratios"


def _condition_faults(model: Model) -> Iterator[str]:
    with_references = model.ratios_only_with_references
    without = model.ratios_only_without_references
    named = {
        "ratios_only_with_references": with_references,
        "ratios_only_without_references": without,
    }
    for key, ratios in named.items():
        yield from _strangers(key, ratios, among=model.ratios, kind="ratio")
        if model.ratio_default in ratios:
            yield f"ratio_default {model.ratio_default!r} is not for every request, by {key}"
    for ratio in with_references:
        if ratio in without:
            yield f"ratio {ratio!r} is for requests with references only, and without only"
    if model.ratio_needs_references and PAIR.fullmatch(model.ratio_default or ""):
        yield "ratio_default is a pixel pair, which ratio_needs_references does not always allow"
    if model.ratio_excluded_by and "ratio" in model.required:
        yield "ratio is required, so ratio_excluded_by cannot be"
    for key, fields in {
        "ratio_excluded_by": model.ratio_excluded_by,
        "fields_need_references": model.fields_need_references,
    }.items():
        yield from _strangers(key, fields, among=model.fields, kind="field")


def _number_faults(model: Model) -> Iterator[str]:
    references, outputs = model.references, model.outputs
    if model.prompt_max is not None and model.prompt_max < 1:
        yield "prompt_max must be at least 1"
    if model.free_area is not None and not 1 <= model.free_area[0] <= model.free_area[1]:
        yield "free_area must hold two positive areas, the smaller first"
    if model.ratio_needs_references < 0:
        yield "ratio_needs_references must not be negative"
    if references is not None and not _in_order(0, references.min, references.max):
        yield "references must have 0 <= min <= max"
    if outputs is not None and not _in_order(1, outputs.min, outputs.max, *outputs.values):
        yield "outputs must be at least 1, in ascending order"
    if outputs is not None and outputs.values and (outputs.min, outputs.max) != (None, None):
        yield "outputs must have either bounds or values"


def _choice_faults(model: Model) -> Iterator[str]:
    for key in ("quality", "output_format", "background", "thinking_level"):
        choices: Choices | None = getattr(model, key)
        if choices is None:
            continue
        yield from _repeated(key, choices.values)
        if not choices.values:
            yield f"{key} must list its values"
        if choices.default is not None and choices.default not in choices.values:
            yield f"{key}'s default {choices.default!r} is not among its values"
    if (special := model.quality_with_references) is not None:
        words = (special.default, *special.values)
        key = "quality_with_references"
        yield from _strangers(key, words, among=_qualities(model), kind="quality")
        yield from _strangers(key, special.unless, among=model.fields, kind="field")


def _tier_faults(model: Model, price: Price) -> Iterator[str]:
    tiered = tuple(ratio for tier in price.tiers for ratio in tier.ratios)
    yield from _repeated("tiers", tiered)
    yield from _strangers("tiers", tiered, among=model.ratios, kind="ratio")
    if price.tiers:
        yield from (f"ratio {r!r} is in no tier" for r in model.ratios if r not in tiered)


def _rate_faults(model: Model, price: Price) -> Iterator[str]:
    tiers = tuple(tier.name for tier in price.tiers)
    for rate in price.rates:
        if rate.tier is not None and rate.tier not in tiers:
            yield f"a rate is for the tier {rate.tier!r}, which is not described"
        if rate.quality is not None and rate.quality not in _qualities(model):
            yield f"a rate is for the quality {rate.quality!r}, which the model does not have"
        if rate.credits < 0:
            yield "a rate's credits must not be negative"
    if any(_overlap(one, other) for one, other in combinations(price.rates, 2)):
        yield "two rates fit the same image"
    if price.reference is not None and price.reference.credits < 0:
        yield "the credits of a reference must not be negative"
    if price.reference is not None and model.references is None:
        yield "a reference has a price, and none is accepted"


def _overlap(one: Rate, other: Rate) -> bool:
    same_tier = None in (one.tier, other.tier) or one.tier == other.tier
    same_quality = None in (one.quality, other.quality) or one.quality == other.quality
    return same_tier and same_quality


def _qualities(model: Model) -> tuple[str, ...]:
    return model.quality.values if model.quality is not None else ()


def _in_order(*numbers: int | None) -> bool:
    known = [number for number in numbers if number is not None]
    return known == sorted(known)


def _repeated(key: str, values: tuple[str, ...]) -> Iterator[str]:
    for value in dict.fromkeys(value for value in values if values.count(value) > 1):
        yield f"{key} has {value!r} twice"


def _strangers(
    key: str, values: tuple[str, ...], *, among: tuple[str, ...], kind: str
) -> Iterator[str]:
    yield from (
        f"{key} names {value!r}, which is no {kind} of the model"
        for value in values
        if value not in among
    )
