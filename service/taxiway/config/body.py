"""Body fields that an entry sets for every request, checked against what its model takes.

They bear the vendor's names, as they would in a request. A fact the catalogue does not have is not checked.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache

from taxiway.catalogue.checks import PAIR
from taxiway.catalogue.entries import Choices, Model, References
from taxiway.catalogue.models import models
from taxiway.config.reading import Reading
from taxiway.config.values import choice, flag, whole
from taxiway.config.words import Reader
from taxiway.vendors import Vendor

SEED_MAX = 2**32 - 1

#: What every request says for itself: the prompt, and by `n` how many images it pays for.
OF_REQUESTS = frozenset({"promptText", "outputCount"})

_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_URI = re.compile(r"(https://|runway://|data:image/)\S+")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]{2,15}")


def fields(vendor: Vendor) -> tuple[str, ...]:
    """Return every body field that some model of a vendor has and an entry may set."""
    return _catalogued() if vendor.catalogued else tuple(vendor.fields)


@cache
def _catalogued() -> tuple[str, ...]:
    named = dict.fromkeys(field for model in models().values() for field in model.fields)
    return tuple(field for field in named if field not in OF_REQUESTS)


def has(model: str, field: str) -> bool:
    """Return whether a model has a body field, as far as the catalogue knows."""
    return model not in models() or field in models()[model].fields


def defaults(
    values: Mapping[str, object], vendor: Vendor, model: str, reading: Reading, *, place: str
) -> dict[str, object]:
    """Return the body fields among an entry's values, as the model takes them; note those it does not."""
    found: dict[str, object] = {}
    for key in (key for key in values if key in fields(vendor)):
        where = f"{place}.{key}"
        if vendor.catalogued and not has(model, key):
            reading.notes.refuse(f"{where} is not a field of {model}.")
            continue
        read = _reader(key, vendor, model)
        value = reading.value(values[key], read, place=where)
        if value is not None:
            found[key] = value
    return found


def _reader(field: str, vendor: Vendor, model: str) -> Reader:
    if not vendor.catalogued:
        accepted = vendor.fields[field]
        return choice(*accepted) if accepted else _scalar
    entry = models().get(model)
    return _anything if entry is None else _catalogue_reader(field, entry)


def _catalogue_reader(field: str, model: Model) -> Reader:
    choices = {
        "quality": model.quality,
        "outputFormat": model.output_format,
        "background": model.background,
        "thinkingLevel": model.thinking_level,
    }.get(field)
    if choices is not None:
        return _word_of(choices)
    if field == "ratio":
        return lambda value: _ratio(value, model)
    if field == "referenceImages" and model.references is not None:
        references = model.references
        return lambda value: _references(value, references)
    return _PLAIN.get(field, _anything)


def _word_of(choices: Choices) -> Reader:
    def read(value: object) -> str:
        if isinstance(value, str) and value.strip() in choices.values:
            return value.strip()
        raise ValueError(f"one of {', '.join(choices.values)}")

    return read


def _ratio(value: object, model: Model) -> str:
    ratio = value.strip() if isinstance(value, str) else ""
    if ratio in model.ratios:
        return ratio
    if model.free_area is not None and PAIR.fullmatch(ratio):
        width, height = map(int, ratio.split(":"))
        if model.free_area[0] <= width * height <= model.free_area[1]:
            return ratio
    raise ValueError(f"one of {', '.join(model.ratios)}")


def _references(value: object, references: References) -> list[dict[str, str]]:
    most = references.max
    if not isinstance(value, list) or not value or (most is not None and len(value) > most):
        limit = f"1 to {most}" if most is not None else "at least 1"
        raise ValueError(f"a list of {limit} reference images")
    return [_reference(each, references.keys) for each in value]


def _reference(value: object, keys: tuple[str, ...]) -> dict[str, str]:
    shape = f"a list of mappings with {' and '.join(keys)}"
    if not isinstance(value, Mapping) or not set(value) <= set(keys) or "uri" not in value:
        raise ValueError(shape)
    return {str(key): _REFERENCE[key](value[key]) for key in keys if key in value}


def _uri(value: object) -> str:
    if isinstance(value, str) and _URI.fullmatch(value):
        return value
    raise ValueError("an address that begins with https://, runway:// or data:image/")


def _tag(value: object) -> str:
    if isinstance(value, str) and _TAG.fullmatch(value):
        return value
    raise ValueError("a list whose tags are 3 to 16 letters, digits and _, beginning with a letter")


def _subject(value: object) -> str:
    if value in ("object", "human"):
        return str(value)
    raise ValueError("a list whose subjects are object or human")


def _colour(value: object) -> str:
    if isinstance(value, str) and _COLOUR.fullmatch(value):
        return value
    raise ValueError('a colour such as "#FF8800"')


def _colours(value: object) -> list[str]:
    if isinstance(value, list) and value:
        return [_colour(each) for each in value]
    raise ValueError('a list of colours such as "#FF8800"')


def _moderation(value: object) -> dict[str, str]:
    if isinstance(value, Mapping) and set(value) == {"publicFigureThreshold"}:
        threshold = value["publicFigureThreshold"]
        if threshold in ("auto", "low"):
            return {"publicFigureThreshold": str(threshold)}
    raise ValueError("a mapping with the key publicFigureThreshold, which is auto or low")


def _scalar(value: object) -> object:
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("a text or a whole number")


def _anything(value: object) -> object:
    return value


_REFERENCE: Mapping[str, Callable[[object], str]] = {
    "uri": _uri,
    "tag": _tag,
    "subject": _subject,
}

_PLAIN: Mapping[str, Reader] = {
    "seed": whole("", least=0, most=SEED_MAX),
    "contentModeration": _moderation,
    "grounding": flag,
    "edit": flag,
    "preciseEdit": flag,
    "maskUri": _uri,
    "backgroundColor": _colour,
    "colors": _colours,
}
