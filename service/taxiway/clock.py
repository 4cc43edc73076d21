"""Dates that agree with the event loop.

A job's life is measured on the loop's clock and told in dates. Deriving every date from the loop keeps the
two in step: the order of a timeline never reverses when somebody sets the machine's clock, and a test in
virtual time sees virtual dates.
"""

import asyncio
import time


class Clock:
    """Unix time in seconds, anchored once and carried on by the running loop's own clock.

    Made inside a running loop. Raises `RuntimeError` outside of one.
    """

    __slots__ = ("_loop", "_offset_s")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._offset_s = time.time() - self._loop.time()  # noqa: TID251 - the one place that asks the machine

    def now(self) -> float:
        """Return the date, in Unix seconds with fractions."""
        return self._offset_s + self._loop.time()
