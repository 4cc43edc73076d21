"""`Expect: 100-continue`: whether a body that is announced may come."""

from aiohttp import HttpVersion11, web

from taxiway.errors import BadRequestError
from taxiway.server.json_bodies import too_large
from taxiway.server.problems import problem


async def answer_expectation(request: web.Request) -> web.StreamResponse | None:
    """Let the body come; or refuse one that is too large before it is sent, and a wish nobody knows."""
    if request.version < HttpVersion11:
        return None
    if request.headers.get("Expect", "").lower() != "100-continue":
        return problem(
            BadRequestError(
                "`Expect` must be 100-continue.", code="invalid_request", param="Expect"
            )
        )
    if (request.content_length or 0) > request.client_max_size:
        return problem(too_large(request))
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # What was written is no part of the answer, which aiohttp would otherwise think begun.
    request.writer.output_size = 0
    return None
