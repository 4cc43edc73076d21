"""Where images wait for their callers that no archive takes: a temporary folder, for a while."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from taxiway.archive.folder import Folder
from taxiway.clock import Clock
from taxiway.errors import ArchiveError

#: How long an image waits. A caller who fetches it later than this did not mean to.
LIFE_S = 3_600.0


class Spool:
    """An archive of this process alone; see `Archive`. Its folder is made for the first image."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._place: tempfile.TemporaryDirectory[str] | None = None
        self._folder: Folder | None = None
        self._opening = asyncio.Lock()

    async def put(self, name: str, chunks: AsyncIterator[bytes], *, content_type: str) -> None:
        """Keep bytes under a name, and let go of what is too old."""
        folder = await self._opened()
        await folder.forget(self._clock.now() - LIFE_S)
        await folder.put(name, chunks, content_type=content_type)

    @asynccontextmanager
    async def open(
        self, name: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open an image's bytes. Raises `ArchiveError` for one that another process has, or that is gone."""
        if self._folder is None:
            raise ArchiveError("The image was not kept.")
        async with self._folder.open(name, start=start, stop=stop) as chunks:
            yield chunks

    async def forget(self, before: float) -> int:
        """Delete what is older than a date; return how many files it was."""
        return 0 if self._folder is None else await self._folder.forget(before)

    async def close(self) -> None:
        """Delete everything."""
        place, self._place, self._folder = self._place, None, None
        if place is not None:
            await asyncio.to_thread(place.cleanup)

    async def _opened(self) -> Folder:
        async with self._opening:
            if self._folder is None:
                self._place = await asyncio.to_thread(_make)
                self._folder = Folder(Path(self._place.name))
            return self._folder


def _make() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="taxiway-")
    except OSError as error:
        raise ArchiveError(f"No temporary folder can be made: {error.strerror}.") from error
