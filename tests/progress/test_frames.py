"""Watching a job: `GET /v1/jobs/{id}/events`, down to the bytes."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import httpx_sse
import orjson
import pytest
from tests.progress.wire import (
    DELIVERED,
    LIFE,
    RUNNING,
    SUBMITTED,
    SUBMITTING,
    Frame,
    job_at,
)
from yarl import URL

from taxiway.facts import Seen, Stopped
from taxiway.jobs import JobError, JobStatus, Phase
from taxiway.journal import Journal


async def test_a_stream_begins_with_the_job_at_once(
    journal: Journal, watch: Callable[..., Any], client: aiohttp.ClientSession
) -> None:
    """Headers and a first frame come before anything happens; the frame is the job as `GET` shows it."""
    job = await job_at(journal, 4)
    loop = asyncio.get_running_loop()
    asked_at = loop.time()

    wire = await watch(job)
    frame = await wire.frame()

    async with client.get(f"/v1/jobs/{job.id}") as response:
        shown = await response.json()
    assert loop.time() == pytest.approx(asked_at)
    assert (200, "job.in_progress", "4", shown) == (wire.status, frame.name, frame.id, frame.job)
    assert 1_000 <= frame.retry_ms <= 3_000


async def test_nothing_on_the_way_may_hold_a_stream_back(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """The headers forbid proxies to buffer, keep, transform or compress a stream, and name its job."""
    job = await job_at(journal, 1)

    wire = await watch(job)

    names = {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-cache, no-transform",
        "X-Accel-Buffering": "no",
        "Referrer-Policy": "no-referrer",
        "Transfer-Encoding": "chunked",
        "x-taxiway-job-id": job.id,
    }
    assert names == {name: wire.headers.get(name) for name in names}
    assert {"Content-Length", "Content-Encoding"} & wire.headers.keys() == set()


async def test_every_change_is_one_frame(journal: Journal, watch: Callable[..., Any]) -> None:
    """A revision bears its number as id, a tick none; `retry` is in the first frame; the end is clean."""
    job = await job_at(journal, 1)
    wire = await watch(job)

    frames = [await wire.frame()]
    for fact in (
        SUBMITTING,
        SUBMITTED,
        RUNNING,
        Seen(attempt=0, phase=Phase.RUNNING, progress=0.45),
        DELIVERED,
    ):
        await journal.record(job.id, fact)
        frames.append(await wire.frame())

    end = await wire.chunk()
    assert [frame.line for frame in frames] == [
        ("job.queued", "1", 0),
        ("job.in_progress", "2", 0),
        ("job.in_progress", "3", 0),
        ("job.in_progress", "4", 2),
        ("job.progress", None, 45),
        ("job.completed", "5", 100),
    ]
    assert [frame.retry_ms is None for frame in frames] == [False] + 5 * [True]
    assert end == b""


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
async def test_a_stream_ends_with_its_job_however_that_ends(
    journal: Journal, watch: Callable[..., Any], status: JobStatus
) -> None:
    """The last frame is named after the final status and carries the reason; then the stream ends."""
    job = await job_at(journal, 4)
    wire = await watch(job)
    await wire.frame()

    error = JobError(code="job_cancelled", message="Enough.")
    await journal.record(job.id, Stopped(status=status, error=error))

    last, *further = await wire.rest()
    frame = Frame.of(last)
    assert (f"job.{status}", "5", []) == (frame.name, frame.id, further)
    assert ("job_cancelled", "Enough.") == (
        frame.job["error"]["code"],
        frame.job["error"]["message"],
    )


async def test_changes_in_a_burst_are_sent_one_by_one(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """What is told in a burst is written as it is told, while the connection takes it, a tick and the end too."""
    job = await job_at(journal, 1)
    wire = await watch(job)
    await wire.frame()

    tick = Seen(attempt=0, phase=Phase.RUNNING, progress=0.45)
    facts = [SUBMITTING, SUBMITTED, RUNNING]
    await asyncio.gather(*(journal.record(job.id, fact) for fact in facts))
    await journal.record(job.id, tick)
    await journal.record(job.id, DELIVERED)

    frames = [Frame.of(chunk) for chunk in await wire.rest()]
    assert [frame.id for frame in frames] == ["2", "3", "4", None, "5"]


async def test_a_client_of_old_http_gets_frames_and_nothing_else(
    url: str, journal: Journal
) -> None:
    """HTTP/1.0 has no chunks: its stream is the frames, and ends with the connection."""
    job = await job_at(journal, 1)
    address = URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(f"GET /v1/jobs/{job.id}/events HTTP/1.0\r\nHost: test\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    texts = [await reader.readuntil(b"\n\n")]

    for fact in LIFE:
        await journal.record(job.id, fact)
        texts.append(await reader.readuntil(b"\n\n"))

    assert [Frame.of(text).id for text in texts] == ["1", "2", "3", "4", "5"]
    assert await reader.read() == b""
    writer.close()


async def test_a_revision_that_was_followed_by_a_tick_is_still_sent_with_its_id(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """A viewer who has not seen a revision gets it under its id, even where a tick is the newest event."""
    job = await job_at(journal, 4)
    await journal.record(job.id, Seen(attempt=0, phase=Phase.RUNNING, progress=0.5))

    frame = await (await watch(job)).frame()

    assert ("job.in_progress", "4", 50) == frame.line


async def test_an_unknown_job_is_a_404(watch: Callable[..., Any]) -> None:
    """A job that is not there is an ordinary error, in OpenAI's shape."""
    wire = await watch("job_01")

    body = orjson.loads(await wire.reader.readexactly(int(wire.headers["Content-Length"])))
    assert (404, "job_not_found") == (wire.status, body["error"]["code"])


