"""The query of a list of jobs: each parameter is understood, or refused by name."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from multidict import MultiMapping

from taxiway.errors import JOB_CODES, BadRequestError, cut
from taxiway.jobs import JobStatus
from taxiway.protocols import JobQuery

LIMIT_DEFAULT = 20
LIMIT_MAX = 100

PARAMETERS = ("status", "model", "since", "error", "limit", "after")


def read_query(query: MultiMapping[str]) -> JobQuery:
    """Return which jobs are asked for. Raises `BadRequestError` naming the parameter and what it accepts."""
    check_names(query, PARAMETERS)
    return JobQuery(
        statuses=_statuses(query.get("status")),
        model=query.get("model") or None,
        since=read_date("since", query.get("since")),
        error=_error(query.get("error")),
        limit=_limit(query.get("limit")),
        after=query.get("after") or None,
    )


def check_names(query: MultiMapping[str], accepted: Sequence[str]) -> None:
    """Return where a query has no parameters but the accepted ones, each once. Raises `BadRequestError`."""
    for name in query:
        if name not in accepted:
            raise refused(cut(name), f"is not a parameter here; accepted are {', '.join(accepted)}")
        if len(query.getall(name)) > 1:
            raise refused(name, "may be given once")
        if "\0" in query[name]:
            raise refused(name, "must be text without the character U+0000")


def _statuses(text: str | None) -> frozenset[JobStatus]:
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    if not set(words) <= set(JobStatus):
        raise refused("status", f"must be a list of {', '.join(JobStatus)}, with commas")
    return frozenset(map(JobStatus, words))


def _error(text: str | None) -> str | None:
    if text and text not in JOB_CODES:
        raise refused("error", f"must be one of {', '.join(JOB_CODES)}")
    return text or None


def _limit(text: str | None) -> int:
    if not text:
        return LIMIT_DEFAULT
    if text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= LIMIT_MAX:
        return int(text)
    raise refused("limit", f"must be an integer from 1 to {LIMIT_MAX}")


def read_date(name: str, text: str | None) -> float | None:
    """Return a parameter's date in Unix seconds, None where it has none. Raises `BadRequestError`."""
    if text is None:
        return None
    date = _unix(text) if text.isascii() else None
    if date is None:
        raise refused(name, "must be a date, in Unix seconds or as 2026-11-23T18:30:00Z")
    return date


def _unix(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return _iso(text)
    return number if math.isfinite(number) else None


def _iso(text: str) -> float | None:
    try:
        # A `+` that was not escaped has become a space on the way.
        date = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        return aware.timestamp()
    except (ValueError, OverflowError):
        return None


def refused(name: str, what: str) -> BadRequestError:
    """Return the error for a parameter that is not accepted, and what would be."""
    return BadRequestError(f"`{name}` {what}.", param=name)
