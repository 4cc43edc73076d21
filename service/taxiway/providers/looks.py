"""Looks: GETs without a body, again and again to one host, at a third of what aiohttp's `request` takes for one.

A generation is one submission and half a dozen looks at its task, so looks are most of what the service does.
Connections, TLS, the limit per host and the parser are aiohttp's; what is left out is what a look does not need:
building the request anew each time, redirects, cookies, proxies, and the pieces that a large answer would come in.
"""

import asyncio
from collections.abc import Mapping
from functools import cached_property

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDictProxy
from yarl import URL


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
        self._session = session
        self._base = URL(base)
        self._headers = headers
        self._verify_tls = verify_tls
        self._limit = limit

    async def get(self, path: str) -> tuple[int, CIMultiDictProxy[str], bytes]:
        """Return the status, headers and body at a path, which is quoted already.

        A kept connection that its other end had closed is nobody's fault, and is tried once more. Raises
        `aiohttp.ClientError`, `OSError` and `TimeoutError`.
        """
        async with asyncio.timeout(self._limit.total):
            try:
                return await self._get(path)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if isinstance(error, aiohttp.ClientConnectorError):
                    raise
                return await self._get(path)

    async def _get(self, path: str) -> tuple[int, CIMultiDictProxy[str], bytes]:
        connector = self._session.connector
        if connector is None:
            raise aiohttp.ClientConnectionError("The session is closed.")
        connection = await connector.connect(self._request, traces=[], timeout=self._limit)
        question = b"GET %b%b HTTP/1.1\r\n%b" % (self._prefix, path.encode("ascii"), self._head)
        try:
            answer = await _exchange(connection.protocol, question)
        except HttpProcessingError as error:
            connection.close()
            raise aiohttp.ClientPayloadError(error.message) from error
        except BaseException:
            connection.close()
            raise
        connection.release()
        return answer

    @cached_property
    def _request(self) -> aiohttp.ClientRequest:
        """What the connector asks for a connection by; also what makes the headers what they are elsewhere."""
        return aiohttp.ClientRequest(
            "GET",
            self._base,
            headers=self._headers,
            loop=asyncio.get_running_loop(),
            session=self._session,
            ssl=self._verify_tls,
        )

    @cached_property
    def _prefix(self) -> bytes:
        return self._base.raw_path.rstrip("/").encode("ascii")

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
