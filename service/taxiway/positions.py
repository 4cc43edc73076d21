"""Tells jobs their places in the queue: at once when somebody joins, and then once a second while it moves."""

import asyncio
from contextlib import suppress
from contextvars import Context

from taxiway.errors import LeaseLostError
from taxiway.facts import Waiting
from taxiway.journal import Journal
from taxiway.routing.dispatcher import Dispatcher

#: Ten thousand places change with every job that goes; a viewer wants to see that it moves, not every step.
TELL_EVERY_S = 1.0

#: Places told before others get their turn on the loop.
BATCH = 200


class Positions:
    """Owned by the runner. Its task lives while there is something to tell."""

    def __init__(self, dispatcher: Dispatcher, journal: Journal) -> None:
        self._dispatcher = dispatcher
        self._journal = journal
        self._moved = False
        self._task: asyncio.Task[None] | None = None
        dispatcher.changed = self._wake

    def close(self) -> None:
        """Tell no more."""
        self._dispatcher.changed = lambda: None
        if self._task is not None:
            self._task.cancel()

    def _wake(self) -> None:
        self._moved = True
        if self._task is None:
            # Not in the context of the request whose job has joined: it tells of everybody's.
            self._task = asyncio.create_task(self._run(), name="positions", context=Context())

    async def _run(self) -> None:
        try:
            while self._moved:
                self._moved = False
                await self._tell()
                await asyncio.sleep(TELL_EVERY_S)
        finally:
            self._task = None

    async def _tell(self) -> None:
        for number, (job_id, position) in enumerate(list(self._dispatcher.positions())):
            with suppress(LeaseLostError):
                await self._journal.record(job_id, Waiting(position=position))
            if number % BATCH == BATCH - 1:
                await asyncio.sleep(0)
