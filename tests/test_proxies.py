"""Taxiway behind nginx, Envoy and Traefik: the real programs, with the files of `deploy/edges`.

A few seconds by default. `make deploy-check` sets PROXY_SECONDS=70, which is longer than each default that cuts:
Envoy's 15 s for a route, nginx's 60 s for a read.
"""

import asyncio
import io
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import orjson
import pytest
from tests.ports import free_port

from taxiway.cadence import every

pytestmark = [pytest.mark.looptime(False), pytest.mark.quiet, pytest.mark.timeout(400)]

proxies = runpy.run_path(str(Path(__file__).parents[1] / "deploy" / "tests" / "proxies.py"))
running = proxies["running"]

#: How long a client has to wait for its image.
SECONDS = float(os.environ.get("PROXY_SECONDS", "4"))

#: More than any of these tests waits for the end of the service: whoever spends it is found out.
SHUTDOWN_BUDGET_S = 60.0

PROXIES = ("nginx", "envoy", "traefik")

JSON = {"Content-Type": "application/json"}

#: In the long run the settings are those of an installation; in the short one the same happens faster.
TEMPO = (
    {"TAXIWAY_POLL_INTERVAL_S": "2", "TAXIWAY_SSE_HEARTBEAT_S": "15"}
    if SECONDS > 30
    else {"TAXIWAY_POLL_INTERVAL_S": "0.2", "TAXIWAY_SSE_HEARTBEAT_S": "0.5"}
)


