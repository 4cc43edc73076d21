"""`Expect: 100-continue`: whether a body that is announced may come."""

from aiohttp import HttpVersion11, web

from taxiway.errors import BadRequestError
from taxiway.server.json_bodies import too_large
from taxiway.server.keys import REFUSED


async def answer_expectation(request: web.Request) -> None:
    """Let the body come; or have the request refused, a body that is too large before it is sent.

    aiohttp asks before the middlewares, so the refusal is left to them: it is logged and counted as any other.
    """
    if request.version < HttpVersion11:
        return
    if request.headers.get("Expect", "").lower() != "100-continue":
        request[REFUSED] = BadRequestError(
            "`Expect` must be 100-continue.", code="invalid_request", param="Expect"
        )
        return
    if (request.content_length or 0) > request.client_max_size:
        request[REFUSED] = too_large(request)
        return
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # What was written is no part of the answer, which aiohttp would otherwise think begun.
    request.writer.output_size = 0
