"""An image at the provider that made it, also after its address has expired.

The provider signs an address for a day or two. A look at the task gives a fresh one, for as long as the
provider keeps the image at all.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from taxiway.errors import ImageExpiredError, ProviderUnavailableError, UpstreamTaskGoneError
from taxiway.facts import Delivered
from taxiway.jobs import Image, Job
from taxiway.protocols import Download
from taxiway.routing.fleet import Fleet


class Original:
    """One image of a job at its provider. Opened as often as need be, each time at its first byte."""

    def __init__(self, fleet: Fleet, job: Job, image: Image) -> None:
        self.gone = False
        """Whether nobody who can be asked knows the image any more."""
        self._job = job
        self._attempt = job.attempts[image.attempt]
        self._place = sum(each.attempt == image.attempt for each in job.images[: image.index])
        self._url = image.url
        self._asked = fleet.speakers(
            self._attempt.deployment, provider=self._attempt.provider, name=job.request.model
        )
        # A task is known to its own account only; an address needs none, so anybody can fetch from it.
        self._provider = (self._asked or fleet.stations)[0].provider

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Download]:
        """Open the image, at a fresh address where the one at hand has expired.

        Raises `ProviderUnavailableError`; `gone` says whether a repeat can help.
        """
        async with AsyncExitStack() as stack:
            if not self._url:  # the provider gave the bytes, and nothing else
                self._url = await self._fresh_url()
            try:
                download = await stack.enter_async_context(self._provider.download(self._url))
            except ImageExpiredError:
                self._url = await self._fresh_url()
                download = await stack.enter_async_context(self._provider.download(self._url))
            yield download

    async def _fresh_url(self) -> str:
        for station in self._asked:
            try:
                report = await station.provider.poll(self._job, self._attempt)
            except UpstreamTaskGoneError:
                continue
            if isinstance(report, Delivered) and self._place < len(report.outputs):
                return report.outputs[self._place].url
            raise ProviderUnavailableError("The provider gives no address of the image.")
        self.gone = True
        raise ProviderUnavailableError("The provider does not have the image any more.")
