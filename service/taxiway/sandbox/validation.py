"""The create body against its model's rules: an order, or every issue at once."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

from taxiway.sandbox.models import Model
from taxiway.sandbox.money import quality_of
from taxiway.sandbox.references import reference_issues, uri_issues
from taxiway.sandbox.settings import SandboxSettings
from taxiway.sandbox.tasks import Order
from taxiway.sandbox.zod import (
    UNDEFINED,
    Issue,
    custom,
    no_discriminator,
    no_union_member,
    not_integer,
    not_listed,
    too_big,
    too_small,
    unrecognized,
    utf16_length,
    wrong_format,
    wrong_type,
)

_SEED_MAX = 4_294_967_295
_PAIR = re.compile(r"([1-9][0-9]{0,4}):([1-9][0-9]{0,4})")
_FREE_RATIO_MAX = 32
_HEX = re.compile(r"#[0-9A-Fa-f]{6}")
_HEX_PATTERN = "/^#[0-9A-Fa-f]{6}$/"

#: Sizes the sandbox makes where the vendor would choose; documented, fixed, and its own invention.
CHOSEN_SIZES: Mapping[str | None, tuple[int, int]] = {
    "auto": (1600, 1600),
    "auto_1k": (1024, 1024),
    "auto_2k": (2048, 2048),
    None: (1024, 1024),
}

Check = Callable[[Model, Any], list[Issue]]


def check_body(
    body: object, *, models: Mapping[str, Model], settings: SandboxSettings
) -> list[Issue]:
    """Return everything that is wrong with a create body, in the order of the model's fields."""
    if not isinstance(body, dict):
        return [wrong_type("object", body, path=())]
    name = body.get("model", UNDEFINED)
    if not isinstance(name, str):
        return [wrong_type("string", name, path=("model",)), no_discriminator("model")]
    model = models.get(name)
    if model is None:
        return [not_listed(tuple(models), path=("model",)), no_discriminator("model")]
    issues = [
        issue for field in model.fields for issue in _check_field(model, field, body, settings)
    ]
    issues += _unknown_keys(model, body, settings)
    # Zod runs an object's refinements only once its shape is right.
    return issues or _check_together(model, body)


def read_order(
    body: Mapping[str, Any], *, model: Model, size: tuple[int, int] | None = None
) -> Order:
    """Return the order in a body that has been checked. `size` is for a picture that keeps its reference's."""
    ratio = body.get("ratio")
    pair = _PAIR.fullmatch(ratio or "")
    chosen = size or CHOSEN_SIZES[ratio if ratio in CHOSEN_SIZES else None]
    return Order(
        model=model.id,
        prompt=body["promptText"],
        ratio=ratio,
        size=(int(pair[1]), int(pair[2])) if pair else chosen,
        outputs=int(body.get("outputCount", 1)) if model.outputs else 1,
        quality=quality_of(model, body=body),
        format=_format(model, body),
        transparent=body.get("background") == "transparent" and "background" in model.fields,
        seed=body.get("seed") if "seed" in model.fields else None,
        references=len(body.get("referenceImages", ())),
    )


def _format(model: Model, body: Mapping[str, Any]) -> Literal["png", "jpeg", "webp", "svg"]:
    if model.id.endswith("_vector"):
        return "svg"
    choice = model.choices.get("outputFormat")
    if choice is None:
        return "png"
    asked = body.get("outputFormat", choice.default or "png")
    return cast("Literal['png', 'jpeg', 'webp', 'svg']", asked)


def _check_field(
    model: Model, field: str, body: Mapping[str, Any], settings: SandboxSettings
) -> list[Issue]:
    value = body.get(field, UNDEFINED)
    if value is UNDEFINED and field not in model.required:
        return []
    if field == "referenceImages":
        return reference_issues(value, model=model, strict_tags=settings.strict_tags)
    if field in model.choices:
        return _choice(model.choices[field].values, value, field)
    return _CHECKS[field](model, value)


def _choice(values: tuple[str, ...], value: object, field: str) -> list[Issue]:
    return [] if value in values else [not_listed(values, path=(field,))]


def _prompt(model: Model, value: object) -> list[Issue]:
    path = ("promptText",)
    if not isinstance(value, str):
        return [wrong_type("string", value, path=path)]
    if not value:
        return [too_small("string", 1, path=path)]
    if model.prompt_max is not None and utf16_length(value) > model.prompt_max:
        return [too_big("string", model.prompt_max, path=path)]
    return []


def _ratio(model: Model, value: object) -> list[Issue]:
    path = ("ratio",)
    if value in model.ratios:
        return []
    listed = not_listed(model.ratios, path=path)
    if model.free_area is None:
        return [listed]
    why = _free_ratio(value, area=model.free_area)
    return [no_union_member([[listed], [why]], path=path)] if why else []


def _free_ratio(value: object, *, area: tuple[int, int]) -> Issue | None:
    if not isinstance(value, str):
        return wrong_type("string", value, path=())
    if len(value) > _FREE_RATIO_MAX:
        return too_big("string", _FREE_RATIO_MAX, path=())
    pair = _PAIR.fullmatch(value)
    if pair is None:
        return wrong_format("/^\\d+:\\d+$/", path=())
    if not area[0] <= int(pair[1]) * int(pair[2]) <= area[1]:
        return custom(f"width x height must be from {area[0]} to {area[1]} pixels", path=())
    return None


