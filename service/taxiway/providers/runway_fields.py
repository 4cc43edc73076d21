"""The fields of a Runway body, one check each. A refusal names the request's field and what is accepted."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from taxiway.catalogue import qualities
from taxiway.catalogue.models import Model
from taxiway.errors import BadRequestError, UnsupportedParamsError
from taxiway.jobs import Reference

#: Body fields a caller may set by the vendor's own names.
OPTIONS = frozenset(
    {
        "backgroundColor",
        "colors",
        "edit",
        "grounding",
        "maskUri",
        "preciseEdit",
        "ratio",
        "thinkingLevel",
    }
)

#: OpenAI's defaults of `quality`: they ask for nothing.
IDLE_QUALITIES = frozenset({None, "auto", "standard"})

SEED_MAX = 4_294_967_295

_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]{2,15}")
_PAIR = re.compile(r"([1-9][0-9]{0,4}):([1-9][0-9]{0,4})")
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_BOOLEANS = frozenset({"edit", "grounding", "preciseEdit"})

#: Address scheme of a reference image → the most characters Runway takes. An image that is too long for a
#: request is uploaded, and may have 200 MB then.
_URI_MAX = {"https://": 2048, "runway://": 5000, "data:image/": 280_000_000}
_URI_MIN = 13


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units, as Runway's server counts."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def check_prompt(model: Model, prompt: str) -> None:
    """Raise `BadRequestError` for a prompt longer than the model takes."""
    if model.prompt_max is None or (length := utf16_length(prompt)) <= model.prompt_max:
        return
    raise BadRequestError(
        f"The prompt has {length} characters (UTF-16 units); {model.id} takes {model.prompt_max}.",
        code="string_above_max_length",
        param="prompt",
    )


def unsupported(model: Model, param: str) -> UnsupportedParamsError:
    """Return the refusal of a field that the model does not have."""
    return UnsupportedParamsError(
        f"The model {model.id} has no field {param[:80]!r}.", param=param[:80]
    )


def choice(model: Model, param: str, value: object, accepted: Sequence[str]) -> str:
    """Return the value. Raises `BadRequestError` with the accepted ones unless it is one of them."""
    if isinstance(value, str) and value in accepted:
        return value
    raise BadRequestError(
        f"{param} of {model.id} must be one of {', '.join(accepted)}.", param=param
    )


def quality(
    model: Model,
    value: str | None,
    *,
    references: int,
    options: Mapping[str, object],
    refuse: Callable[[str, UnsupportedParamsError], None],
) -> str | None:
    """Return the quality to send, None for the vendor's default."""
    if model.quality is None:
        if value not in IDLE_QUALITIES:
            refuse("quality", unsupported(model, "quality"))
        return None
    allowed = qualities.allowed(model, references=references, options=options)
    if value is None or (value in IDLE_QUALITIES and value not in allowed):
        return None
    return choice(model, "quality", value, allowed)


def option(model: Model, name: str, value: object) -> object:
    """Return the value of a field that bears the vendor's name. Raises `BadRequestError`."""
    if name in _BOOLEANS:
        if isinstance(value, bool):
            return value
        raise BadRequestError(f"{name} must be true or false.", code="invalid_type", param=name)
    if name == "thinkingLevel" and model.thinking_level is not None:
        return choice(model, name, value, model.thinking_level.values)
    if name == "colors":
        if isinstance(value, list) and value and all(map(_is_colour, value)):
            return value
        raise BadRequestError("colors must be a list of colours like #FF8800.", param=name)
    if name == "backgroundColor" and not _is_colour(value):
        raise BadRequestError("backgroundColor must be a colour like #FF8800.", param=name)
    if name == "maskUri":
        check_uri(value, param=name)
    if not isinstance(value, str):
        raise BadRequestError(f"{name} must be a string.", code="invalid_type", param=name)
    return value


