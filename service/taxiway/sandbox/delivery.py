"""Answers onto the wire: well, or as badly as a fault wants it."""

import asyncio
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count

import orjson
from aiohttp import web

from taxiway.sandbox.answers import Answer, scripted
from taxiway.sandbox.faults import Fault

JSON = "application/json; charset=utf-8"

#: SO_LINGER on, zero seconds: closing then sends RST, so the caller sees a broken connection, not an end.
_LINGER = struct.pack("ii", 1, 0)

Act = Callable[[], Awaitable[Answer]]
_numbers = count(1)


def respond(answer: Answer) -> web.Response:
    """Return an answer as the vendor's gateway sends it."""
    if answer.body is None:
        return web.Response(status=answer.status, headers=_headers(answer, b""))
    payload = orjson.dumps(answer.body)
    headers = _headers(answer, payload)
    headers["Content-Type"] = JSON
    return web.Response(status=answer.status, body=payload, headers=headers)


async def deliver(request: web.Request, *, fault: Fault | None, act: Act) -> web.StreamResponse:
    """Carry a request out and answer it, or do what the fault says instead."""
    if fault is None:
        return respond(await act())
    answer = await act() if fault.has_effect else Answer(body={})
    if fault.hang:
        await asyncio.Event().wait()  # until the caller leaves or the server stops
    if fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    if fault.cut == "answer":
        reset(request)
    response = _spoilt(fault, answer)
    if fault.cut == "body":
        return await half(request, response)
    return response


def reset(request: web.Request) -> None:
    """Break the connection at once, without an answer."""
    transport = request.transport
    if transport is None:
        return
    peer = transport.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
    transport.abort()


async def half(request: web.Request, response: web.Response) -> web.StreamResponse:
    """Send the head and half of the body, then close."""
    payload = bytes(response.body) if isinstance(response.body, bytes) else b""
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_length = max(2, len(payload))
    await stream.prepare(request)
    await stream.write(payload[: len(payload) // 2])
    if request.transport is not None:
        request.transport.close()
    return stream


def _spoilt(fault: Fault, answer: Answer) -> web.Response:
    refused = fault.status is not None and (fault.status >= 300 or fault.body is not None)
    if refused or fault.body is not None:
        return _scripted(fault, fault.status or answer.status)
    body = answer.body
    if body is not None:
        body = {
            key: value for key, value in (body | dict(fault.put)).items() if key not in fault.drop
        }
    status = fault.status or answer.status
    response = respond(
        replace(answer, status=status, body=body, headers={**answer.headers, **fault.headers})
    )
    if fault.truncate and isinstance(response.body, bytes):
        response.body = bytes(response.body)[: len(response.body) // 2]
    return response


def _scripted(fault: Fault, status: int) -> web.Response:
    headers = dict(fault.headers)
    if 300 <= status < 400:
        headers.setdefault("Location", "/sandbox/elsewhere")
    said, content_type = scripted(status, fault.body)
    if isinstance(said, Answer):
        return respond(replace(said, status=status, headers=headers))
    headers = _headers(Answer(headers=headers), said)
    return web.Response(status=status, body=said, headers={**headers, "Content-Type": content_type})


def _headers(answer: Answer, payload: bytes) -> dict[str, str]:
    headers = {
        "apigw-requestid": f"sbx{next(_numbers):012x}=",
        "x-powered-by": "Express",
        **answer.headers,
    }
    if payload:
        headers["etag"] = f'W/"{len(payload):x}-{zlib.crc32(payload):08x}"'
    return headers