async def test_silence_is_broken_by_a_comment_of_two_bytes(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """After 15 s without a frame comes `:` and one newline, which no parser takes for the end of a block."""
    job = await job_at(journal, 4)
    loop = asyncio.get_running_loop()
    wire = await watch(job)
    await wire.frame()
    began_at = loop.time()

    beats = [(await wire.chunk(), loop.time() - began_at) for _ in range(3)]
    await journal.record(job.id, DELIVERED)
    last = await wire.frame()

    assert 3 * [b":\n"] == [beat for beat, _ in beats]
    assert [15, 30, 45] == pytest.approx([at for _, at in beats], abs=3)
    assert "job.completed" == last.name


async def test_a_stream_that_has_news_has_no_heartbeat(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """A heartbeat comes after silence only."""
    job = await job_at(journal, 4)
    wire = await watch(job)

    for percent in range(10, 90, 10):
        await asyncio.sleep(14)
        await journal.record(job.id, Seen(attempt=0, phase=Phase.RUNNING, progress=percent / 100))
    await journal.record(job.id, DELIVERED)

    chunks = await wire.rest()
    assert b":\n" not in chunks
    assert 10 == len(chunks)


async def test_httpx_sse_reads_frames_and_no_heartbeats(journal: Journal, url: str) -> None:
    """A strict client sees each event once, its id sticking, and nothing of the heartbeats in between."""
    job = await job_at(journal, 3)

    async def live() -> None:
        for fact in (RUNNING, Seen(attempt=0, phase=Phase.RUNNING, progress=0.5), DELIVERED):
            await asyncio.sleep(40)
            await journal.record(job.id, fact)

    async with (
        asyncio.TaskGroup() as group,
        httpx.AsyncClient(base_url=url, timeout=None, trust_env=False) as http,  # noqa: S113
        httpx_sse.aconnect_sse(http, "GET", f"/v1/jobs/{job.id}/events") as source,
    ):
        group.create_task(live())
        events = [event async for event in source.aiter_sse()]

    assert [(event.event, event.id, event.json()["progress"]) for event in events] == [
        ("job.in_progress", "3", 0),
        ("job.in_progress", "4", 2),
        ("job.progress", "4", 50),
        ("job.completed", "5", 100),
    ]
