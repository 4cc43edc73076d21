"""Files that come with a request: named by their bytes, and kept where the job does not have to carry them.

A job is stored anew at each of its steps and shown to every viewer, so megabytes must not be part of it. They go
into the archive, and the job says which file it means. Without an archive, or while it cannot be reached, the
image stays in the job all the same: heavy is better than lost.
"""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from io import BytesIO
from typing import IO

from taxiway.artifacts import Archive, asset_name
from taxiway.errors import ArchiveError, BadRequestError
from taxiway.formats import HEAD_BYTES, JPEG, PNG, WEBP, content_type_of
from taxiway.jobs import Asset, GenerationRequest, Reference
from taxiway.protocols import Note

#: What Runway takes as a reference image.
ACCEPTED = frozenset({PNG, JPEG, WEBP})

#: The largest image that can be uploaded to Runway.
FILE_BYTES_MAX = 200_000_000

#: A shorter `data:` address stays in the job: a frame of the job may have so much.
KEPT_CHARS_MIN = 4_096

_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """One file of a request: in memory, or on the disk where it is large. The request owns it."""

    content: IO[bytes]
    asset: Asset

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes."""
        await asyncio.to_thread(self.content.seek, 0)
        while piece := await asyncio.to_thread(self.content.read, _PIECE_BYTES):
            yield piece

    async def data_uri(self) -> str:
        """Return the file as an address that carries it."""
        await asyncio.to_thread(self.content.seek, 0)
        encoded = base64.b64encode(await asyncio.to_thread(self.content.read)).decode()
        return f"data:{self.asset.content_type};base64,{encoded}"


#: The files of a request, by the digests of their bytes.
Files = Mapping[str, SentFile]


async def look_at(content: IO[bytes], *, param: str) -> SentFile:
    """Return a file of a request with what it is. Raises `BadRequestError` (`invalid_image`), naming the field."""
    found = await asyncio.to_thread(_look, content)
    if found is None:
        raise BadRequestError(
            f"`{param}` must be a PNG, JPEG or WebP image.", code="invalid_image", param=param
        )
    if found.length_bytes > FILE_BYTES_MAX:
        raise BadRequestError(
            f"`{param}` has more than {FILE_BYTES_MAX:,} bytes.", code="invalid_image", param=param
        )
    return SentFile(content=content, asset=found)


def carries_files(request: GenerationRequest) -> bool:
    """Return whether a request has files, or addresses that are files."""
    return any(each.asset is not None or _is_heavy(each) for each in _references(request))


async def keep_files(
    request: GenerationRequest, files: Files, *, archive: Archive | None, note: Note
) -> GenerationRequest:
    """Return a request that can be stored: its files are in the archive, or part of it where that is not to be."""
    kept = [await _keep(each, files, archive=archive, note=note) for each in _references(request)]
    count = len(request.references)
    return replace(request, references=tuple(kept[:count]), mask=next(iter(kept[count:]), None))


async def _keep(
    reference: Reference, files: Files, *, archive: Archive | None, note: Note
) -> Reference:
    file = await _file_of(reference, files) if archive or reference.asset else None
    if file is None:
        return reference
    if archive is not None:
        try:
            async with aclosing(file.chunks()) as chunks:
                await archive.put(
                    asset_name(file.asset), chunks, content_type=file.asset.content_type
                )
        except ArchiveError as error:
            note("archive.failed", error=error.message)
        else:
            return replace(reference, uri="", asset=file.asset)
    if reference.asset is None:
        return reference
    return replace(reference, uri=await file.data_uri(), asset=None)


async def _file_of(reference: Reference, files: Files) -> SentFile | None:
    """Return the file that a reference is, None for an address of another kind."""
    if reference.asset is not None:
        return files[reference.asset.digest]
    if not _is_heavy(reference):
        return None
    _, _, data = reference.uri.partition(";base64,")
    try:
        content = BytesIO(await asyncio.to_thread(base64.b64decode, data, validate=True))
    except binascii.Error:
        return None  # the provider says what is wrong with it
    asset = await asyncio.to_thread(_look, content)
    return None if asset is None else SentFile(content=content, asset=asset)


def _references(request: GenerationRequest) -> tuple[Reference, ...]:
    return (*request.references, *filter(None, (request.mask,)))


def _is_heavy(reference: Reference) -> bool:
    return reference.uri.startswith("data:") and len(reference.uri) >= KEPT_CHARS_MIN


def _look(content: IO[bytes]) -> Asset | None:
    """Return what a file is, None for no image that may be a reference."""
    content.seek(0)
    digest, length = hashlib.sha256(), 0
    content_type = content_type_of(content.read(HEAD_BYTES))
    if content_type not in ACCEPTED:
        return None
    content.seek(0)
    while piece := content.read(_PIECE_BYTES):
        digest.update(piece)
        length += len(piece)
    return Asset(digest=digest.hexdigest(), content_type=content_type, length_bytes=length)
