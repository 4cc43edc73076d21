"""Looks: GETs without a body, again and again to one host, at a third of what aiohttp's `request` takes for one.

A generation is one submission and half a dozen looks at its task, so looks are most of what the service does.
Connections, TLS, the limit per host and the parser are aiohttp's; what is left out is what a look does not need:
building the request anew each time, redirects, cookies, proxies, and the pieces of a large answer.

Two things are done for many looks at once. A connection goes from one to the next without going back to the pool
in between. And one sweep ends those that take too long: a timer for each costs a twentieth of a look.
"""

import asyncio
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDictProxy
from yarl import URL

#: Connections kept from look to look, at most: an eighth of what a host may have, so that submissions find some.
KEPT_MAX = 32

#: How long one is kept without a look. Then it is aiohttp's again, which closes it in time.
KEPT_S = 3.0

#: How often looks are looked over: the most by which one takes too long.
SWEEP_PERIOD_S = 1.0


class _Line:
    """A connection, and the look that it is used by."""

    __slots__ = ("connection", "late", "protocol", "until_s")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.protocol = connection.protocol
        self.until_s = 0.0
        """When its look has taken too long; while there is none, when it was kept for long enough."""
        self.late = False
        """Whether its look was ended for having taken too long."""

    def abort(self) -> None:
        """End the look that waits, wherever it is in its answer. The look itself closes the connection."""
        if self.protocol is not None and self.protocol.transport is not None:
            self.protocol.transport.abort()

    @property
    def sound(self) -> bool:
        """Whether another look may go down it."""
        protocol = self.protocol
        return protocol is not None and protocol.is_connected() and not protocol.should_close


class Connector(aiohttp.TCPConnector):
    """The session's pool of connections, which takes back what looks have kept before it closes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.lent: WeakSet[Looks] = WeakSet()

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close every connection."""
        for looks in self.lent:
            looks.give_back()
        await super().close(abort_ssl=abort_ssl)


class Looks:
    """Looks at what lies below one address, over the session's connections."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: str,
        *,
        headers: Mapping[str, str],
        verify_tls: bool,
        limit: aiohttp.ClientTimeout,
    ) -> None:
        """`limit` says how long a look may take in `total`, and how long of that it may wait to `connect`."""
        self.session = session
        self.base = URL(base)
        self._headers = headers
        self._verify_tls = verify_tls
        self._limit = limit
        self._limit_s = limit.total or 0.0
        self._kept_max = 0
        if isinstance(session.connector, Connector):
            session.connector.lent.add(self)
            self._kept_max = KEPT_MAX
        self._kept: list[_Line] = []
        self._used: set[_Line] = set()
        self._sweep: asyncio.TimerHandle | None = None

    async def get(self, path: str) -> tuple[int, CIMultiDictProxy[str], bytes]:
        """Return the status, headers and body at a path, which is quoted already.

        A kept connection that its other end had closed is nobody's fault, and is tried once more. Raises
        `aiohttp.ClientError`, `OSError` and `TimeoutError`.
        """
        until_s = _now_s() + self._limit_s
        try:
            return await self._get(path, until_s)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if isinstance(error, aiohttp.ClientConnectorError):
                raise
            return await self._get(path, until_s)

    async def _get(self, path: str, until_s: float) -> tuple[int, CIMultiDictProxy[str], bytes]:
        line = self._next() or await self._connected()
        question = b"GET %b%b HTTP/1.1\r\n%b" % (self._prefix, path.encode("ascii"), self._head)
        line.until_s = until_s
        self._used.add(line)
        if self._sweep is None:
            self._sweep_soon()
        try:
            answer = await _exchange(line.protocol, question)
        except BaseException as error:
            line.connection.close()
            if line.late:
                raise TimeoutError("The answer took too long.") from error
            if isinstance(error, HttpProcessingError):
                raise aiohttp.ClientPayloadError(error.message) from error
            raise
        finally:
            self._used.discard(line)
        self._keep(line)
        return answer

    def _next(self) -> _Line | None:
        """Return the connection that was kept last, which is the likeliest to be sound still."""
        while self._kept:
            line = self._kept.pop()
            if line.sound:
                return line
            line.connection.release()
        return None

    async def _connected(self) -> _Line:
        connector = self.session.connector
        if connector is None:
            raise aiohttp.ClientConnectionError("The session is closed.")
        async with asyncio.timeout(self._limit.connect):
            return _Line(await connector.connect(self._request, traces=[], timeout=self._limit))

    def give_back(self) -> None:
        """Let go of the connections that are kept."""
        while self._kept:
            self._kept.pop().connection.release()

    def _keep(self, line: _Line) -> None:
        if line.sound and len(self._kept) < self._kept_max:
            line.until_s = _now_s() + KEPT_S
            self._kept.append(line)
        else:
            line.connection.release()

    def _sweep_soon(self) -> None:
        period_s = min(SWEEP_PERIOD_S, self._limit_s / 10)
        self._sweep = asyncio.get_running_loop().call_later(period_s, self._look_over)

    def _look_over(self) -> None:
        """End looks that take too long, and give back connections that nobody has used for a while."""
        now_s, self._sweep = _now_s(), None
        for line in self._used:
            if now_s >= line.until_s:
                line.late = True
                line.abort()
        while self._kept and (now_s >= self._kept[0].until_s or not self._kept[0].sound):
            self._kept.pop(0).connection.release()
        if self._used or self._kept:
            self._sweep_soon()

    @cached_property
    def _request(self) -> aiohttp.ClientRequest:
        """What the connector asks for a connection by; also what makes the headers what they are elsewhere."""
        return aiohttp.ClientRequest(
            "GET",
            self.base,
            headers=self._headers,
            loop=asyncio.get_running_loop(),
            session=self.session,
            ssl=self._verify_tls,
        )

    @cached_property
    def _prefix(self) -> bytes:
        return self.base.raw_path.rstrip("/").encode("ascii")

    @cached_property
    def _head(self) -> bytes:
        lines = [f"{name}: {value}" for name, value in self._request.headers.items()]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("A header of the deployment spans lines.")
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


async def _exchange(
    protocol: ResponseHandler | None, question: bytes
) -> tuple[int, CIMultiDictProxy[str], bytes]:
    if protocol is None or protocol.transport is None:
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(read_until_eof=True)
    protocol.transport.write(question)
    message, payload = await protocol.read()
    while 100 <= message.code < 200 and message.code != 101:  # an interim answer
        message, payload = await protocol.read()
    return message.code, message.headers, await payload.read()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
