"""What must not be read in a log, taken out of it at the last moment before a line is made.

Whoever writes a line is expected to keep secrets out of it. This is the net below: it knows what secrets look
like, and the configured ones by heart.
"""

import re
from collections.abc import Iterable, Mapping

from structlog.typing import EventDict, WrappedLogger

#: What stands where a secret stood.
HIDDEN = "***"

#: A longer text than this is cut: a line is to be read, and shipped.
LONGEST_TEXT = 2_000

#: Fields that are never written, whatever they hold.
_FORBIDDEN = frozenset(
    {"authorization", "cookie", "api_key", "token", "secret", "password", "headers", "body"}
)

#: Shorter configured secrets would be found in innocent words.
_SECRET_MIN = 6

_WIDEST_INTEGER = 2**63 - 1

_DATA = re.compile(r"\bdata:([\w.+-]+/[\w.+-]+)?((?:;[\w.+=-]+)*),[^\s\"'<>]*")
_URL = re.compile(r"\b([a-zA-Z][\w+.-]{1,30}://)([^\s\"'<>?#@/]*@)?([^\s\"'<>?#]*)(\?[^\s\"'<>]*)?")

#: What a secret looks like → what is left of it.
_TOKENS = (
    (r"\b(?:[Bb]earer|BEARER)\s+[\w.~+/=-]+", HIDDEN),
    (r"\bkey_[0-9A-Za-z]{16,}", HIDDEN),
    (r"\bsk-[\w-]{4,}", HIDDEN),
    (r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?", HIDDEN),
    (r"\b(_?jwt|\w*token|\w*secret|\w*password|\w*key|signature)=[^\s&\"',;)]+", rf"\1={HIDDEN}"),
    # Databases quote rows in their errors, and a row holds a prompt.
    (r"(\[parameters: |\bFailing row contains )(?s:.)*", rf"\1{HIDDEN}"),
)

#: One of these is in every text that the patterns above find. Looking for them costs a tenth of the patterns.
_SIGNS = (
    *("data:", "://", "earer", "EARER", "key_", "sk-", "eyJ", "="),
    *("[parameters", "Failing row"),
)


class Redaction:
    """The last processor before a line is rendered. `secrets` are texts to hide wherever they occur."""

    def __init__(self, secrets: Iterable[str] = (), *, prompts: bool = False) -> None:
        known = sorted({s for s in secrets if len(s) >= _SECRET_MIN}, key=len, reverse=True)
        self._signs = (*_SIGNS, *known)
        self._tokens = [
            *((re.compile(re.escape(secret)), HIDDEN) for secret in known),
            *((re.compile(pattern), rest) for pattern, rest in _TOKENS),
        ]
        self._forbidden = _FORBIDDEN if prompts else _FORBIDDEN | {"prompt"}

    def __call__(self, _logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        """Return the line with every value clean. Only plain values and the traceback pass."""
        texts = {}
        for key, value in line.items():
            if key in self._forbidden:
                line[key] = HIDDEN
            elif isinstance(value, str):
                texts[key] = value
            elif type(value) is not float:
                line[key] = self._tree(value) if key == "exception" else self._clean(value)
        everything = "\n".join(texts.values())
        # Most lines show no sign at all, and those that do show one of them in one field.
        for sign in self._signs_in(everything):
            for key, value in texts.items():
                if sign in value:
                    line[key] = self._scrub(line[key])
        if len(everything) > LONGEST_TEXT:
            for key in texts.keys() - {"exception"}:
                line[key] = _short(line[key])
        return line

    def text(self, text: str) -> str:
        """Return a text without what looks like a secret, and not too long."""
        return _short(self._scrub(text) if self._signs_in(text) else text)

    def _scrub(self, text: str) -> str:
        text = _DATA.sub(_measured, text)
        text = _URL.sub(_without_query, text)
        for pattern, rest in self._tokens:
            text = pattern.sub(rest, text)
        return text

    def _signs_in(self, text: str) -> list[str]:
        return [sign for sign in self._signs if sign in text]

    def _clean(self, value: object) -> object:
        if isinstance(value, int):  # a truth as well
            return value if abs(value) <= _WIDEST_INTEGER else str(value)
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, float):
            return value
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(item) for item in value]
        if isinstance(value, BaseException):
            return self.text(
                str(value)
            )  # never repr: that of an HTTP error shows the request's headers
        return f"<{type(value).__name__}>"  # an object may hold anything

    def _tree(self, value: object) -> object:
        if isinstance(value, Mapping):
            return {str(key): self._tree(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._tree(item) for item in value]
        return self._clean(value)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _without_query(match: re.Match[str]) -> str:
    scheme, user, address, query = match.groups()
    return f"{scheme}{f'{HIDDEN}@' if user else ''}{address}{f'?{HIDDEN}' if query else ''}"


def _measured(match: re.Match[str]) -> str:
    return f"data:{match[1] or ''}{match[2]} ({len(match[0])} characters)"
