"""A thousand people who ask again as soon as they are answered, some of whom watch, leave and come back."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import orjson
from tests.bench.callers import Caller, ask, watch

#: Of a hundred people, so many watch their jobs, and of these so many leave in the middle and come back.
WATCHERS, LEAVERS = 0.4, 0.5

#: How long somebody who left stays away.
_AWAY_S = 1.0


class Crowd:
    """The people, and what has become of their requests so far."""

    def __init__(self, port: int, *, size: int, model: str, task_s: float) -> None:
        self.outcomes: Counter[str] = Counter()
        """By the status of an answer; `lost` is none at all, `watched` the end of a stream."""
        self.lags_s: list[float] = []
        """How long after the end of their tasks answers came; whoever reads them takes them out."""
        self.watching = 0
        self._port = port
        self._size = size
        self._model = model
        self._task_s = task_s
        self._patience_s = 4 * task_s
        self._numbers = itertools.count()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Ask while the context lasts; the crowd gathers within the time of one task."""
        tasks = [asyncio.create_task(self._person(number)) for number in range(self._size)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _person(self, number: int) -> None:
        await asyncio.sleep(self._task_s * number / self._size)
        while True:
            watches = random.random() < WATCHERS
            with suppress(OSError):
                await (self._watch() if watches else self._wait())

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        caller = await self._ask()
        answered = await self._answered(caller)
        self.outcomes[answered] += 1
        if answered == "200":
            self.lags_s.append(caller.answered_at_s - began_s - self._task_s)

    async def _watch(self) -> None:
        caller = await self._ask(Prefer="respond-async")
        answered = await self._answered(caller)
        if answered != "202":
            self.outcomes[answered] += 1
            return
        job_id = orjson.loads(caller.body)["id"]
        if random.random() < LEAVERS:
            await self._see(job_id, for_s=random.uniform(0, self._task_s))
            await asyncio.sleep(_AWAY_S)
        ended = await self._see(job_id, for_s=self._patience_s)
        self.outcomes["watched" if ended else "lost"] += 1

    async def _see(self, job_id: str, *, for_s: float) -> bool:
        """Watch a job for a while; return whether its stream has come to its end."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + for_s
        viewer = await watch(self._port, job_id)
        self.watching += 1
        try:
            while not viewer.closed and loop.time() < until_s:  # noqa: ASYNC110 - near enough
                await asyncio.sleep(0.5)
        finally:
            self.watching -= 1
            viewer.hang_up()
        return viewer.closed

    async def _ask(self, **headers: str) -> Caller:
        prompt = f"fox {next(self._numbers)}"
        return await ask(self._port, prompt, model=self._model, headers=headers)

    async def _answered(self, caller: Caller) -> str:
        await asyncio.wait([caller.done], timeout=self._patience_s)
        caller.hang_up()
        return str(caller.status) if caller.status else "lost"
