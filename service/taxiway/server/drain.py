"""The way out: no new work, and as much patience as there is for callers who wait for an image."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from taxiway.errors import NotReadyError


class Drain:
    """Whether this process is leaving, and how many callers still wait for an image. Owned by the application."""

    def __init__(self) -> None:
        self._begun = False
        self._waiting = 0
        self._nobody_waits = asyncio.Event()
        self._nobody_waits.set()

    @property
    def begun(self) -> bool:
        """Whether the process is on its way out."""
        return self._begun

    def begin(self) -> None:
        """From now on, take nothing new."""
        self._begun = True

    def refuse_if_begun(self) -> None:
        """Raise `NotReadyError` (`draining`) where a job would be begun that is not going to be waited for."""
        if self._begun:
            raise NotReadyError(
                "The service is shutting down; nothing was bought.", retry_after_s=2
            )

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count one caller who waits for an image, while the context lasts."""
        self._waiting += 1
        self._nobody_waits.clear()
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._nobody_waits.set()

    async def patience(self, budget_s: float) -> None:
        """Return when nobody waits for an image any more, or after `budget_s` seconds."""
        try:
            async with asyncio.timeout(budget_s):
                await self._nobody_waits.wait()
        except TimeoutError:
            return
