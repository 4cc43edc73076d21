"""A stream from its headers to its end: opened, counted, watched, and closed so that the client is not deceived.

A clean end tells a client that it has everything. So a stream that ends by an accident is aborted instead,
and nothing that goes wrong may leave the handler: aiohttp would write a second answer into the first.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import hdrs, web

from taxiway.errors import ProviderUnavailableError
from taxiway.server.followers import CloseReason, Stream
from taxiway.server.keys import LOGS, METRICS, SWEEP

#: No proxy may hold the stream back, keep it, or compress it; and no other server hears of its address,
#: whose query may be a token.
HEADERS: Mapping[str, str] = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
    "Referrer-Policy": "no-referrer",
}

#: How long the kernel waits for an acknowledgement, or a window; its default is a quarter of an hour.
USER_TIMEOUT_MS = 30_000


async def send_stream(
    request: web.Request,
    stream: Stream,
    tell: Callable[[], Awaitable[None]],
    *,
    job_id: str | None = None,
    jobs: int | None = None,
    resumed: bool = False,
) -> None:
    """Send an event stream, of one job or of several, counted and logged.

    `tell` writes everything there is to say; see `send`.
    """
    metrics, logs = request.app[METRICS], request.app[LOGS]
    metrics.stream_opened()
    logs.note("stream.opened", job_id=job_id, jobs=jobs, resumed=resumed)
    try:
        await send(request, stream, tell, job_id=job_id)
    finally:
        reason = stream.leaving or CloseReason.ERROR
        metrics.stream_closed(reason)
        logs.note(
            "stream.closed",
            job_id=job_id,
            jobs=jobs,
            reason=reason,
            events=stream.events,
            duration_s=round(stream.age_s, 3),
            resumed=resumed,
        )


async def send(
    request: web.Request,
    stream: Stream,
    tell: Callable[[], Awaitable[None]],
    *,
    job_id: str | None = None,
) -> None:
    """Send the headers, run `tell`, and end the response. `stream.leaving` tells afterwards why it ended.

    Neither a client who leaves nor an error gets out of here; both abort the connection.
    """
    ended = CloseReason.ERROR
    try:
        with request.app[SWEEP].watching(stream):
            await stream.response.prepare(request)
            stream.chunked = stream.response.headers.get(hdrs.TRANSFER_ENCODING) == "chunked"
            # They are sent, and would take up a fifth of what an idle stream takes.
            stream.response.headers.clear()
            await tell()
            # Here, and not by aiohttp after the handler, so that the sweep watches this last wait too.
            await stream.response.write_eof()
        ended = CloseReason.COMPLETED
    except ConnectionError:
        ended = CloseReason.CLIENT_GONE
    except ProviderUnavailableError as error:
        request.app[LOGS].note("upstream.request.failed", job_id=job_id, error=error.message)
    except Exception as error:  # noqa: BLE001 - an answer has begun, so there is no other place for it
        note_broken(request, error)
    finally:
        # It holds the stream in turn: a circle, which is only freed when somebody looks for circles.
        stream.take = None
        if ended is CloseReason.COMPLETED:
            stream.leave(ended)
        else:
            stream.cut(ended)


def note_broken(request: web.Request, error: Exception) -> None:
    """Log a fault of ours that broke an answer."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource else ""
    request.app[LOGS].note(
        "http.request.broken", method=request.method, route=route, exc_info=error
    )


def tune(transport: asyncio.Transport | None, *, send_buffer_bytes: int | None = None) -> None:
    """Make a connection show early that its client is unplugged; with a small buffer, that it does not read."""
    connection = transport.get_extra_info("socket") if transport else None
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    if send_buffer_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
