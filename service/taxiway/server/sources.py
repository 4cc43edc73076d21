"""Where an image's bytes come from: the archive, and the provider where the archive does not have them."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from aiohttp import web

from taxiway.artifacts import Archive, spooled
from taxiway.errors import ArchiveError, ProviderUnavailableError
from taxiway.jobs import Image, Job
from taxiway.originals import Original
from taxiway.protocols import Download
from taxiway.server.keys import ARCHIVE, FLEET, LOGS, SPOOL


class Source:
    """One image of a job, to be opened as often as need be.

    A part, from `start` to before `stop`, can be had only where `stored` is True.
    """

    def __init__(
        self,
        app: web.Application,
        job: Job,
        image: Image,
        *,
        start: int = 0,
        stop: int | None = None,
    ) -> None:
        self._archive, self._name = _shelf(app, image)
        self._fleet = app[FLEET]
        self._note = app[LOGS].note
        self._job = job
        self._image = image
        self._original: Original | None = None
        self._start, self._stop = start, stop

    @property
    def stored(self) -> bool:
        """Whether the image is in an archive that is in use."""
        return self._archive is not None

    @property
    def gone(self) -> bool:
        """Whether nobody has the image any more."""
        return self._original is not None and self._original.gone

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Download]:
        """Open the image. Raises `ProviderUnavailableError` when it cannot be had for now, or at all."""
        async with AsyncExitStack() as stack:
            download = await self._from_archive(stack)
            if download is None:
                if self._original is None:
                    self._original = Original(self._fleet, self._job, self._image)
                download = await stack.enter_async_context(self._original.open())
            yield download

    async def _from_archive(self, stack: AsyncExitStack) -> Download | None:
        image = self._image
        if self._archive is None:
            return None
        opened = self._archive.open(self._name, start=self._start, stop=self._stop)
        try:
            chunks = await stack.enter_async_context(opened)
        except ArchiveError as error:
            self._note("archive.failed", job_id=self._job.id, error=error.message)
            if self._start or self._stop is not None:
                raise ProviderUnavailableError(error.message) from error
            return None
        told = await stack.enter_async_context(aclosing(_told(chunks)))
        stop = image.length_bytes if self._stop is None else self._stop
        return Download(
            content_type=image.content_type,
            length_bytes=None if stop is None else stop - self._start,
            chunks=told,
        )


def _shelf(app: web.Application, image: Image) -> tuple[Archive | None, str]:
    """Return where an image is kept, and its name there."""
    if image.archived is None:
        return None, ""
    name = spooled(image.archived)
    return (app.get(ARCHIVE), image.archived) if name is None else (app[SPOOL], name)


async def _told(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of an archived image; what breaks them off is for readers the same from everywhere."""
    try:
        async for chunk in chunks:
            yield chunk
    except ArchiveError as error:
        raise ProviderUnavailableError(error.message) from error
