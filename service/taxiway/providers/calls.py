"""Calls: small requests, again and again to one host, at a third of what aiohttp's `request` takes for one.

A generation is one submission and half a dozen looks at its task, so calls are most of what the service does.
Connections, TLS and the limit per host are aiohttp's; what is left out is what such a call does not need: building
a request anew each time, redirects, cookies, proxies, and the pieces of a large answer.

Two things are done for many calls at once. A connection goes from one to the next without going back to the pool
in between. And one sweep ends those that take too long: a timer for each costs a twentieth of a call.
"""

import asyncio
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from weakref import WeakSet

import aiohttp
from yarl import URL

from taxiway.providers.lines import Line, Reply

#: Connections kept from call to call, at most, by all deployments together: a quarter of what a host may have, so
#: that one deployment's do not keep another one waiting.
KEPT_MAX = 64

#: How long one is kept without a call. Then it is aiohttp's again, which closes it in time.
KEPT_S = 3.0

#: How often calls are looked over: the most by which one takes too long.
SWEEP_PERIOD_S = 1.0


class Connector(aiohttp.TCPConnector):
    """The session's pool of connections, which takes back what calls have kept before it closes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.lent: WeakSet[Calls] = WeakSet()
        self.kept = 0
        """How many they keep at the moment."""

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close every connection."""
        for calls in self.lent:
            calls.give_back()
        await super().close(abort_ssl=abort_ssl)


class Calls:
    """Calls what lies below one address, over the session's connections."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: str,
        *,
        headers: Mapping[str, str],
        verify_tls: bool,
    ) -> None:
        self.session = session
        self.base = URL(base)
        self._headers = headers
        self._verify_tls = verify_tls
        self._pool = session.connector if isinstance(session.connector, Connector) else None
        if self._pool is not None:
            self._pool.lent.add(self)
        self._kept: list[Line] = []
        self._used: set[Line] = set()
        self._sweep: asyncio.TimerHandle | None = None

    async def call(
        self, method: str, path: str, *, limit: aiohttp.ClientTimeout, data: bytes | None = None
    ) -> Reply:
        """Return what the host answers at a path, which is quoted already; `data` is JSON.

        `limit` says how long a call may take in `total`, and how long of that it may wait to `connect`. A kept
        connection that its other end had closed is nobody's fault, and is tried once more, unless by a POST: that
        may have been heard.

        Raises `aiohttp.ClientConnectorError` and `aiohttp.ConnectionTimeoutError` where nothing was sent, and
        other `aiohttp.ClientError`, `OSError` and `TimeoutError` where something may have been.
        """
        until_s = _now_s() + (limit.total or 0.0)
        question = self._question(method, path, data)
        try:
            return await self._call(question, limit, until_s)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if method == "POST" or isinstance(error, aiohttp.ClientConnectorError):
                raise
            return await self._call(question, limit, until_s)

    async def _call(self, question: bytes, limit: aiohttp.ClientTimeout, until_s: float) -> Reply:
        line = self._next() or await self._connected(limit)
        line.until_s = until_s
        self._used.add(line)
        if self._sweep is None:
            self._sweep_soon()
        try:
            reply = await line.ask(question)
        except BaseException as error:
            line.close()
            if line.late:
                raise TimeoutError("The answer took too long.") from error
            raise
        finally:
            self._used.discard(line)
        self._keep(line)
        return reply

    def _next(self) -> Line | None:
        """Return the connection that was kept last, which is the likeliest to be sound still."""
        while self._kept:
            line = self._taken()
            if line.sound:
                return line
            line.release()
        return None

    async def _connected(self, limit: aiohttp.ClientTimeout) -> Line:
        connector = self.session.connector
        if connector is None:
            raise aiohttp.ClientConnectionError("The session is closed.")
        try:
            async with asyncio.timeout(limit.connect):
                connection = await connector.connect(self._request, traces=[], timeout=limit)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError("It took too long to connect.") from error
        try:
            return Line(connection)
        except BaseException:
            connection.close()
            raise

    def give_back(self) -> None:
        """Let go of the connections that are kept."""
        while self._kept:
            self._taken().release()

    def _keep(self, line: Line) -> None:
        if line.sound and self._pool is not None and self._pool.kept < KEPT_MAX:
            line.until_s = _now_s() + KEPT_S
            self._pool.kept += 1
            self._kept.append(line)
        else:
            line.release()

    def _taken(self, at: int = -1) -> Line:
        if self._pool is not None:
            self._pool.kept -= 1
        return self._kept.pop(at)

    def _sweep_soon(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(SWEEP_PERIOD_S, self._look_over)

    def _look_over(self) -> None:
        """End calls that take too long, and give back connections that nobody has used for a while."""
        now_s, self._sweep = _now_s(), None
        for line in self._used:
            if now_s >= line.until_s:
                line.late = True
                line.abort()
        while self._kept and (now_s >= self._kept[0].until_s or not self._kept[0].sound):
            self._taken(0).release()
        if self._used or self._kept:
            self._sweep_soon()

    def _question(self, method: str, path: str, data: bytes | None) -> bytes:
        if data is None:
            return f"{method} {self._prefix}{path} HTTP/1.1\r\n{self._head}\r\n".encode()
        line = f"{method} {self._prefix}{path} HTTP/1.1\r\n{self._head}"
        more = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        return f"{line}{more}".encode() + data

    @cached_property
    def _request(self) -> aiohttp.ClientRequest:
        """What the connector asks for a connection by; also what makes the headers what they are elsewhere."""
        return aiohttp.ClientRequest(
            "GET",
            self.base,
            # A task's document is shorter than what unpacking it would cost.
            headers={**self._headers, "Accept-Encoding": "identity"},
            loop=asyncio.get_running_loop(),
            session=self.session,
            ssl=self._verify_tls,
        )

    @cached_property
    def _prefix(self) -> str:
        return self.base.raw_path.rstrip("/")

    @cached_property
    def _head(self) -> str:
        lines = [f"{name}: {value}" for name, value in self._request.headers.items()]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("A header of the deployment spans lines.")
        return "".join(f"{line}\r\n" for line in lines)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