def _integer(
    value: object, *, path: tuple[str], least: int | None, most: int | None
) -> list[Issue]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return [wrong_type("number", value, path=path)]
    if value != int(value):
        return [not_integer(path=path)]
    if least is not None and value < least:
        return [too_small("number", least, path=path)]
    if most is not None and value > most:
        return [too_big("number", most, path=path)]
    return []


def _seed(_model: Model, value: object) -> list[Issue]:
    return _integer(value, path=("seed",), least=0, most=_SEED_MAX)


def _output_count(model: Model, value: object) -> list[Issue]:
    count, path = model.outputs, ("outputCount",)
    if count is None:
        return []
    if count.values:
        listed = not isinstance(value, bool) and value in count.values
        return [] if listed else [not_listed(count.values, path=path)]
    return _integer(
        value, path=path, least=1 if count.least is None else count.least, most=count.most
    )


def _moderation(_model: Model, value: object) -> list[Issue]:
    if not isinstance(value, dict):
        return [wrong_type("object", value, path=("contentModeration",))]
    issues = []
    threshold = value.get("publicFigureThreshold", "auto")
    if threshold not in ("auto", "low"):
        path = ("contentModeration", "publicFigureThreshold")
        issues.append(not_listed(("auto", "low"), path=path))
    unknown = [key for key in value if key != "publicFigureThreshold"]
    if unknown:
        issues.append(unrecognized(unknown, path=("contentModeration",)))
    return issues


def _flag(field: str) -> Check:
    def check(_model: Model, value: object) -> list[Issue]:
        right = isinstance(value, bool)
        return [] if right else [wrong_type("boolean", value, path=(field,))]

    return check


def _colour(value: object, *, path: tuple[str | int, ...]) -> list[Issue]:
    if not isinstance(value, str):
        return [wrong_type("string", value, path=path)]
    return [] if _HEX.fullmatch(value) else [wrong_format(_HEX_PATTERN, path=path)]


def _background_colour(_model: Model, value: object) -> list[Issue]:
    return _colour(value, path=("backgroundColor",))


def _colours(_model: Model, value: object) -> list[Issue]:
    if not isinstance(value, list):
        return [wrong_type("array", value, path=("colors",))]
    return [
        issue for index, each in enumerate(value) for issue in _colour(each, path=("colors", index))
    ]


def _mask(_model: Model, value: object) -> list[Issue]:
    return uri_issues(value, path=("maskUri",))


_CHECKS: Mapping[str, Check] = {
    "promptText": _prompt,
    "ratio": _ratio,
    "seed": _seed,
    "outputCount": _output_count,
    "contentModeration": _moderation,
    "grounding": _flag("grounding"),
    "edit": _flag("edit"),
    "preciseEdit": _flag("preciseEdit"),
    "backgroundColor": _background_colour,
    "colors": _colours,
    "maskUri": _mask,
}


def _unknown_keys(model: Model, body: Mapping[str, Any], settings: SandboxSettings) -> list[Issue]:
    if (model.unknown_keys or settings.unknown_keys) == "ignore":
        return []
    unknown = [key for key in body if key != "model" and key not in model.fields]
    return [unrecognized(unknown, path=())] if unknown else []


def _check_together(model: Model, body: Mapping[str, Any]) -> list[Issue]:
    references = len(body.get("referenceImages", ()))
    issues = [
        custom(f"{field} requires at least one reference image", path=(field,))
        for field in model.fields_need_references
        if body.get(field) and not references
    ]
    return [
        *issues,
        *_ratio_together(model, body, references),
        *_quality_together(model, body, references),
    ]


def _ratio_together(model: Model, body: Mapping[str, Any], references: int) -> list[Issue]:
    ratio, path = body.get("ratio"), ("ratio",)
    if ratio is None:
        return []
    excluded = [field for field in model.ratio_excluded_by if body.get(field)]
    if excluded:
        return [custom(f"ratio cannot be combined with {excluded[0]}", path=path)]
    if references < model.ratio_needs_references and _PAIR.fullmatch(ratio):
        wanted = model.ratio_needs_references
        return [custom(f"ratio requires at least {wanted} reference images", path=path)]
    forbidden = (
        model.ratios_only_without_references if references else model.ratios_only_with_references
    )
    if ratio in forbidden:
        accepted = [each for each in model.ratios if each not in forbidden]
        return [not_listed(accepted, path=path)]
    return []


def _quality_together(model: Model, body: Mapping[str, Any], references: int) -> list[Issue]:
    special, quality = model.quality_with_references, body.get("quality")
    if special is None or quality not in special.values:
        return []
    if not references:
        message = f"quality {quality} requires at least one reference image"
        return [custom(message, path=("quality",))]
    excluded = [field for field in special.unless if body.get(field)]
    if excluded:
        message = f"quality {quality} cannot be combined with {excluded[0]}"
        return [custom(message, path=("quality",))]
    return []
