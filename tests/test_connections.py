"""What comes down a connection and is no request, or stops in the middle: answered, counted, and no alarm."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson
import pytest
from yarl import URL

GENERATIONS = "/v1/images/generations"
KEY = "sk-canary-0123456789"
ASK = b'{"model": "runwayml/gen4_image", "prompt": "a red fox"}'

Lines = Callable[[], list[dict[str, Any]]]


def post(body: bytes, *headers: str, length: int | None = None) -> bytes:
    """A request for an image, as bytes."""
    size = len(body) if length is None else length
    lines = [
        f"POST {GENERATIONS} HTTP/1.1",
        *("Host: taxiway", "Content-Type: application/json", f"Content-Length: {size}"),
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def sent(url: str, data: bytes) -> tuple[bytes, bytes]:
    """Send bytes down a connection of its own; the head and the body of the answer."""
    address = URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = (
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    body = await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    return head, body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: taxiway\r\nAuthorization: Bearer "
            + KEY.encode()
            + b"\0\r\n\r\n",
            "The bytes received are not an HTTP/1.1 request.",
            id="a broken header",
        ),
        pytest.param(
            b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
            "The bytes received are not an HTTP/1.1 request.",
            id="TLS",
        ),
        pytest.param(
            post(ASK, "Transfer-Encoding: chunked"),
            "The bytes received are not an HTTP/1.1 request.",
            id="two lengths",
        ),
        pytest.param(
            b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: taxiway\r\n\r\n",
            "A line of the request, its address or a header, is longer than 8190 bytes.",
            id="a long address",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: taxiway\r\nX-Long: " + b"a" * 10_000 + b"\r\n\r\n",
            "A line of the request, its address or a header, is longer than 8190 bytes.",
            id="a long header",
        ),
    ],
)
async def test_what_is_no_request_is_told_so(
    url: str, log_lines: Lines, data: bytes, message: str
) -> None:
    """The answer has OpenAI's shape and quotes nothing of it; the log has one plain line."""
    head, body = await sent(url, data)

    assert head.split(b"\r\n")[0].endswith(b"400 Bad Request")
    assert b"server: taxiway" in head.lower().split(b"\r\n")
    assert orjson.loads(body) == {
        "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_http",
        }
    }
    lines = [line for line in log_lines() if line["event"] != "service.stopped"]
    told = [line for line in lines if line.get("error.code") == "invalid_http"]
    assert len(told) == 1
    assert {"event": "http.request.completed", "level": "info"}.items() <= told[0].items()
    assert KEY not in str(lines)
    assert {"warning", "error"}.isdisjoint(line["level"] for line in lines)


async def test_what_is_no_request_is_counted(url: str, client: aiohttp.ClientSession) -> None:
    """It is a request with another method, at another address, refused."""
    await sent(url, b"nonsense\r\n\r\n")

    async with client.get("/metrics") as response:
        text = await response.text()

    assert 'taxiway_http_requests_total{code="400",method="other",route="other"} 1.0' in text


async def test_a_caller_who_leaves_in_the_middle_is_no_error(url: str, log_lines: Lines) -> None:
    """Half a body, and then nobody: status 499 in the log, which is what it calls a caller who left."""
    address = URL(url)
    _, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(post(ASK[:9], length=len(ASK)))
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.transport.abort()
    await asyncio.sleep(0.2)

    lines = log_lines()
    (line,) = (line for line in lines if line["event"] == "http.request.completed")
    assert 499 == line["http.response.status_code"]
    assert {"warning", "error"}.isdisjoint(each["level"] for each in lines)


async def test_a_body_that_does_not_unpack_is_no_error_of_ours(url: str, log_lines: Lines) -> None:
    """What says gzip and is none is a 400, and nothing that somebody has to look at."""
    head, body = await sent(url, post(ASK, "Content-Encoding: gzip"))
    await asyncio.sleep(0.1)

    assert head.startswith(b"HTTP/1.1 400 ")
    assert orjson.loads(body)["error"]["code"] == "invalid_body"
    assert b"connection: close" in head.lower()
    assert {"warning", "error"}.isdisjoint(line["level"] for line in log_lines())


@pytest.mark.parametrize("encoding", ["br", "zstd", "miracles", "gzip, gzip"])
async def test_a_body_packed_in_another_way_is_refused(url: str, encoding: str) -> None:
    """It is not taken for what it might be: the answer names the header and what is accepted."""
    head, body = await sent(url, post(ASK, f"Content-Encoding: {encoding}"))

    assert b" 400 " in head.split(b"\r\n")[0]
    error = orjson.loads(body)["error"]
    assert error["code"] in ("invalid_body", "invalid_http")
    if error["code"] == "invalid_body":
        assert "Content-Encoding" == error["param"]
        assert "`Content-Encoding` must be identity or gzip or deflate." == error["message"]