def references(model: Model, images: Sequence[Reference]) -> list[dict[str, Any]]:
    """Return the reference images as Runway takes them. Raises `BadRequestError` naming the one at fault."""
    rules = model.references
    keys = rules.keys if rules else ()
    for i, image in enumerate(images):
        if image.asset is None:
            check_uri(image.uri, param=f"reference_images[{i}].uri")
        for key in ("tag", "subject"):
            if getattr(image, key) is not None and key not in keys:
                raise unsupported(model, f"reference_images[{i}].{key}")
        _check_tag(image.tag, param=f"reference_images[{i}].tag")
        if image.subject not in (None, "object", "human"):
            raise BadRequestError(
                "subject must be object or human.", param=f"reference_images[{i}].subject"
            )
    tags = Counter(image.tag for image in images if image.tag is not None)
    if rules and rules.unique_tags and any(count > 1 for count in tags.values()):
        raise BadRequestError("The tags must differ from each other.", param="reference_images")
    _check_subjects(model, images)
    return [reference_body(image) for image in images]


def reference_body(image: Reference) -> dict[str, Any]:
    """Return one reference image in the vendor's words."""
    body = {"uri": image.uri, "tag": image.tag, "subject": image.subject}
    return {key: value for key, value in body.items() if value is not None}


def in_free_area(model: Model, ratio: str) -> bool:
    """Return whether the model makes a ratio that is not in its list, by the number of its pixels."""
    pair = _PAIR.fullmatch(ratio)
    if model.free_area is None or pair is None:
        return False
    least, most = model.free_area
    return least <= int(pair[1]) * int(pair[2]) <= most


def check_reference_count(model: Model, count: int) -> None:
    """Raise `BadRequestError` unless the model takes that many reference images."""
    rules = model.references
    if rules is None:
        return
    if count < rules.min:
        raise BadRequestError(
            f"The model {model.id} needs at least {rules.min} of reference_images.",
            code="missing_required_parameter",
            param="reference_images",
        )
    if rules.max is not None and count > rules.max:
        raise BadRequestError(
            f"The model {model.id} takes at most {rules.max} reference_images, not {count}.",
            param="reference_images",
        )


def check_needs(model: Model, body: Mapping[str, object], *, references: int) -> None:
    """Raise `BadRequestError` for a field that wants a reference image and has none."""
    for name in model.fields_need_references:
        if body.get(name) and not references:
            raise BadRequestError(
                f"{name} needs at least one of reference_images.",
                code="missing_required_parameter",
                param="reference_images",
            )


def check_uri(uri: object, *, param: str) -> None:
    """Raise `BadRequestError` unless Runway takes the address in one of its three forms."""
    if not isinstance(uri, str):
        raise BadRequestError(f"{param} must be a string.", code="invalid_type", param=param)
    most = next((most for scheme, most in _URI_MAX.items() if uri.startswith(scheme)), None)
    if most is None:
        raise BadRequestError(
            f"{param} must begin with https://, runway:// or data:image/.", param=param
        )
    if not _URI_MIN <= len(uri) <= most:
        raise BadRequestError(
            f"{param} must have {_URI_MIN} to {most} characters.",
            code="string_above_max_length" if len(uri) > most else "invalid_value",
            param=param,
        )


def _check_tag(tag: str | None, *, param: str) -> None:
    if tag is not None and not _TAG.fullmatch(tag):
        raise BadRequestError(
            "A tag has 3 to 16 letters, digits and underscores, and begins with a letter.",
            param=param,
        )


def _check_subjects(model: Model, images: Sequence[Reference]) -> None:
    rules = model.references
    if rules is None:
        return
    count = Counter(image.subject or "object" for image in images)
    for subject, most in (("human", rules.human_max), ("object", rules.object_max)):
        if most is not None and count[subject] > most:
            raise BadRequestError(
                f"The model {model.id} takes at most {most} reference_images of subject {subject}.",
                param="reference_images",
            )


def _is_colour(value: object) -> bool:
    return isinstance(value, str) and _COLOUR.fullmatch(value) is not None
