"""How long a vendor wants to be left alone, by the headers of its answer."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime


def retry_after_s(headers: Mapping[str, str], *, most_s: float) -> float | None:
    """Return the wait that `retry-after-ms` or `Retry-After` asks for, None without a usable one."""
    if "retry-after-ms" in headers:
        wait_s = _number(headers["retry-after-ms"]) / 1000
    elif "Retry-After" in headers:
        wait_s = _number(headers["Retry-After"]) or _until(headers)
    else:
        return None
    return min(wait_s, most_s) if wait_s > 0 else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _until(headers: Mapping[str, str]) -> float:
    """Return the seconds to a `Retry-After` date, judged by the sender's own `Date`: clocks differ."""
    try:
        until = parsedate_to_datetime(headers["Retry-After"])
        return (until - parsedate_to_datetime(headers["Date"])).total_seconds()
    except (KeyError, TypeError, ValueError):
        return 0.0
