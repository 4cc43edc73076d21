"""An image's bytes from the first to the last, however often its download breaks off.

An image is passed on as it comes in, so its size costs no memory and a slow reader slows its own download
only. Once the first bytes are out nothing can be taken back, so a download that breaks off is opened anew
and read up to where the client is. A picture whose first bytes cannot be had is given up before that.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from types import TracebackType
from typing import Self

from aiohttp import web

from taxiway.cadence import backoff_s
from taxiway.errors import ProviderUnavailableError, TaxiwayError
from taxiway.jobs import Image, Job
from taxiway.protocols import Download
from taxiway.server.sources import Source

#: Opens an image at its first byte; called again where a download broke off.
Opener = Callable[[], AbstractAsyncContextManager[Download]]

#: Downloads opened for one image before it is given up, pauses of 0.5, 1 and 2 s between them.
TRIES = 4

#: How long the first bytes may take, repeats included: below a heartbeat, since none is sent meanwhile.
FIRST_BYTES_S = 10.0


def opener(app: web.Application, job: Job, image: Image) -> Opener:
    """Return what opens an image of a job, in the archive or at the provider that made it."""
    return Source(app, job, image).open


class Picture:
    """One image on its way to one client. An asynchronous context manager, which lets go of the download.

    After `begin` has returned True, `content_type` and `length_bytes` are known, and it can be iterated once.
    """

    def __init__(self, open_image: Opener) -> None:
        self.content_type: str | None = None
        self.length_bytes: int | None = None
        """None where the sender did not say."""
        self.error = ""
        """Why `begin` returned False, as a sentence."""
        self._open = open_image
        self._begun = False
        self._passed = 0
        self._first = b""
        self._fresh = self._read()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._fresh.aclose()

    @property
    def begun(self) -> bool:
        """Whether the first bytes are there."""
        return self._begun

    async def begin(self) -> bool:
        """Fetch the first bytes. Returns False when they cannot be had."""
        try:
            async with asyncio.timeout(FIRST_BYTES_S):
                self._first = await anext(self._fresh, b"")
        except TaxiwayError as error:
            self.error = error.message
        except TimeoutError:
            self.error = f"Nothing of the image came within {FIRST_BYTES_S:.0f} s."
        else:
            self.error = "" if self._first else "The image is empty."
        self._begun = bool(self._first)
        return self._begun

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next bytes. Raises `ProviderUnavailableError` when the rest cannot be had."""
        first, self._first = self._first, b""
        return first or await anext(self._fresh)

    async def _read(self) -> AsyncGenerator[bytes, None]:
        tries = 0
        while True:
            try:
                async with self._open() as download, aclosing(self._unseen(download)) as chunks:
                    async for chunk in chunks:
                        self._passed += len(chunk)
                        yield chunk
            except ProviderUnavailableError:
                tries += 1
                if tries == TRIES:
                    raise
                await asyncio.sleep(backoff_s(tries - 1, jitter=random.random()))  # noqa: S311
            else:
                return

    async def _unseen(self, download: Download) -> AsyncGenerator[bytes, None]:
        """Yield what the client has not got yet of a download that starts at the first byte."""
        if self._passed and download.length_bytes != self.length_bytes:
            raise ProviderUnavailableError("The image is not the same any more.")
        if download.content_type.startswith("text/"):
            raise ProviderUnavailableError("The image's host sent a text in place of the image.")
        self.content_type, self.length_bytes = download.content_type, download.length_bytes
        known = self._passed
        async for chunk in download.chunks:
            if len(chunk) > known:
                yield chunk[known:] if known else chunk
            known = max(0, known - len(chunk))
        if self.length_bytes not in (None, self._passed):
            raise ProviderUnavailableError("The image ended too early.")
