"""A job to its end over its event stream, through restarts of the service and broken lines.

Nothing is lost by a break: an event carries the whole job, and `Last-Event-ID` says what was seen last.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import aiohttp
import orjson

from taxiway.cadence import backoff_s
from taxiway.cli.client import Client, LineError, refusal
from taxiway.cli.documents import JobDocument, is_final
from taxiway.cli.sse_reader import Frame, SSEReader
from taxiway.errors import TaxiwayError
from taxiway.events import EventName

#: How long the service may stay away before a viewer gives up: a slow rollout, not an outage.
PATIENCE_S = 300.0

#: The wait after a stream that ended cleanly without saying when to return.
RETURN_S = 1.0

_NAMES = frozenset(EventName)


class Following:
    """One viewer of one job. `lost` is called once whenever the line breaks, with a sentence for the screen."""

    def __init__(
        self, client: Client, job_id: str, *, lost: Callable[[str], None], known: bool = False
    ) -> None:
        self._client = client
        self._job_id = job_id
        self._lost = lost
        self._met = known
        self._last_id: str | None = None
        self._tries = 0
        self._pause_s = RETURN_S

    async def states(self) -> AsyncGenerator[JobDocument]:
        """Yield the job now and after every change; the last one is final.

        A service that has never answered is given up at once, unless `known` vouches for it.
        Raises `TaxiwayError` for what the service refuses, and after `PATIENCE_S` without it.
        """
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        while True:
            try:
                async with aclosing(self._connection()) as states:
                    async for job in states:
                        heard_at = loop.time()
                        yield job
                        if is_final(job):
                            return
            except LineError as error:
                self._miss(error, silent_s=loop.time() - heard_at)
            await asyncio.sleep(self._pause_s)

    async def _connection(self) -> AsyncGenerator[JobDocument]:
        """Yield what one connection brings; it may end at any time."""
        self._pause_s = RETURN_S
        reader = SSEReader(last_id=self._last_id)
        async with self._client.events(self._job_id, last_id=self._last_id) as response:
            if response.status == 204:
                yield await self._client.job(self._job_id)
                return
            await self._check(response)
            async for chunk in response.content.iter_any():
                for frame in reader.feed(chunk):
                    self._last_id = reader.last_id
                    if (job := _job_of(frame)) is not None:
                        self._meet()
                        yield job
        if reader.retry_s is not None:
            self._pause_s = reader.retry_s

    def _meet(self) -> None:
        self._met = True
        self._tries = 0

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 200:
            return
        if self._met and (response.status == 429 or response.status >= 500):
            # A service that starts, drains or is full says so; a viewer comes back.
            raise aiohttp.ClientConnectionError(f"The service answered {response.status}.")
        raise refusal(response.status, await response.read(), url=self._client.url)

    def _miss(self, error: Exception, *, silent_s: float) -> None:
        if not self._met:
            raise self._client.unreachable(error) from error
        if silent_s > PATIENCE_S:
            raise TaxiwayError(
                f"{self._client.url} has been away for {PATIENCE_S:.0f} s; the job goes on when it "
                f"is back, and `taxiway watch {self._job_id}` shows it.",
                code="service_unreachable",
            ) from error
        if self._tries == 0:
            self._lost("The line to the service is broken; trying again.")
        self._pause_s = backoff_s(self._tries, jitter=random.random())  # noqa: S311 - not a secret
        self._tries += 1


def _job_of(frame: Frame) -> JobDocument | None:
    """Return the job in a frame, or None for names that later versions may add."""
    if frame.event not in _NAMES:
        return None
    job: JobDocument = orjson.loads(frame.data)
    return job
