"""Small requests to a provider: the submission of a generation, and half a dozen looks at its task."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from taxiway.providers import open_session
from taxiway.providers.calls import Calls, Connector
from taxiway.providers.lines import ANSWER_MAX_BYTES, Reply

pytestmark = pytest.mark.looptime(False)

#: Answers one connection.
Host = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LIMIT = aiohttp.ClientTimeout(total=0.5, connect=0.3)


@asynccontextmanager
async def looking(
    host: Host, *, path: str = "", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Calls]:
    """Serve a host while the context lasts, and look below it."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await host(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", ssl=tls)
    async with open_session() as session, server:
        port = server.sockets[0].getsockname()[1]
        yield Calls(
            session,
            f"{'https' if tls else 'http'}://127.0.0.1:{port}{path}",
            headers={"Authorization": "Bearer a-key"},
            verify_tls=tls is None,
        )


def certified(folder: Path) -> ssl.SSLContext:
    """Return what a host needs for TLS, with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    both = folder / "host.pem"
    both.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(both)
    return context


async def get(calls: Calls, path: str = "/") -> Reply:
    """Look at a path."""
    return await calls.call("GET", path, limit=LIMIT)


def answering(*answers: bytes, heard: list[bytes] | None = None, each: int = 1000) -> Host:
    """Return a host that gives these answers in turn, and hangs up after so many on one connection."""
    left = iter(answers)

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(each):
            head = await reader.readuntil(b"\r\n\r\n")
            if heard is not None:
                heard.append(head)
            writer.write(next(left))
            await writer.drain()

    return host


def answer(body: bytes, *, status: str = "200 OK", headers: Sequence[str] = ()) -> bytes:
    """Return an answer as bytes."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


async def test_a_look_says_what_it_must_and_no_more() -> None:
    """The path is put behind that of the address, and the headers are those of every other call."""
    heard: list[bytes] = []
    async with looking(answering(answer(b"{}"), heard=heard), path="/runway") as calls:
        reply = await get(calls, "/v1/tasks/a%2Fb")
        [request] = heard
        line, *headers = request.decode().strip().split("\r\n")

    assert (reply.status, reply.body) == (200, b"{}")
    assert line == "GET /runway/v1/tasks/a%2Fb HTTP/1.1"
    assert {name.partition(":")[0] for name in headers} == {
        *("Host", "Authorization", "Accept", "Accept-Encoding", "User-Agent"),
    }
    assert "Authorization: Bearer a-key" in headers


async def test_calls_share_a_connection() -> None:
    """The next look goes down the connection of the one before: this host has but one."""
    connections = 0
    host = answering(answer(b"1"), answer(b"2", status="404 Not Found"), answer(b"3"))

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await host(reader, writer)

    async with looking(counting) as calls:
        replies = [await get(calls) for _ in range(3)]
        found = [(reply.status, reply.body) for reply in replies]

    assert (connections, found) == (1, [(200, b"1"), (404, b"2"), (200, b"3")])


async def test_calls_go_over_tls(tmp_path: Path) -> None:
    """As to a real provider: one handshake for all, and whatever the size of an answer."""
    connections = 0
    host = answering(answer(b"1"), answer(b"x" * 300_000), answer(b"3"))

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await host(reader, writer)

    async with looking(counting, tls=certified(tmp_path)) as calls:
        lengths = [len((await get(calls)).body) for _ in range(3)]

    assert (connections, lengths) == (1, [1, 300_000, 1])


async def test_a_certificate_that_nobody_vouches_for_is_not_taken(tmp_path: Path) -> None:
    """The key is shown to nobody whose certificate does not hold, unless the configuration says so."""
    async with looking(answering(answer(b"1")), tls=certified(tmp_path)) as calls:
        strict = Calls(calls.session, str(calls.base), headers={}, verify_tls=True)
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(strict)


async def test_a_connection_that_was_closed_meanwhile_is_not_noticed() -> None:
    """Whoever keeps a connection is hung up on at times, without an answer: the look is made once more."""
    async with looking(answering(answer(b"1"), answer(b"2"), each=1)) as calls:
        bodies = [(await get(calls)).body for _ in range(2)]

    assert bodies == [b"1", b"2"]


async def test_an_answer_may_come_in_pieces_compressed_and_announced() -> None:
    """What proxies make of an answer is read all the same: chunks, gzip and interim answers."""
    packed = gzip.compress(b'{"status": "RUNNING"}')
    chunks = (
        b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (packed[:9], packed[9:])) + b"0\r\n\r\n"
    )
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n"
    async with looking(answering(early + head + chunks, answer(b"2"))) as calls:
        bodies = [(await get(calls)).body for _ in range(2)]

    assert bodies == [b'{"status": "RUNNING"}', b"2"]


async def test_an_answer_may_end_with_its_connection() -> None:
    """Without a length, the end of the connection is the end of the answer; the next look makes another one."""
    endless = b"HTTP/1.1 200 OK\r\nRetry-After: 3\r\n\r\n{}"
    async with looking(answering(endless, answer(b"2"), each=1)) as calls:
        replies = [await get(calls) for _ in range(2)]

    assert [reply.body for reply in replies] == [b"{}", b"2"]
    assert replies[0].headers["retry-after"] == "3"


@pytest.mark.parametrize("early", [answer(b"another's"), b"HTTP/1.1 2"])
async def test_what_nobody_asked_for_is_nobodys_answer(early: bytes) -> None:
    """What comes behind an answer spoils its connection: it must not be told as what the next look has found."""
    async with looking(answering(answer(b"1") + early, answer(b"2"))) as calls:
        first = await get(calls)
        await asyncio.sleep(0.05)
        second = await get(calls)

    assert (first.body, second.body) == (b"1", b"2")


