"""Issues in the words of Zod 4, the validator behind the vendor's refusals."""

from collections.abc import Sequence
from typing import Any

import orjson

Issue = dict[str, Any]
Path = Sequence[str | int]

#: Stands for a key that is not in the body; JSON's null is something else.
UNDEFINED = object()


def kind(value: object) -> str:
    """Return JavaScript's name for the type of a decoded JSON value."""
    if value is UNDEFINED:
        return "undefined"
    if value is None:
        return "null"
    names = {bool: "boolean", str: "string", int: "number", float: "number", list: "array"}
    return names.get(type(value), "object")


def wrong_type(expected: str, value: object, *, path: Path) -> Issue:
    """Say that something else was expected than what came."""
    return {
        "expected": expected,
        "code": "invalid_type",
        "path": list(path),
        "message": f"Invalid input: expected {expected}, received {kind(value)}",
    }


def not_integer(*, path: Path) -> Issue:
    """Say that a number must be whole."""
    return {
        "expected": "int",
        "format": "safeint",
        "code": "invalid_type",
        "path": list(path),
        "message": "Invalid input: expected int, received number",
    }


def not_listed(values: Sequence[object], *, path: Path) -> Issue:
    """Say which values are accepted."""
    options = "|".join(orjson.dumps(value).decode() for value in values)
    wording = (
        f"option: expected one of {options}" if len(values) > 1 else f"input: expected {options}"
    )
    return {
        "code": "invalid_value",
        "values": list(values),
        "path": list(path),
        "message": f"Invalid {wording}",
    }


def too_big(origin: str, maximum: int, *, path: Path) -> Issue:
    """Say that a string, an array or a number goes beyond its maximum."""
    return _bound("too_big", origin, {"maximum": maximum}, path=path)


def too_small(origin: str, minimum: int, *, path: Path) -> Issue:
    """Say that a string, an array or a number stays below its minimum."""
    return _bound("too_small", origin, {"minimum": minimum}, path=path)


def _bound(code: str, origin: str, bound: dict[str, int], *, path: Path) -> Issue:
    (limit,) = bound.values()
    sign, word = ("<=", "big") if code == "too_big" else (">=", "small")
    unit = {"string": " characters", "array": " items"}.get(origin, "")
    verb = "be" if origin == "number" else "have"
    issue: Issue = {"origin": origin, "code": code, **bound, "inclusive": True}
    if origin == "number":
        issue["type"] = "number"
    message = f"Too {word}: expected {origin} to {verb} {sign}{limit}{unit}"
    return {**issue, "path": list(path), "message": message}


def wrong_format(pattern: str, *, path: Path) -> Issue:
    """Say which pattern a string must match."""
    return {
        "origin": "string",
        "code": "invalid_format",
        "format": "regex",
        "pattern": pattern,
        "path": list(path),
        "message": f"Invalid string: must match pattern {pattern}",
    }


def unrecognized(keys: Sequence[str], *, path: Path) -> Issue:
    """Say which keys are not known."""
    word = "key" if len(keys) == 1 else "keys"
    names = ", ".join(orjson.dumps(key).decode() for key in keys)
    return {
        "code": "unrecognized_keys",
        "keys": list(keys),
        "path": list(path),
        "message": f"Unrecognized {word}: {names}",
    }


def no_union_member(errors: Sequence[Sequence[Issue]], *, path: Path) -> Issue:
    """Say that none of several forms fits, and why not, form by form."""
    return {
        "code": "invalid_union",
        "errors": [list(each) for each in errors],
        "path": list(path),
        "message": "Invalid input",
    }


def no_discriminator(name: str) -> Issue:
    """Say that the field which chooses the schema chooses none."""
    return {
        "code": "invalid_union",
        "errors": [],
        "note": "No matching discriminator",
        "discriminator": name,
        "path": [name],
        "message": "Invalid input",
    }


def custom(message: str, *, path: Path) -> Issue:
    """Say something in the vendor's own words."""
    return {"code": "custom", "path": list(path), "message": message}


def utf16_length(text: str) -> int:
    """Return the length as JavaScript counts it: an emoji is two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
