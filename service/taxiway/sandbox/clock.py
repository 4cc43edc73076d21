"""The sandbox's own time: the running loop's clock, perhaps sped up, and dates that agree with it.

Tasks age by `now()`, so a test in virtual time and a demo in a hurry see the same life of a task.
"""

import asyncio
from datetime import UTC, datetime


class SandboxClock:
    """Seconds since the start. Stands at 0 until `start`, which must be called inside a running loop."""

    __slots__ = ("_date_at_zero", "_loop", "_now_at_anchor", "_scale", "_scaled_from")

    def __init__(self, *, scale: float = 1.0) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._date_at_zero = 0.0
        self._scaled_from = 0.0
        self._now_at_anchor = 0.0
        self._scale = scale

    def start(self) -> None:
        """Bind to the running loop and note the date, once."""
        self._loop = asyncio.get_running_loop()
        self._date_at_zero = datetime.now(UTC).timestamp() - self._loop.time()
        self._scaled_from = self._loop.time()

    def real(self) -> float:
        """Return the loop's time, in real seconds."""
        return 0.0 if self._loop is None else self._loop.time()

    def now(self) -> float:
        """Return the vendor's time, in scaled seconds since the start."""
        return self._now_at_anchor + (self.real() - self._scaled_from) * self._scale

    def date(self) -> float:
        """Return the date, in Unix seconds; never scaled."""
        return self._date_at_zero + self.real()

    def shorten(self, seconds: float) -> float:
        """Return how many real seconds these vendor's seconds take."""
        return seconds / self._scale

    def rescale(self, scale: float) -> None:
        """Run faster or slower from now on; what has passed stays passed."""
        self._now_at_anchor = self.now()
        self._scaled_from = self.real()
        self._scale = scale


def day(date: float) -> str:
    """Return the UTC day of a date in Unix seconds, as YYYY-MM-DD."""
    return datetime.fromtimestamp(date, UTC).date().isoformat()


def timestamp(date: float) -> str:
    """Return a date as the vendor writes it: UTC with milliseconds and `Z`."""
    return (
        datetime.fromtimestamp(date, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
