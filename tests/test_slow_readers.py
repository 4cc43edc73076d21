"""Clients who do not read, or slowly: they harm nobody, and only the dead are cut. Real sockets, real time."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from yarl import URL

from taxiway.cadence import every
from taxiway.facts import Fact, Seen, Submitted, Submitting
from taxiway.jobs import GenerationRequest, Image, Job, JobStatus, Part, Phase, Plan, new_job_id
from taxiway.journal import Journal
from taxiway.metrics import Metrics
from taxiway.server.base64_images import base64_length, send_base64
from taxiway.server.image_stream import stream_images
from taxiway.server.keys import CLOCK, JOURNAL, SWEEP
from taxiway.server.pictures import opener
from taxiway.server.running import listening
from taxiway.settings import Settings
from taxiway.transitions import accept

pytestmark = [pytest.mark.looptime(False), pytest.mark.quiet]

#: How long a reader may take no byte in these tests, in seconds.
DEADLINE_S = 1.0

#: How long a test waits for what must come, in seconds: a slow machine takes its time.
PATIENCE_S = 20.0

#: More than the kernel takes on both sides of a loopback connection.
IMAGE_BYTES = 24 * 1024 * 1024

PROMPT = "a red fox in the snow " * 400


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A reader who takes no byte for a second is cut."""
    return replace(settings, sse_write_timeout_s=DEADLINE_S)