@dataclass(kw_only=True)
class Heard:
    """What one client heard on one connection."""

    began_s: float
    first_s: float | None = None
    """From the request to the first event, or to the answer."""
    first: asyncio.Event = field(default_factory=asyncio.Event)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, id, data."""
    comments: int = 0
    body: bytes = b""
    """The answer, where it is no stream."""

    @property
    def status(self) -> str:
        """The status in the last event."""
        return str(orjson.loads(self.events[-1][2])["status"])


@dataclass(frozen=True, kw_only=True)
class World:
    """The service's address, directly and through each proxy."""

    service: int
    sandbox: int
    ways: Mapping[str, str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The three proxies, with nothing behind them yet."""
    folder = tmp_path_factory.mktemp("proxies")
    service, sandbox, *ports = (free_port() for _ in range(2 + len(PROXIES)))
    with ExitStack() as stack:
        for name, port in zip(PROXIES, ports, strict=True):
            try:
                command = proxies["COMMANDS"][name](folder, port, service)
            except proxies["NotInstalledError"] as error:
                pytest.skip(str(error))
            stack.enter_context(running(command, folder / f"{name}.log", port=port))
            proxies["until_it_routes"](port)
        ways = dict(zip(PROXIES, (f"http://127.0.0.1:{port}" for port in ports), strict=True))
        yield World(
            service=service,
            sandbox=sandbox,
            ways={"direct": f"http://127.0.0.1:{service}", **ways},
        )


@contextmanager
def service(world: World, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The service and its Runway, as processes of their own."""
    taxiway = [sys.executable, "-m", "taxiway"]
    environ = {
        **TEMPO,
        "RUNWAYML_API_BASE": f"http://127.0.0.1:{world.sandbox}",
        "RUNWAYML_API_SECRET": "key_of_the_tests",
        "TAXIWAY_PORT": str(world.service),
        "TAXIWAY_SHUTDOWN_BUDGET_S": str(SHUTDOWN_BUDGET_S),
    }
    with (
        running(
            [*taxiway, "sandbox", "--port", str(world.sandbox)],
            folder / "sandbox.log",
            port=world.sandbox,
        ),
        running(
            [*taxiway, "serve"], folder / "service.log", port=world.service, environ=environ
        ) as process,
    ):
        yield process


@asynccontextmanager
async def clients(world: World) -> AsyncIterator[dict[str, aiohttp.ClientSession]]:
    """A client for each way to the service, without limits of its own."""
    patience = aiohttp.ClientTimeout(total=None)
    sessions = {
        # An image in base64 is one line.
        way: aiohttp.ClientSession(url, timeout=patience, read_bufsize=2**23)
        for way, url in world.ways.items()
    }
    try:
        yield sessions
    finally:
        for session in sessions.values():
            await session.close()


async def ask(session: aiohttp.ClientSession, prompt: str) -> str:
    """Ask for an image without waiting for it, and return the job's id."""
    body = {"model": "gen4_image", "prompt": prompt}
    async with session.post(
        "/v1/images/generations", json=body, headers={"Prefer": "respond-async"}
    ) as answer:
        assert answer.status == 202, await answer.text()
        return str((await answer.json())["id"])


async def at_runway(session: aiohttp.ClientSession, job: str) -> None:
    """Return when the job waits at Runway, so that whoever follows it now begins with the same event."""
    async for _ in every(0.05):
        async with session.get(f"/v1/jobs/{job}") as answer:
            if (await answer.json())["phase"] == "provider_queue":
                return


async def follow(answer: Awaitable[aiohttp.ClientResponse], heard: Heard) -> Heard:
    """Read an event stream to its end, which has to be a clean one."""
    now = asyncio.get_running_loop().time
    frame: dict[str, str] = {}
    response = await answer
    async with response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if line.startswith(":"):
                heard.comments += 1
            elif line:
                name, _, value = line.partition(":")
                frame[name] = value.strip()
            elif "data" in frame:
                if heard.first_s is None:
                    heard.first_s = now() - heard.began_s
                    heard.first.set()
                heard.events.append((frame.get("event", ""), frame.get("id", ""), frame["data"]))
                frame = {}
    return heard


def start() -> Heard:
    """Return what was heard before anything was."""
    return Heard(began_s=asyncio.get_running_loop().time())


async def wait_for_image(session: aiohttp.ClientSession, prompt: str) -> Heard:
    """Ask for an image and wait, with no byte coming until it is there."""
    heard = start()
    body = {"model": "gen4_image", "prompt": prompt}
    async with session.post("/v1/images/generations", json=body) as answer:
        heard.body = await answer.read()
        assert answer.status == 200, heard.body
    heard.first_s = asyncio.get_running_loop().time() - heard.began_s
    return heard


@dataclass(frozen=True, kw_only=True)
class Journeys:
    """What was heard on each way of each kind of waiting; all of it went on at the same time."""

    busy: Mapping[str, Heard]
    silent: Mapping[str, Heard]
    waiting: Mapping[str, Heard]
    streaming: Mapping[str, Heard]


@pytest.fixture(scope="module")
def journeys(world: World, tmp_path_factory: pytest.TempPathFactory) -> Journeys:
    """All kinds of waiting for an image, on every way, at once."""
    with service(world, tmp_path_factory.mktemp("service")):
        return asyncio.run(_journeys(world))


async def _journeys(world: World) -> Journeys:
    async with clients(world) as sessions, asyncio.timeout(SECONDS + 30):
        busy_job = await ask(sessions["direct"], f"a fox [[queue:2]] [[slow:{SECONDS}]]")
        silent_job = await ask(sessions["direct"], f"a slow fox [[queue:{SECONDS}]] [[slow:0.5]]")
        await at_runway(sessions["direct"], busy_job)
        slow = f"an owl [[queue:{SECONDS}]] [[slow:0.5]]"
        streamed = {"model": "gen4_image", "prompt": slow, "stream": True}

        async def everywhere(
            what: Callable[[aiohttp.ClientSession], Awaitable[Heard]],
        ) -> dict[str, Heard]:
            heard = await asyncio.gather(*(what(session) for session in sessions.values()))
            return dict(zip(sessions, heard, strict=True))

        found = await asyncio.gather(
            everywhere(lambda s: follow(s.get(f"/v1/jobs/{busy_job}/events"), start())),
            everywhere(lambda s: follow(s.get(f"/v1/jobs/{silent_job}/events"), start())),
            everywhere(lambda s: wait_for_image(s, slow)),
            everywhere(lambda s: follow(s.post("/v1/images/generations", json=streamed), start())),
        )
    busy, silent, waiting, streaming = found
    return Journeys(busy=busy, silent=silent, waiting=waiting, streaming=streaming)


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_stream_begins_at_once(journeys: Journeys, proxy: str) -> None:
    """The first event of a stream has passed the proxy within half a second."""
    first = [heard[proxy].first_s for heard in (journeys.busy, journeys.silent)]

    assert [True, True] == [each is not None and each < 0.5 for each in first], first


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_stream_loses_nothing(journeys: Journeys, proxy: str) -> None:
    """A viewer behind the proxy is told the same events, in the same order, as one who asks directly."""
    direct, behind = journeys.busy["direct"], journeys.busy[proxy]

    assert direct.events == behind.events
    assert "completed" == behind.status
    assert len(behind.events) >= 8


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_silent_stream_is_kept_open(journeys: Journeys, proxy: str) -> None:
    """A stream that has nothing to tell for as long as it takes lives on its heartbeats, to the job's end."""
    behind = journeys.silent[proxy]

    assert "completed" == behind.status
    assert behind.comments >= 3


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_caller_may_wait_in_silence(journeys: Journeys, proxy: str) -> None:
    """A request without a stream gets its image, though no byte is sent before it is there."""
    behind = journeys.waiting[proxy]

    assert 1 == len(orjson.loads(behind.body)["data"])
    assert behind.first_s is not None
    assert behind.first_s > SECONDS


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_streamed_generation_comes_through(journeys: Journeys, proxy: str) -> None:
    """`stream: true` delivers its image as the last event."""
    assert "image_generation.completed" == journeys.streaming[proxy].events[-1][0]


async def test_a_drain_ends_streams_cleanly(world: World, tmp_path: Path) -> None:
    """When the service is told to stop, every viewer sees a clean end, and the process is gone within 2 s."""
    loop = asyncio.get_running_loop()
    with service(world, tmp_path) as process:
        async with clients(world) as sessions, asyncio.timeout(30):
            job = await ask(sessions["direct"], "a fox [[slow:60]]")
            heard = {way: start() for way in sessions}
            streams = [
                asyncio.create_task(follow(session.get(f"/v1/jobs/{job}/events"), heard[way]))
                for way, session in sessions.items()
            ]
            await asyncio.gather(*(each.first.wait() for each in heard.values()))
            told_s = loop.time()
            process.send_signal(signal.SIGTERM)
            await asyncio.gather(*streams)
            code = await asyncio.to_thread(process.wait, SHUTDOWN_BUDGET_S / 3)
            took_s = loop.time() - told_s

    assert 0 == code
    assert took_s < 2.0


async def test_no_proxy_repeats_a_post(world: World) -> None:
    """A POST whose answer never came is not sent again: it may have bought an image."""
    received: list[bytes] = []

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        received.append(head.split(b" ", 1)[0])
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with (
        await asyncio.start_server(drop, "127.0.0.1", world.service),
        clients(world) as sessions,
        asyncio.timeout(20),
    ):
        statuses = {}
        for proxy in PROXIES:
            async with sessions[proxy].post("/v1/images/generations", data=b"{}") as answer:
                statuses[proxy] = answer.status

    assert [b"POST"] * len(PROXIES) == received
    assert {"nginx": 502, "envoy": 503, "traefik": 502} == statuses


async def test_no_proxy_refuses_a_large_body(world: World, tmp_path: Path) -> None:
    """Reference images may be as large as the service takes them: the one who judges a body is the service."""
    body = b'{"model": "gen4_image", "prompt": "a fox", "size": "%s"}' % (b"x" * 15_000_000)
    with service(world, tmp_path):
        async with clients(world) as sessions, asyncio.timeout(30):
            answers = {}
            for proxy in PROXIES:
                async with sessions[proxy].post(
                    "/v1/images/generations", data=io.BytesIO(body), headers=JSON
                ) as answer:
                    answers[proxy] = (answer.status, (await answer.json())["error"]["param"])

    assert dict.fromkeys(PROXIES, (400, "size")) == answers
