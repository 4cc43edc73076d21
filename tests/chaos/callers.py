"""Who asks for images while processes die, and who looks on: each of them goes on until it has its answer.

A caller repeats a request whose answer it did not get, at whatever replica comes next, as client libraries do:
with the same `Idempotency-Key`, or counting its repeats as OpenAI's SDKs count theirs. A viewer comes back with
`Last-Event-ID`, and keeps everything it was shown.
"""

import asyncio
import itertools
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import aiohttp
import orjson
from tests.chaos.ground import Ground, Replica
from tests.processes import GENERATIONS, MODEL

#: How long anybody goes on before giving up, which counts as a failure of the service.
PATIENCE_S = 90.0

#: The pause before a request is repeated, or a stream taken up again.
PAUSE_S = 0.1

#: A connection that shows nothing for so long is given up: its other end may have been frozen.
SILENCE_S = 8.0

_FINAL = ("completed", "failed", "cancelled")


class Manner(Enum):
    """How a request is asked, and known when it is asked again."""

    ASYNC = "with a key, at once"
    WAIT = "with a key, waiting for the image"
    TWICE = "with a key, twice at the same time"
    SDK = "without a key, waiting, its repeats counted"


@dataclass(slots=True, kw_only=True)
class Seen:
    """One event that a viewer was shown."""

    revision: int
    status: str
    timeline: list[Any]
    upstream_ids: set[str]


@dataclass(slots=True, kw_only=True)
class Wish:
    """An image somebody wants, and what came of it."""

    prompt: str
    manner: Manner = Manner.ASYNC
    images: int = 1
    at: Replica | None = None
    """Who is asked, while it lives."""
    job_ids: set[str] = field(default_factory=set)
    answered: bool = False
    """Whether the caller has what it asked for: the job's name, or its end."""
    seen: list[Seen] = field(default_factory=list)
    watched: bool = False
    ended: bool = False
    """Whether its viewer was shown the end."""


class Crowd:
    """Callers and viewers on a ground, each a task of its own."""

    def __init__(self, ground: Ground, *, seed: int = 0) -> None:
        self.wishes: list[Wish] = []
        self.repeats: Counter[str] = Counter()
        """How often a request was repeated, and why."""
        self._ground = ground
        self._dice = random.Random(seed)
        self._numbers = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []

    def wish(
        self,
        mark: str = "",
        *,
        manner: Manner = Manner.ASYNC,
        images: int = 1,
        at: Replica | None = None,
    ) -> Wish:
        """Let somebody ask for an image, and somebody look on. The prompt is unlike all others.

        Asked is the replica given for as long as it lives, else any.
        """
        prompt = f"A lighthouse, number {next(self._numbers)} {mark}".strip()
        wish = Wish(prompt=prompt, manner=manner, images=images, at=at)
        self.wishes.append(wish)
        for _ in range(2 if manner is Manner.TWICE else 1):
            self._tasks.append(asyncio.create_task(self._ask(wish)))
        return wish

    async def wish_many(self, count: int, *, over_s: float) -> None:
        """Let so many ask, evenly over some time, in all manners.

        One in twenty asks for what Runway refuses and charges for, and one in twenty thinks better of it.
        """
        for _ in range(count):
            manner, fate = self._dice.choice(list(Manner)), self._dice.random()
            if fate < 0.05:
                self.wish("[[fail:SAFETY.INPUT.TEXT]]", manner=manner)
            else:
                wish = self.wish(manner=manner, images=self._dice.choice((1, 1, 1, 2)))
                if fate > 0.95:
                    self._tasks.append(asyncio.create_task(self._cancel(wish)))
            await asyncio.sleep(over_s / count)

    async def __aenter__(self) -> "Crowd":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settle(self) -> None:
        """Return when everybody has an answer, or has given up."""
        settled = 0
        while settled < len(self._tasks):  # callers bring viewers
            settled = len(self._tasks)
            await asyncio.gather(*self._tasks)

    async def _ask(self, wish: Wish) -> None:
        key = {} if wish.manner is Manner.SDK else {"Idempotency-Key": f"key of {wish.prompt}"}
        prefer = {"Prefer": "respond-async"} if wish.manner is Manner.ASYNC else {}
        try:
            async with asyncio.timeout(PATIENCE_S):
                for repeat in itertools.count():
                    counted = {"x-stainless-retry-count": str(repeat)}
                    headers = {**key, **prefer, **(counted if not key else {})}
                    if await self._asked(wish, headers):
                        break
                    await asyncio.sleep(PAUSE_S)
        except TimeoutError:
            return
        wish.answered = True

    async def _asked(self, wish: Wish, headers: dict[str, str]) -> bool:
        """Ask once; return whether that was answered for good."""
        body = {"model": MODEL, "prompt": wish.prompt, "n": wish.images}
        try:
            async with self._ground.session.post(
                f"{self._address(wish.at)}{GENERATIONS}",
                json=body,
                headers=headers,
                timeout=_TIMEOUT,
            ) as response:
                document = orjson.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
            self.repeats[type(error).__name__] += 1
            return False
        job_id = response.headers.get("x-taxiway-job-id")
        if job_id is None:
            # Nothing was made of it; whether to ask again is said by the service.
            assert response.headers.get("x-should-retry") == "true", document
            self.repeats[document["error"]["code"]] += 1
            return False
        wish.job_ids.add(job_id)
        if not wish.watched:
            wish.watched = True
            self._tasks.append(asyncio.create_task(self._watch(wish, job_id)))
        return response.status != 503 or response.headers["x-should-retry"] == "false"

    async def _cancel(self, wish: Wish) -> None:
        """Ask for the wish's job to be stopped, until somebody says that it will be, or that it is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not wish.ended:
                    await asyncio.sleep(self._dice.uniform(0, 0.5))
                    for job_id in wish.job_ids:
                        with suppress(aiohttp.ClientError, TimeoutError):
                            address = f"{self._address()}/v1/jobs/{job_id}/cancel"
                            async with self._ground.session.post(
                                address, timeout=_TIMEOUT
                            ) as response:
                                if response.status == 200:
                                    return

    async def _watch(self, wish: Wish, job_id: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not wish.ended:
                    await self._look(wish, job_id)
                    await asyncio.sleep(PAUSE_S)
        except TimeoutError:
            return

    async def _look(self, wish: Wish, job_id: str) -> None:
        """Follow a job on one connection, from where the viewer is to where it breaks."""
        last = {"Last-Event-ID": str(wish.seen[-1].revision)} if wish.seen else {}
        address = f"{self._address()}/v1/jobs/{job_id}/events"
        try:
            async with self._ground.session.get(
                address, headers=last, timeout=_TIMEOUT
            ) as response:
                if response.status != 200:
                    return
                async for line in response.content:
                    if line.startswith(b"data: "):
                        self._show(wish, orjson.loads(line[6:]))
        except (aiohttp.ClientError, TimeoutError):
            return

    def _show(self, wish: Wish, job: dict[str, Any]) -> None:
        ids = {attempt["upstream_id"] for attempt in job["attempts"]} - {None}
        wish.seen.append(
            Seen(
                revision=job["revision"],
                status=job["status"],
                timeline=job["timeline"],
                upstream_ids=ids,
            )
        )
        wish.ended = job["status"] in _FINAL

    def _address(self, preferred: Replica | None = None) -> str:
        if preferred is not None and preferred.running:
            return preferred.url
        return self._dice.choice(self._ground.replicas).url


_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=2.0, sock_read=SILENCE_S)