@pytest.fixture
async def image_url() -> AsyncIterator[str]:
    """The address of a large image, somewhere else."""
    content = bytes(range(256)) * (IMAGE_BYTES // 256)

    async def image(_request: web.Request) -> web.Response:
        return web.Response(body=content, content_type="image/png")

    host = web.Application()
    host.router.add_get("/image", image)
    async with listening(host, host="127.0.0.1", port=0) as url:
        yield f"{url}/image"


@pytest.fixture
def app(app: web.Application) -> web.Application:
    """The service, and doors to the images of a job that exists: streamed, and in a plain answer."""

    async def join(request: web.Request) -> web.StreamResponse:
        job = await request.app[JOURNAL].get(request.match_info["id"])
        return await stream_images(request, job, response_format=None)

    async def plain(request: web.Request) -> web.StreamResponse:
        job = await request.app[JOURNAL].get(request.match_info["id"])
        images = [({"url": i.url}, opener(request.app, job, i)) for i in job.images]
        return await send_base64(request, {"created": 0}, images, job_id=job.id)

    app.router.add_get("/join/{id}", join)
    app.router.add_get("/plain/{id}", plain)
    return app


@pytest.fixture
def closed(metrics: Metrics) -> Callable[[], dict[str, float]]:
    """Reads how streams have ended so far."""

    def read() -> dict[str, float]:
        text = metrics.render(None)[0].decode()
        found = re.findall(
            r'^taxiway_sse_streams_closed_total\{reason="(\w+)"\} (\S+)$', text, re.M
        )
        return {reason: float(count) for reason, count in found if float(count)}

    return read


@pytest.fixture
async def connect(url: str) -> AsyncIterator[Callable[[str], Awaitable[socket.socket]]]:
    """Opens a connection with a small window, asks for a path on it, and reads nothing."""
    loop = asyncio.get_running_loop()
    address = URL(url)
    connections = []

    async def open_connection(path: str) -> socket.socket:
        connection = socket.socket()
        connections.append(connection)
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(connection, (address.host, address.port))
        await loop.sock_sendall(connection, f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        return connection

    yield open_connection
    for connection in connections:
        connection.close()


async def running(journal: Journal) -> Job:
    """Return a job that is being made."""
    job = await journal.accept(_job())
    facts: tuple[Fact, ...] = (
        Submitting(
            attempt=0, part=0, deployment="gen4_image-1", provider="runwayml", model="gen4_image"
        ),
        Submitted(attempt=0, upstream_id="runway-task", credits=8),
        Seen(attempt=0, phase=Phase.RUNNING, progress=0.02),
    )
    for fact in facts:
        job = await journal.record(job.id, fact)
    return job


async def completed(journal: Journal, image_url: str) -> Job:
    """Return a job that has come to one large image."""
    attempt = (await running(journal)).attempts
    image = Image(index=0, attempt=0, url=image_url, size="8x8", content_type="image/png")
    job = replace(_job(), status=JobStatus.COMPLETED, phase=None, attempts=attempt, images=(image,))
    return await journal.accept(job)


def _job() -> Job:
    now = 1_795_445_754.25
    return accept(
        GenerationRequest(model="runwayml/gen4_image", prompt=PROMPT),
        Plan(size="1920x1080", parts=(Part(images=1, credits=8),)),
        id=new_job_id(now),
        at=now,
        deadline_at=now + 600,
    )


async def until(true: Callable[[], bool], *, within_s: float) -> float:
    """Wait until something holds, and return how long that took. Raises `TimeoutError`."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with asyncio.timeout(within_s):
        async for _ in every(0.02, first_s=0.0):
            if true():
                break
    return loop.time() - began_s


@contextmanager
def let(work: Coroutine[None, None, None]) -> Iterator[None]:
    """Let some work go on while the context lasts."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()


async def measure_lag(
    connection: socket.socket, now: Callable[[], float], lags: list[float]
) -> None:
    """Read a stream of events, and note how old the newest change in it is each time."""
    loop = asyncio.get_running_loop()
    text = b""
    while data := await loop.sock_recv(connection, 65_536):
        text += data
        if text.endswith(b"}\n\n\r\n"):
            told_at = re.findall(rb'"at":([0-9.]+)', text)[-1]
            lags.append(now() - float(told_at))
            text = b""


async def keep_changing(journal: Journal, job: Job) -> None:
    """Let a job change its phase a hundred times a second, until cancelled."""
    while True:
        for phase in (Phase.THROTTLED, Phase.RUNNING):
            await journal.record(job.id, Seen(attempt=0, phase=phase))
            await asyncio.sleep(0.01)


async def read_image(connection: socket.socket, *, seconds: float) -> int:
    """Read a streamed image to the end of the answer, evenly over so many seconds. Returns the bytes read.

    Raises `EOFError` where the answer breaks off.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    total, tail = 0, b""
    while not tail.endswith(b"0\r\n\r\n"):
        data = await loop.sock_recv(connection, 65_536)
        if not data:
            raise EOFError
        total += len(data)
        tail = (tail + data)[-5:]
        due_s = began_s + seconds * total / base64_length(IMAGE_BYTES)
        await asyncio.sleep(max(0.0, due_s - loop.time()))
    return total


async def test_a_viewer_who_does_not_read_is_cut_and_harms_nobody(
    app: web.Application,
    journal: Journal,
    connect: Callable[[str], Awaitable[socket.socket]],
    closed: Callable[[], dict[str, float]],
) -> None:
    """After the deadline the connection is gone; meanwhile other viewers are told everything at once."""
    job = await running(journal)
    await connect(f"/v1/jobs/{job.id}/events")
    reader = await connect(f"/v1/jobs/{job.id}/events")
    await until(lambda: app[SWEEP].viewers == 2, within_s=PATIENCE_S)
    lags: list[float] = []

    with let(measure_lag(reader, app[CLOCK].now, lags)), let(keep_changing(journal, job)):
        spent_s = await until(lambda: app[SWEEP].viewers == 1, within_s=PATIENCE_S)

    lags.sort()
    assert DEADLINE_S <= spent_s
    assert {"slow_consumer": 1} == closed()
    assert (len(lags) > 20, lags[len(lags) * 9 // 10] < DEADLINE_S / 2) == (True, True)
    assert JobStatus.IN_PROGRESS is (await journal.get(job.id)).status


async def test_a_viewer_who_reads_slowly_is_left_alone_and_skips(
    journal: Journal,
    connect: Callable[[str], Awaitable[socket.socket]],
    closed: Callable[[], dict[str, float]],
) -> None:
    """A reader who takes some bytes a second lives, and is spared what it would have been too late for."""
    loop = asyncio.get_running_loop()
    job = await running(journal)
    connection = await connect(f"/v1/jobs/{job.id}/events")
    text = b""

    with let(keep_changing(journal, job)):
        ends_at_s = loop.time() + DEADLINE_S + 3
        while loop.time() < ends_at_s:
            text += await loop.sock_recv(connection, 4_096)
            await asyncio.sleep(0.05)

    seen = [int(number) for number in re.findall(rb"\nid: ([0-9]+)\n", text)]
    assert {} == closed()
    assert sorted(seen) == seen
    assert 5 < len(seen) < (await journal.get(job.id)).revision / 2


async def test_a_large_image_may_take_its_time(
    journal: Journal,
    image_url: str,
    connect: Callable[[str], Awaitable[socket.socket]],
    closed: Callable[[], dict[str, float]],
) -> None:
    """The deadline is for a byte, not for a frame: one of 32 MB may take many deadlines."""
    loop = asyncio.get_running_loop()
    job = await completed(journal, image_url)
    connection = await connect(f"/join/{job.id}")
    began_s = loop.time()

    total = await read_image(connection, seconds=3 * DEADLINE_S)

    assert loop.time() - began_s >= 3 * DEADLINE_S
    assert total > base64_length(IMAGE_BYTES)
    assert {"completed": 1} == closed()


async def test_a_caller_who_does_not_read_its_image_is_cut(
    journal: Journal,
    image_url: str,
    connect: Callable[[str], Awaitable[socket.socket]],
    closed: Callable[[], dict[str, float]],
) -> None:
    """A frame of megabytes, and a plain body of them, wait for a dead reader no longer than for a byte."""
    job = await completed(journal, image_url)
    streamed, plain = await connect(f"/join/{job.id}"), await connect(f"/plain/{job.id}")
    await asyncio.sleep(DEADLINE_S + 2)

    ends = await asyncio.gather(
        read_image(streamed, seconds=0), read_image(plain, seconds=0), return_exceptions=True
    )

    assert all(isinstance(end, EOFError | ConnectionResetError) for end in ends)
    assert {"slow_consumer": 1} == closed()


async def test_a_viewer_who_does_not_read_does_not_hold_up_a_stop(
    app: web.Application,
    journal: Journal,
    connect: Callable[[str], Awaitable[socket.socket]],
    closed: Callable[[], dict[str, float]],
) -> None:
    """Whoever cannot take the end of the stream within a second of it is cut."""
    job = await running(journal)
    await connect(f"/v1/jobs/{job.id}/events")
    with let(keep_changing(journal, job)):
        await asyncio.sleep(0.5)

    await app.shutdown()
    await until(lambda: app[SWEEP].viewers == 0, within_s=PATIENCE_S)

    assert {"draining": 1} == closed()
