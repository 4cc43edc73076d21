"""JSON into the sandbox's frozen dataclasses, with a sentence for each thing that does not fit."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def build(cls: type[T], data: Mapping[str, Any], **more: object) -> T:
    """Return a dataclass from a decoded JSON object. Raises `ValueError` that names the field."""
    return cls(**checked(cls, data), **more)


def checked(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object's values in the field's types. Raises `ValueError` that names the field."""
    hints = _hints(cls)
    for name in data:
        if name not in hints:
            message = f"{name!r} is not a field of {cls.__name__}; it has {', '.join(hints)}."
            raise ValueError(message)
    return {name: _fit(value, hints[name], name=name) for name, value in data.items()}


@cache
def _hints(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _fit(value: Any, hint: Any, *, name: str) -> Any:
    for option in _options(hint):
        fitted = _fit_one(value, option, name=name)
        if fitted is not None or (value is None and option is NoneType):
            return fitted
    message = f"{name} does not take {value!r}; it takes {_describe(hint)}."
    raise ValueError(message)


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fit_one(value: Any, option: Any, *, name: str) -> Any:
    """Return the value in this type, or None where it does not fit."""
    origin = get_origin(option)
    if origin is Literal:
        return value if value in get_args(option) and not isinstance(value, bool) else None
    if origin is tuple:
        return _fit_tuple(value, get_args(option)[0], name=name)
    if isinstance(value, dict):
        return _fit_object(value, option)
    if option is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool):
        return value if option is bool else None
    plain = isinstance(option, type) and origin is None and option is not NoneType
    return value if plain and isinstance(value, option) else None


def _fit_tuple(value: Any, element: Any, *, name: str) -> Any:
    if not isinstance(value, list | tuple):
        return None
    return tuple(_fit(each, element, name=name) for each in value)


def _fit_object(value: dict[str, Any], option: Any) -> Any:
    if isinstance(option, type) and is_dataclass(option):
        return build(option, value)
    if get_origin(option) is Mapping:
        return value
    return None


def _describe(hint: Any) -> str:
    words = []
    for option in _options(hint):
        if get_origin(option) is Literal:
            words += [str(each) for each in get_args(option)]
        elif get_origin(option) is tuple:
            words.append("a list")
        elif option is NoneType:
            words.append("null")
        else:
            words.append(getattr(option, "__name__", str(option)))
    return ", ".join(words)
