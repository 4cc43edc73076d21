"""Images as base64, in pieces: nobody else's answer waits while one is encoded.

Encoding 16 MiB in one go holds the event loop for 64 ms, in a thread too, since base64 keeps the
interpreter's lock. Pieces of 48 KiB hold it for less than one, and are quicker in all.
"""

import asyncio
from binascii import b2a_base64
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any

import orjson
from aiohttp import web

from taxiway.errors import BadGatewayError
from taxiway.server.followers import Stream
from taxiway.server.frames import open_object
from taxiway.server.keys import LOGS, SETTINGS
from taxiway.server.pictures import Opener, Picture
from taxiway.server.streams import send, tune

#: A multiple of three, so that no piece but the last is padded: 64 KiB of base64.
PIECE_BYTES = 48 * 1024


def base64_length(size_bytes: int) -> int:
    """Return how long so many bytes are in base64."""
    return (size_bytes + 2) // 3 * 4


async def base64_pieces(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield bytes of any chunking as base64, 64 KiB at a time, and let others run in between."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        while len(held) >= PIECE_BYTES:
            yield b2a_base64(held[:PIECE_BYTES], newline=False)
            del held[:PIECE_BYTES]
            await asyncio.sleep(0)
    if held:
        yield b2a_base64(held, newline=False)


async def send_base64(
    request: web.Request,
    head: Mapping[str, Any],
    images: Sequence[tuple[Mapping[str, Any], Opener]],
    *,
    job_id: str,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Answer with OpenAI's images body: `head`, and as `data` each image's fields and its `b64_json`.

    `b64_json` is null for an image whose bytes cannot be had while another one's can; a download that fails for
    good later aborts the connection. `Content-Length` is sent where every image's length is known.
    """
    tune(request.transport)
    response = web.StreamResponse(headers=headers)
    response.content_type = "application/json"
    stream = Stream(
        response,
        transport=request.transport,
        stall_s=request.app[SETTINGS].sse_write_timeout_s,
    )
    async with AsyncExitStack() as stack:
        pictures = [await stack.enter_async_context(Picture(opener)) for _, opener in images]
        await _begin(pictures)
        for picture in pictures:
            if not picture.begun:
                note = request.app[LOGS].note
                note("upstream.request.failed", job_id=job_id, error=picture.error)
        if not any(picture.begun for picture in pictures):
            raise BadGatewayError(
                "The image is ready, but its bytes cannot be fetched; its job has the address.",
                code="image_unavailable",
                job_id=job_id,
            )
        parts = list(_parts(head, [fields for fields, _ in images], pictures))
        response.content_length = _length(parts)

        async def tell() -> None:
            for part in parts:
                await _write(stream, part)

        await send(request, stream, tell, job_id=job_id)
    return response


async def _begin(pictures: Sequence[Picture]) -> None:
    async with asyncio.TaskGroup() as group:
        for picture in pictures:
            group.create_task(picture.begin())


def _parts(
    head: Mapping[str, Any], images: Sequence[Mapping[str, Any]], pictures: Sequence[Picture]
) -> Iterator[bytes | Picture]:
    """Yield the body in order: JSON, and each picture where its base64 belongs."""
    yield orjson.dumps(head)[:-1] + (b',"data":[' if head else b'"data":[')
    for number, (fields, picture) in enumerate(zip(images, pictures, strict=True)):
        comma = b"," if number else b""
        if picture.begun:
            yield comma + open_object(fields, "b64_json")
            yield picture
            yield b'"}'
        else:
            yield comma + orjson.dumps({**fields, "b64_json": None})
    yield b"]}"


def _length(parts: Sequence[bytes | Picture]) -> int | None:
    """Return the length of the body in bytes, or None where a picture's is not known."""
    length = 0
    for part in parts:
        if isinstance(part, bytes):
            length += len(part)
        elif part.length_bytes is None:
            return None
        else:
            length += base64_length(part.length_bytes)
    return length


async def _write(stream: Stream, part: bytes | Picture) -> None:
    if isinstance(part, bytes):
        await stream.write(part)
        return
    async with aclosing(base64_pieces(part)) as pieces:
        async for piece in pieces:
            await stream.write(piece)
