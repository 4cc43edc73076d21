"""Nobody can make the numbers grow: whatever strangers send over HTTP, the page has the series that it had."""

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote, urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from taxiway.metrics import Metrics
from taxiway.settings import Secret, Settings

#: Sockets are raw here, and ten thousand requests are real work.
pytestmark = pytest.mark.looptime(False)

REQUESTS = 10_000
CONNECTIONS = 10

#: Methods that HTTP knows and this service does not.
METHODS = ("PROPFIND", "PURGE", "MKCOL", "REPORT", "LOCK", "TRACE", "PATCH")


@pytest.fixture
async def url(url: str) -> str:
    """The address of a service that does not note where each of ten thousand tasks began."""
    asyncio.get_running_loop().set_debug(False)
    return url


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings, with a key that strangers do not have."""
    return replace(settings, master_key=Secret("sk-the-key"), log_level="error")


def request(method: str, path: str, *, key: str, body: bytes = b"") -> bytes:
    """Return a request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {key}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def hostile(draw: random.Random) -> Iterator[bytes]:
    """Yield one request of each kind, over and over, each with words that nobody has seen before."""
    while True:
        strange = "canary" + draw.randbytes(6).hex() + draw.choice(("", '"', "\n", "{}", "é", "%s"))
        ask = json.dumps({"model": strange, "prompt": strange, "size": strange}).encode()
        yield request("GET", f"/{quote(strange)}/{quote(strange)}", key=quote(strange))
        yield request("POST", "/v1/images/generations", key="sk-the-key", body=ask)
        yield request("GET", "/v1/jobs", key=quote(strange))
        yield request(draw.choice(METHODS), f"/v1/models/{quote(strange)}", key="sk-the-key")
        yield request("GET", f"/v1/models/{quote(strange)}", key="sk-the-key")
        yield request("GET", f"/v1/jobs?status={quote(strange)}", key="sk-the-key")


async def send(url: str, requests: list[bytes]) -> list[bytes]:
    """Send requests down one connection, one after the other; return the status lines."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    statuses = []
    try:
        for each in requests:
            writer.write(each)
            head = await reader.readuntil(b"\r\n\r\n")
            statuses.append(head.partition(b"\r\n")[0])
            lengths = [line for line in head.lower().split(b"\r\n") if b"content-length" in line]
            await reader.readexactly(int(lengths[0].partition(b":")[2]))
    finally:
        writer.close()
        await writer.wait_closed()
    return statuses


def series(metrics: Metrics) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Every series of the page, buckets too, but for what background tasks tell in their own time."""
    body, _ = metrics.render(None)
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if not sample.name.startswith(("taxiway_background_", "taxiway_upstream_"))
    }


async def test_ten_thousand_strangers_leave_no_trace(url: str, metrics: Metrics) -> None:
    """Paths, models, methods and keys that nobody foresaw are counted as `other`, or by the route's template."""
    first = hostile(random.Random(17))
    await send(url, [next(first) for _ in range(600)])  # each kind of stranger is met once
    before = series(metrics)
    strangers = hostile(random.Random(13))
    shares = [[next(strangers) for _ in range(REQUESTS // CONNECTIONS)] for _ in range(CONNECTIONS)]
    answered = await asyncio.gather(*(send(url, share) for share in shares))
    statuses = {status.split()[1] for share in answered for status in share}

    assert sum(map(len, answered)) == REQUESTS
    assert statuses == {b"400", b"401", b"404", b"405"}
    assert series(metrics) == before
    assert b"canary" not in metrics.render(None)[0]


async def test_a_method_that_is_none_is_one_of_others(url: str, metrics: Metrics) -> None:
    """What is not even HTTP is answered, and counted as `other`, whatever it says."""
    parts = urlsplit(url)
    before = series(metrics)
    for word in ("CANARY", "X" * 200, "GET\0"):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(f"{word} / HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()

        assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))

    other = (("code", "400"), ("method", "other"), ("route", "other"))
    assert series(metrics) - before == {("taxiway_http_requests_total", other)}
