"""Lengths of time as LiteLLM writes them, and when a budget that lasts for one begins anew.

Pure. All calendars are UTC's.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_WRITTEN = re.compile(r"([1-9][0-9]{0,8})(s|mo|m|h|d|w)")

#: A century: whoever means for ever leaves the length out.
_MAX_S = 100 * 366 * 86_400
_MONTHS_MAX = 1_200

#: The first Monday: 1 January 1970 was a Thursday.
_MONDAY_S = 4 * 86_400

#: Written in days, and meant as a calendar's month.
_MONTH_D = 30

#: What is accepted, for messages.
ACCEPTED = "a length of time like 30s, 30m, 12h, 7d, 1w or 1mo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A length of time: so many seconds, or so many months where `months` is not 0."""

    seconds: int = 0
    months: int = 0

    def after(self, at: float) -> float:
        """Return the date this long after another one, in Unix seconds."""
        return _months_on(at, self.months) if self.months else at + self.seconds

    def next_reset(self, at: float, *, last: float | None = None) -> float:
        """Return the first date after `at` at which a budget of this length begins anew.

        An hour begins on the hour, a day at midnight, a week on Monday, a month on the first. Every other length
        is counted from `last`, its last beginning, or from now.
        """
        if self.months:
            return _month_begin(at, self.months)
        if self.seconds == _MONTH_D * 86_400:
            return _month_begin(at, 1)
        if self.seconds in (_SECONDS["h"], _SECONDS["d"]):
            return (at // self.seconds + 1) * self.seconds
        if self.seconds == _SECONDS["w"]:
            return ((at - _MONDAY_S) // self.seconds + 1) * self.seconds + _MONDAY_S
        begun = at if last is None else last
        return begun + max(1, (at - begun) // self.seconds + 1) * self.seconds

    def begin(self, at: float) -> float:
        """Return when the period of a date has begun, where all periods are the calendar's.

        Lengths that the calendar does not have are counted from 1 January 1970.
        """
        months = 1 if self.seconds == _MONTH_D * 86_400 else self.months
        if months:
            date = datetime.fromtimestamp(at, UTC)
            number = (date.year * 12 + date.month - 1) // months * months
            return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()
        offset = _MONDAY_S if self.seconds == _SECONDS["w"] else 0
        return (at - offset) // self.seconds * self.seconds + offset


def read_period(text: str) -> Period | None:
    """Return the length that a text like `30d` means, None where it means none."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        return None
    count, unit = int(found[1]), found[2]
    if unit == "mo":
        return Period(months=count) if count <= _MONTHS_MAX else None
    seconds = count * _SECONDS[unit]
    return Period(seconds=seconds) if seconds <= _MAX_S else None


def _month_begin(at: float, months: int) -> float:
    """Return the first of the month so many months on."""
    date = datetime.fromtimestamp(at, UTC)
    years, month = divmod(date.month - 1 + months, 12)
    return datetime(date.year + years, month + 1, 1, tzinfo=UTC).timestamp()


def _months_on(at: float, months: int) -> float:
    """Return the same day so many months on, or the last of a month that is too short for it."""
    date = datetime.fromtimestamp(at, UTC)
    years, month = divmod(date.month - 1 + months, 12)
    first = date.replace(year=date.year + years, month=month + 1, day=1)
    length = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(date.day, length.day)).timestamp()
