"""How a value appears in a message: short, on one line, and never a secret."""

import re
from collections.abc import Mapping

#: Longer values are cut: a message is one line.
SHOWN_MAX = 60

#: What keys look like: Runway's, LiteLLM's and OpenAI's, and whatever follows a `Bearer`.
_SECRET = re.compile(r"\b(key_|sk-|bearer\s)", re.IGNORECASE)

#: A name that is one of them all the same; `key_alias_pattern` is none.
_SECRET_NAME = re.compile(r"key_[0-9a-f]{8}|sk-", re.IGNORECASE)

_NAME = re.compile(r"[\w.*-]{1,80}")


class FromVariable(str):
    """A text that came from a variable of the environment. A message names the variable instead."""

    __slots__ = ("variable",)

    variable: str

    @classmethod
    def of(cls, text: str, *, variable: str) -> "FromVariable":
        """Return the text, with the name of the variable it came from."""
        made = cls(text)
        made.variable = variable
        return made


def shown(value: object) -> str:
    """Return a value as a message may show it."""
    match value:
        case FromVariable():
            return f"the value of {value.variable}"
        case str():
            return _text(value)
        case bool():
            return "true" if value else "false"
        case int() if abs(value) > 10**SHOWN_MAX:  # Python refuses to print the longest of them
            return "a huge number"
        case int() | float():
            return str(value)
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case None:
            return "nothing"
        case _:
            return f"a value of type {type(value).__name__}"


def named(key: object) -> str:
    """Return a key as a message may show it: bare where it is a plain word."""
    if isinstance(key, str) and _NAME.fullmatch(key) and not _SECRET_NAME.match(key):
        return key
    return shown(key)


def _text(text: str) -> str:
    if _SECRET.search(text):
        return "***"
    line = repr(text)
    return line if len(line) <= SHOWN_MAX else f"{line[: SHOWN_MAX - 2]}…'"
