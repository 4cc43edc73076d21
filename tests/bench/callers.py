"""Those who ask, as light as they can be: the load must not be what is measured.

Each has a connection of its own, as callers have, and one request, prepared beforehand. They read no more of an
answer than where it ends; a client library would cost more than the service it asks.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

import orjson

_END_OF_HEAD = b"\r\n\r\n"
_END_OF_CHUNKS = b"0\r\n\r\n"


class Caller(asyncio.Protocol):
    """One request and its answer. `done` is resolved when the answer is whole, or the connection gone."""

    __slots__ = ("_need", "_request", "_transport", "answer", "answered_at_s", "done", "prompt")

    def __init__(self, request: bytes, *, prompt: str) -> None:
        self._request = request
        self.prompt = prompt
        self._transport: asyncio.Transport | None = None
        self._need: int | None = None
        """How long the whole answer is; None while that is not known, -1 where it comes in chunks."""
        self.answer = bytearray()
        self.answered_at_s = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def status(self) -> int:
        """The status of the answer, 0 without one."""
        return int(self.answer[9:12]) if self.done.done() and self._whole() else 0

    @property
    def body(self) -> bytes:
        """The answer's body."""
        return bytes(self.answer.partition(_END_OF_HEAD)[2])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take a piece of the answer."""
        self.answer += data
        if self._whole():
            self._finish()

    def connection_lost(self, _error: Exception | None) -> None:
        """Be left: whatever has not come will not."""
        self._finish()

    def hang_up(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()

    def _finish(self) -> None:
        if not self.done.done():
            self.answered_at_s = asyncio.get_running_loop().time()
            self.done.set_result(None)
            self.hang_up()

    def _whole(self) -> bool:
        if self._need is None:
            head, found, _ = self.answer.partition(_END_OF_HEAD)
            if not found:
                return False
            length = _length(bytes(head).lower())
            self._need = -1 if length is None else len(head) + len(found) + length
        if self._need < 0:
            return self.answer.endswith(_END_OF_CHUNKS)
        return len(self.answer) >= self._need


class Viewer(asyncio.Protocol):
    """One event stream, read as fast as it comes and only counted."""

    __slots__ = ("_request", "_transport", "closed", "events", "told")

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._transport: asyncio.Transport | None = None
        self.events = 0
        self.closed = False
        """Whether it has come to its end, though its connection may be kept for another request."""
        self.told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Resolved by the first event, or by the connection's end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count the frames that end in a piece; no frame of either program holds an empty line inside."""
        self.events += data.count(b"\n\n")
        self.closed = data.endswith(_END_OF_CHUNKS)
        if self.events and not self.told.done():
            self.told.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        """Note that it has ended."""
        self.closed = True
        if not self.told.done():
            self.told.set_result(None)

    def hang_up(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()


def generation(prompt: str, *, model: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the request for an image."""
    body = orjson.dumps({"model": model, "prompt": prompt})
    lines = {
        "Host": "127.0.0.1",
        "Authorization": "Bearer sk-bench",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }
    return _request("POST /v1/images/generations", lines) + body


def watching(job_id: str) -> bytes:
    """Return the request for a job's events."""
    return _request(f"GET /v1/jobs/{job_id}/events", {"Host": "127.0.0.1"})


def unix_offset_s() -> float:
    """Return what turns the loop's time into a date."""
    return datetime.now(UTC).timestamp() - asyncio.get_running_loop().time()


async def ask(
    port: int, prompt: str, *, model: str, headers: Mapping[str, str] | None = None
) -> Caller:
    """Open a connection and ask for an image; the answer is awaited by `done`. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    request = generation(prompt, model=model, headers=headers)
    _, caller = await loop.create_connection(
        lambda: Caller(request, prompt=prompt), "127.0.0.1", port
    )
    return caller


async def watch(port: int, job_id: str) -> Viewer:
    """Open a stream of a job's events. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    request = watching(job_id)
    _, viewer = await loop.create_connection(lambda: Viewer(request), "127.0.0.1", port)
    return viewer


def _request(line: str, headers: Mapping[str, str]) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{line} HTTP/1.1\r\n{head}\r\n".encode()


def _length(head: bytes) -> int | None:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return None
