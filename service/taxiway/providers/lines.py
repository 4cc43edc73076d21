"""A line: one of the session's connections for as long as calls use it, with a parser that makes no streams.

aiohttp makes a parser, a queue and a stream for every answer, which large ones need. That of a call fits into one
packet; read by httptools, and handed over in one piece, it costs a third. The connection stays aiohttp's: it is
lent, with its protocol set aside, and given back with it.
"""

import asyncio
import zlib
from dataclasses import dataclass

import aiohttp
from aiohttp.connector import Connection
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from multidict import CIMultiDict, CIMultiDictProxy

#: More than this is no answer to a call: a task's document has some hundred bytes, an error page some thousand.
ANSWER_MAX_BYTES = 4 * 1024 * 1024

#: Compressed as these, an answer can be read, though it was not asked to be.
_PACKED = frozenset({b"gzip", b"x-gzip", b"deflate"})

#: zlib's word for "by what its first bytes say, gzip or zlib".
_EITHER_WBITS = 47


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer. Its headers are read when somebody asks for them."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The headers, by any case of their names."""
        pairs = ((_text(name), _text(value)) for name, value in self.fields)
        return CIMultiDictProxy(CIMultiDict(pairs))


class Line(asyncio.Protocol):
    """Asks one question after the other. Owned by `Calls`, from the pool and back to it."""

    __slots__ = (
        "_body",
        "_connection",
        "_fields",
        "_handler",
        "_left_bytes",
        "_parser",
        "_transport",
        "_until_end",
        "_waiter",
        "late",
        "sound",
        "until_s",
    )

    def __init__(self, connection: Connection) -> None:
        """Take the connection over. Raises `aiohttp.ServerDisconnectedError` where it is gone already."""
        handler = connection.protocol
        if handler is None or handler.transport is None:
            raise aiohttp.ServerDisconnectedError
        self.until_s = 0.0
        """When its call has taken too long; while there is none, when it was kept for long enough."""
        self.late = False
        """Whether its call was ended for having taken too long."""
        self.sound = True
        """Whether another question may go down it."""
        self._connection = connection
        self._handler = handler
        self._transport = handler.transport
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._waiter: asyncio.Future[Reply] | None = None
        self._begin()
        self._transport.set_protocol(self)

    def ask(self, question: bytes) -> asyncio.Future[Reply]:
        """Send a request; the future is resolved when its answer is whole.

        It may hold `aiohttp.ClientError` and `OSError`. Whoever stops waiting for it closes the line.
        """
        waiter: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiter = waiter
        self._left_bytes = ANSWER_MAX_BYTES
        self._transport.write(question)
        return waiter

    def abort(self) -> None:
        """End the call that waits, wherever it is in its answer. The call itself closes the line."""
        self._transport.abort()

    def release(self) -> None:
        """Give the connection back to the pool, or close it where it is of no use to anybody."""
        if self.sound and not self._transport.is_closing():
            self._parser = None
            self._transport.set_protocol(self._handler)
            self._connection.release()
        else:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        self.sound = False
        self._parser = None  # it holds this line as this line holds it
        self._connection.close()

    # What the transport tells

    def data_received(self, data: bytes) -> None:
        """Take a piece of an answer."""
        self._left_bytes -= len(data)
        if self._waiter is None or self._parser is None or self._left_bytes < 0:
            self._fail(aiohttp.ClientPayloadError("More came than was asked for."))
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(aiohttp.ClientPayloadError(f"What came is no answer: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        """Be hung up on: that ends an answer which says in no other way where it ends, and breaks off others."""
        if self._until_end and error is None:
            self._finish()
        elif isinstance(error, OSError):
            self._fail(aiohttp.ClientOSError(*error.args))
        elif self._fields or self._body:
            self._fail(aiohttp.ClientPayloadError("The answer broke off."))
        else:
            self._fail(aiohttp.ServerDisconnectedError())
        self.sound = False
        self._handler.connection_lost(error)

    def pause_writing(self) -> None:
        """Pass it on to the protocol that was set aside: it may have the connection back before this ends."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on, as its beginning was."""
        self._handler.resume_writing()

    # What the parser tells

    def on_message_begin(self) -> None:
        """Begin an answer, which somebody waits for."""
        if self._waiter is None:
            self.sound = False  # one answer too many in the same packet

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Find out how the answer says where it ends."""
        names = {name for name, _ in self._fields}
        self._until_end = not names & {b"content-length", b"transfer-encoding"}

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Hand the answer over, unless it only announces another one."""
        if self._parser is not None and 100 <= self._parser.get_status_code() < 200:
            self._begin()
        else:
            self._finish()

    def _begin(self) -> None:
        self._fields: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._until_end = False

    def _finish(self) -> None:
        waiter, parser, self._waiter = self._waiter, self._parser, None
        if waiter is None or parser is None or waiter.done():
            self.sound = False
            return
        self.sound = self.sound and parser.should_keep_alive()
        try:
            waiter.set_result(self._reply(parser.get_status_code()))
        except (zlib.error, ValueError) as error:
            waiter.set_exception(aiohttp.ClientPayloadError(f"It cannot be read: {error}"))
        self._begin()

    def _reply(self, status: int) -> Reply:
        body = self._body
        for name, value in self._fields:
            if name == b"content-encoding" and value.lower() in _PACKED:
                body = _unpacked(body)
        return Reply(status=status, fields=self._fields, body=body)

    def _fail(self, error: Exception) -> None:
        waiter, self._waiter = self._waiter, None
        self.sound = False
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)


def _unpacked(body: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=_EITHER_WBITS)
    plain = inflater.decompress(body, ANSWER_MAX_BYTES)
    if not inflater.eof:
        raise ValueError("it does not end, or is too long")
    return plain


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
