"""An image on its way into an archive: what it is is read off its bytes as they pass."""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Self

from taxiway.artifacts import Archive
from taxiway.errors import ProviderUnavailableError
from taxiway.formats import Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What an archive has, and what the bytes say of it."""

    name: str
    size: str | None
    content_type: str
    length_bytes: int
    digest: str


async def pass_into(
    archive: Archive,
    chunks: AsyncIterator[bytes],
    *,
    name_of: Callable[[str], str],
    told_type: str = "",
) -> Passed:
    """Keep an image; `name_of` names it by its type, which is `told_type` where the bytes do not say it.

    Raises `ProviderUnavailableError` for what is no image, or not a whole one, and `ArchiveError`.
    """
    passage = _Passage(chunks)
    await passage.begin()
    content_type = passage.probe.content_type or told_type
    if not content_type.startswith("image/"):
        raise ProviderUnavailableError("The image's host sent something else than an image.")
    name = name_of(content_type)
    await archive.put(name, passage, content_type=content_type)
    return Passed(
        name=name,
        size=passage.probe.size,
        content_type=content_type,
        length_bytes=passage.probe.length_bytes,
        digest=passage.digest.hexdigest(),
    )


class _Passage:
    """An image's bytes passing by. Iterating ends with an error where the image is not whole."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self.probe = Probe()
        self.digest = hashlib.sha256()
        self._chunks = chunks
        self._held: list[bytes] = []

    async def begin(self) -> None:
        """Look at so many bytes that the type is known; they are kept, and come first when it is iterated."""
        while not self.probe.settled and (chunk := await anext(self._chunks, b"")):
            self._held.append(self._seen(chunk))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._held:
            return self._held.pop(0)
        try:
            return self._seen(await anext(self._chunks))
        except StopAsyncIteration:
            if not self.probe.complete:
                raise ProviderUnavailableError("The image ended too early.") from None
            raise

    def _seen(self, chunk: bytes) -> bytes:
        self.probe.feed(chunk)
        self.digest.update(chunk)
        return chunk