async def test_what_comes_while_nobody_asks_is_nobodys_answer() -> None:
    """A host that speaks unasked is not listened to: the next look goes down another connection."""

    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"asked"))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(answer(b"unasked"))
        await reader.read()

    async with looking(chatty) as calls:
        first = await get(calls)
        await asyncio.sleep(0.2)
        second = await get(calls)

    assert (first.body, second.body) == (b"asked", b"asked")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * ANSWER_MAX_BYTES, aiohttp.ClientPayloadError),
        (answer(b"no gzip", headers=["Content-Encoding: gzip"]), aiohttp.ClientPayloadError),
        (
            # Without a date: every process of `pytest -n` has to give the test the same name.
            answer(gzip.compress(b"whole", mtime=0)[:-2], headers=["Content-Encoding: gzip"]),
            aiohttp.ClientPayloadError,
        ),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", aiohttp.ClientPayloadError),
        (answer(b"whole")[:-2], aiohttp.ClientPayloadError),
        (b"", aiohttp.ServerDisconnectedError),
    ],
)
async def test_what_is_no_answer_is_an_error_of_the_client(
    said: bytes, error: type[Exception]
) -> None:
    """Something else than HTTP, half an answer, or none: the caller looks again, later."""
    async with looking(answering(said, said, each=1)) as calls:
        with pytest.raises(error):
            await get(calls)


async def test_a_post_carries_its_body() -> None:
    """The body follows the headers, with its length and type; the next call goes down the same connection."""
    heard: list[bytes] = []

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        heard.append(await reader.readexactly(14))
        writer.write(answer(b"bought", status="201 Created"))
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer(b"seen"))

    async with looking(host) as calls:
        bought = await calls.call("POST", "/v1/images", limit=LIMIT, data=b'{"text":"f\xc3\xb6"}')
        seen = await get(calls)

    assert (bought.status, bought.body, seen.body) == (201, b"bought", b"seen")
    assert heard[0].startswith(b"POST /v1/images HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/json\r\nContent-Length: 14\r\n" in heard[0]
    assert heard[1] == b'{"text":"f\xc3\xb6"}'
    assert b"Content-" not in heard[2]


async def test_a_post_is_sent_once() -> None:
    """A kept connection that hangs up may have heard it, so that a POST is not repeated; a look would be."""
    heard: list[bytes] = []

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"1"))
        heard.append(await reader.readuntil(b"\r\n\r\n"))

    async with looking(deaf) as calls:
        await get(calls)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await calls.call("POST", "/", limit=LIMIT, data=b"{}")
        await asyncio.sleep(0.1)

    assert len(heard) == 1


async def test_who_cannot_be_reached_has_heard_nothing() -> None:
    """A refused connection is told apart from a lost answer: after it, a submission may be repeated."""
    async with looking(answering()) as calls:
        pass
    async with open_session() as session:
        gone = Calls(session, str(calls.base), headers={}, verify_tls=True)
        with pytest.raises(aiohttp.ClientConnectorError):
            await gone.call("POST", "/", limit=LIMIT, data=b"{}")


async def test_a_look_has_its_time() -> None:
    """Silence ends with the limit, and the connection with it: an answer that comes late would be another's."""

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with looking(silent) as calls:
        with pytest.raises(TimeoutError):
            await get(calls)


@pytest.mark.quiet
async def test_half_an_answer_has_its_time_too() -> None:
    """An answer that stops in its middle ends with the limit, as silence does."""
    half = answer(b"whole")[:-2]

    async def stalling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(half)
        await reader.read()

    async with looking(stalling) as calls:
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await get(calls)
        took_s = asyncio.get_running_loop().time() - began_s

    assert LIMIT.total is not None
    assert LIMIT.total <= took_s < LIMIT.total + 2


async def test_a_kept_connection_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a look for a while, the connection is there for other calls to the same host."""
    monkeypatch.setattr("taxiway.providers.calls.KEPT_S", 0.05)
    monkeypatch.setattr("taxiway.providers.calls.SWEEP_PERIOD_S", 0.05)
    connections = 0
    host = answering(answer(b"1"), answer(b"2"))

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await host(reader, writer)

    async with looking(counting) as calls:
        await get(calls)
        await asyncio.sleep(0.5)
        async with calls.session.get(calls.base) as response:
            body = await response.read()

    assert (connections, body) == (1, b"2")


async def test_deployments_share_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many deployments of one host do not keep all of its connections among themselves."""
    monkeypatch.setattr("taxiway.providers.calls.KEPT_MAX", 3)
    async with looking(answering(*[answer(b"1")] * 10)) as calls:
        others = [Calls(calls.session, str(calls.base), headers={}, verify_tls=True) for _ in "ab"]
        connector = calls.session.connector
        assert isinstance(connector, Connector)
        await asyncio.gather(*(get(each) for each in (calls, *others) for _ in range(2)))
        kept = connector.kept
        await asyncio.gather(*(get(each) for each in (calls, *others)))
        for each in (calls, *others):
            each.give_back()

    assert (kept, connector.kept) == (3, 0)


async def test_a_header_cannot_hold_another() -> None:
    """A line break in a header would begin the next one."""
    async with open_session() as session:
        calls = Calls(session, "http://127.0.0.1:1", headers={"X": "a\r\nB: c"}, verify_tls=True)
        with pytest.raises((ValueError, aiohttp.ClientError)):
            await get(calls)
