"""The vendor's words for what is wrong with a body."""

from typing import Any

from tests.sandbox.callers import DOC_URL

GEN4_RATIOS = [
    "1024:1024",
    "1080:1080",
    "1168:880",
    "1360:768",
    "1440:1080",
    "1080:1440",
    "1808:768",
    "1920:1080",
    "1080:1920",
    "2112:912",
    "1280:720",
    "720:1280",
    "720:720",
    "960:720",
    "720:960",
    "1680:720",
]


def invalid(*issues: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the refusal of a body with these issues."""
    body = {"error": "Validation of body failed", "issues": list(issues), "docUrl": DOC_URL}
    return 400, body


MISSING_MODEL = {
    "code": "invalid_union",
    "errors": [],
    "note": "No matching discriminator",
    "discriminator": "model",
    "path": ["model"],
    "message": "Invalid input",
}


def wanted(expected: str, received: str, *path: str | int) -> dict[str, Any]:
    """Return the issue of a wrong type."""
    return {
        "expected": expected,
        "code": "invalid_type",
        "path": list(path),
        "message": f"Invalid input: expected {expected}, received {received}",
    }


def one_of(values: list[Any], *path: str | int) -> dict[str, Any]:
    """Return the issue of a word that is not on a list."""
    listed = "|".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values)
    return {
        "code": "invalid_value",
        "values": values,
        "path": list(path),
        "message": f"Invalid option: expected one of {listed}",
    }


def bound(code: str, origin: str, limit: int, *path: str | int) -> dict[str, Any]:
    """Return the issue of something too big or too small."""
    word, key, sign = {
        "too_big": ("big", "maximum", "<="),
        "too_small": ("small", "minimum", ">="),
    }[code]
    rest = {
        "string": f"have {sign}{limit} characters",
        "array": f"have {sign}{limit} items",
        "number": f"be {sign}{limit}",
    }[origin]
    extra = {"type": "number"} if origin == "number" else {}
    return {
        "origin": origin,
        "code": code,
        key: limit,
        "inclusive": True,
        **extra,
        "path": list(path),
        "message": f"Too {word}: expected {origin} to {rest}",
    }


def unknown(key: str, *path: str | int) -> dict[str, Any]:
    """Return the issue of a key that does not exist."""
    return {
        "code": "unrecognized_keys",
        "keys": [key],
        "path": list(path),
        "message": f'Unrecognized key: "{key}"',
    }


def said(message: str, *path: str | int) -> dict[str, Any]:
    """Return an issue in the vendor's own words."""
    return {"code": "custom", "path": list(path), "message": message}
