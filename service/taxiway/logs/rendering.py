"""From the fields of an event to the bytes of a line: JSON for machines, colours for a terminal."""

from collections.abc import Mapping

import orjson
from structlog.contextvars import merge_contextvars
from structlog.dev import (
    Column,
    ConsoleRenderer,
    KeyValueColumnFormatter,
    LogLevelColumnFormatter,
    plain_traceback,
)
from structlog.processors import ExceptionRenderer, TimeStamper, add_log_level
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

from taxiway.logs.fields import SPELLING

_EVENT_WIDTH = 22

_DIM, _BOLD, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"
_LEVELS = {"debug": _DIM, "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m"}

#: What a person at a terminal can do without: it joins lines for machines, or says the same on every line.
_FOR_MACHINES = frozenset(
    {
        *("operation", "provider", "prompt_hmac", "prompt_chars", "revision"),
        *("request_id", "trace_id", "route", "client", "user_agent"),
    }
)


def processors(
    *, service: Mapping[str, str], redaction: Processor, console: bool
) -> list[Processor]:
    """Return the steps a line takes. `service` are the fields that every line of a process shares.

    Redaction is the last step that sees fields, so nothing can be added behind its back.
    """
    begin: list[Processor] = [merge_contextvars, add_log_level]
    if console:
        clock = TimeStamper(fmt="%H:%M:%S", utc=False)
        return [*begin, clock, ExceptionRenderer(), _brief, redaction, _Console()]
    begin.append(TimeStamper(fmt="iso", utc=True))
    # Without the values of variables: keys and prompts are among them.
    tracebacks = ExceptionDictTransformer(show_locals=False, use_rich=False)
    return [*begin, ExceptionRenderer(tracebacks), _Spelling(service), redaction, _json]


class _Spelling:
    """Puts a line's fields under their names and in order, without those that are not known.

    Seconds are told to a tenth of a millisecond.
    """

    def __init__(self, service: Mapping[str, str]) -> None:
        self._service = service

    def __call__(self, _logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        line: EventDict = {
            "timestamp": fields.pop("timestamp"),
            "level": fields.pop("level"),
            "event": fields.pop("event"),
            **self._service,
        }
        for word, value in fields.items():
            if type(value) is float:
                line[SPELLING.get(word, word)] = round(value, 4)
            elif value is not None:
                line[SPELLING.get(word, word)] = value
        return line


def _brief(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """Keep what a person wants to read, under the short words, times to the hundredth of a second."""
    return {
        word: round(value, 2) if type(value) is float else value
        for word, value in fields.items()
        if value is not None and word not in _FOR_MACHINES
    }


def _json(_logger: WrappedLogger, _method: str, line: EventDict) -> bytes:
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a lone surrogate, which no UTF-8 can hold
        return orjson.dumps(_encodable(line), option=orjson.OPT_APPEND_NEWLINE)


def _encodable(value: object) -> object:
    if isinstance(value, dict):
        return {key: _encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


class _Console:
    """One coloured line per event. More than a word is quoted: control characters are shown, not obeyed."""

    def __init__(self) -> None:
        self._render = ConsoleRenderer(
            columns=[
                Column("timestamp", _values(style=_DIM)),
                Column("level", LogLevelColumnFormatter(_LEVELS, _PLAIN)),
                Column("event", _values(style=_BOLD, width=_EVENT_WIDTH)),
                Column("", _values(style="", key_style=_DIM)),
            ],
            exception_formatter=plain_traceback,
            sort_keys=False,
        )

    def __call__(self, logger: WrappedLogger, method: str, line: EventDict) -> bytes:
        return self._render(logger, method, line).encode(errors="replace") + b"\n"


def _values(*, style: str, key_style: str | None = None, width: int = 0) -> KeyValueColumnFormatter:
    return KeyValueColumnFormatter(
        key_style=key_style, value_style=style, reset_style=_PLAIN, value_repr=_shown, width=width
    )


def _shown(value: object) -> str:
    if isinstance(value, str) and value.isprintable() and value and " " not in value:
        return value
    return repr(value)
