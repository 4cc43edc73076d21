"""Readers of plain values. Each takes what YAML or a variable holds and returns a setting.

Text is read like the value it spells, since `os.environ/NAME` and variables hold nothing but text.
Every reader raises `ValueError` with what is accepted, worded to follow "must be".
"""

import re
from collections.abc import Callable, Mapping
from math import isfinite

from taxiway.deliveries import is_webhook_secret
from taxiway.settings import Secret

#: No time, count or size of a configuration is meant beyond this; float's range ends far above.
LARGEST = 1e12

_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})([eE][+-]?\d{1,3})?", re.ASCII)
_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False}
_FLAGS |= {"off": False, "0": False}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_KEY = re.compile(r"[\x21-\x7e]+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

#: The calls belong to the adapter: what says who is calling, in which version, and how the body is framed.
OWN_HEADERS = frozenset(
    {
        "authorization",
        "x-runway-version",
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
    }
)


def flag(value: object) -> bool:
    """Return a truth value."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _FLAGS:
        return _FLAGS[value.strip().lower()]
    raise ValueError("true or false")


def text(what: str) -> Callable[[object], str]:
    """Return a reader of one line of text; `what` says which."""

    def read(value: object) -> str:
        if isinstance(value, str) and value.strip() and value.strip().isprintable():
            return value.strip()
        raise ValueError(f"{what}, in one line of text")

    return read


def choice(*words: str) -> Callable[[object], str]:
    """Return a reader of one of some words, in any case."""

    def read(value: object) -> str:
        if isinstance(value, str) and value.strip().lower() in words:
            return value.strip().lower()
        raise ValueError(f"{', '.join(words[:-1])} or {words[-1]}")

    return read


def positive(unit: str, *, most: float = LARGEST) -> Callable[[object], float]:
    """Return a reader of a number above 0; `unit` names what it counts."""
    limit = "" if most == LARGEST else f" and at most {most:g}"

    def read(value: object) -> float:
        number = _number(value)
        if number is None or not 0 < number <= most:
            raise ValueError(f"a number of {unit} above 0{limit}")
        return float(number)

    return read


def whole(what: str, *, least: int, most: int | None = None) -> Callable[[object], int]:
    """Return a reader of a whole number; `what` names what it counts, if anything."""
    counted = f" of {what}" if what else ""
    limit = f"{least} or more" if most is None else f"from {least} to {most}"

    def read(value: object) -> int:
        number = _number(value)
        if number is None or number != int(number) or not least <= number <= (most or LARGEST):
            raise ValueError(f"a whole number{counted}, {limit}")
        return int(number)

    return read


def dollars(value: object) -> int:
    """Return a price in micro-USD, half of one rounded up. No image costs more than 1,000 dollars."""
    number = _number(value)
    if number is None or not 0 <= number <= 1_000:
        raise ValueError("a price in US dollars, from 0 to 1000")
    return int(number * 1_000_000 + 0.5)


def port(value: object) -> int:
    """Return a TCP port; 0 takes any free one."""
    number = _number(value)
    if number is None or number != int(number) or not 0 <= number <= 65535:
        raise ValueError("a port, from 0 (any free one) to 65535")
    return int(number)


def megabytes(value: object) -> int:
    """Return a size in bytes, given in units of 1,048,576 of them."""
    return int(positive("megabytes", most=1024)(value) * 1024 * 1024)


def secret(value: object) -> Secret:
    """Return a key. A number is none: YAML would drop its leading zeros."""
    if isinstance(value, str) and _KEY.fullmatch(value.strip()):
        return Secret(value.strip())
    raise ValueError("a key, in text of ASCII letters, digits and signs without blanks")


def webhook_secrets(value: object) -> tuple[Secret, ...]:
    """Return secrets of Standard Webhooks, from a list or from text with blanks or commas between them."""
    listed = value.replace(",", " ").split() if isinstance(value, str) else value
    if isinstance(listed, (list, tuple)) and all(is_webhook_secret(each) for each in listed):
        return tuple(dict.fromkeys(Secret(each) for each in listed))
    raise ValueError("`whsec_` and 24 to 64 bytes in base64, or a list of such secrets")


def header_name(value: object) -> str:
    """Return the name of an HTTP header."""
    if isinstance(value, str) and _TOKEN.fullmatch(value.strip()):
        return value.strip()
    raise ValueError("the name of an HTTP header")


def headers(value: object) -> dict[str, str]:
    """Return headers to send along, by name."""
    if isinstance(value, Mapping):
        return {_extra_header(name): _header_value(name, each) for name, each in value.items()}
    raise ValueError("a mapping of header names to texts")


def version(value: object) -> str:
    """Return an API version of Runway."""
    if isinstance(value, str) and _DATE.fullmatch(value.strip()):
        return value.strip()
    raise ValueError("a date such as 2024-11-06")


def identity(value: object) -> str:
    """Return an identifier that can travel in a header and a metric's label."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST:
        return str(value)
    if isinstance(value, str) and _KEY.fullmatch(value.strip()) and len(value.strip()) <= 128:
        return value.strip()
    raise ValueError("an identifier of at most 128 ASCII characters without blanks")


def _extra_header(name: object) -> str:
    found = header_name(name) if isinstance(name, str) else None
    if found is None:
        raise ValueError("a mapping of header names to texts")
    if found.lower() in OWN_HEADERS:
        raise ValueError(f"a mapping without {found}, which Taxiway sets itself")
    return found


def _header_value(name: object, value: object) -> str:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        shape = value.strip() if isinstance(value, str) else f"{value:.15g}"
        if _HEADER_VALUE.fullmatch(shape):
            return shape
    raise ValueError(f"a mapping of header names to texts, and {name} is not one line of ASCII")


def _number(value: object) -> float | int | None:
    """Return a finite number of sane size; None for anything else, true and false included."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if _is_sane(value) else None


def _is_sane(value: float) -> bool:
    """Return whether a number is one that a configuration can mean."""
    return (isinstance(value, int) or isfinite(value)) and abs(value) <= LARGEST
