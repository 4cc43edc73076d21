"""A steady beat.

Sleeping two seconds between two calls makes a beat of two seconds and the length of a call; over five hundred
polls that is minutes. `every` takes the time that was spent off the next sleep.
"""

import asyncio
from collections.abc import AsyncIterator


async def every(period_s: float, *, first_s: float | None = None) -> AsyncIterator[float]:
    """Yield after `first_s` (default: `period_s`) and then every `period_s` seconds, without drift.

    Yields how late the beat is, in seconds. A beat that could not be kept is skipped, never made up
    for in a burst.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + (period_s if first_s is None else first_s)
    while True:
        await asyncio.sleep(max(0.0, due - loop.time()))
        now = loop.time()
        yield now - due
        due += period_s
        missed = loop.time() - due
        if missed > 0:
            due += period_s * (missed // period_s + 1)


def backoff_s(attempt: int, *, jitter: float, first_s: float = 0.5, most_s: float = 8.0) -> float:
    """Return how long to wait before repeat number `attempt` (from 0): doubling, capped, plus up to half.

    `jitter` is a number from 0 to 1, drawn by the caller, so that many callers do not repeat in step.
    """
    return min(first_s * 2.0**attempt, most_s) * (1 + jitter / 2)
