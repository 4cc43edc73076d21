"""Following a job from outside: the command line's own client of the event stream."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import pytest
from aiohttp import web

from taxiway.cli.client import Client
from taxiway.cli.following import PATIENCE_S, Following
from taxiway.cli.sse_reader import Frame, SSEReader
from taxiway.errors import TaxiwayError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STREAM = b"retry: 1500\nevent: job.queued\nid: 1\ndata: {}\n\n:\nevent: job.completed\nid: 2\ndata: {}\n\n"
BOTH = [Frame(event="job.queued", data="{}"), Frame(event="job.completed", data="{}")]


def document(revision: int, status: str, **more: Any) -> dict[str, Any]:
    """Return a job as the service would show it."""
    return {
        "id": "job_1",
        "object": "image.generation.job",
        "status": status,
        "phase": None,
        "progress": 0,
        "revision": revision,
        **more,
    }


def frame(revision: int, status: str, *, tick: bool = False, **more: Any) -> bytes:
    """Return the frame of a job's state."""
    name = "progress" if tick else status
    id_line = "" if tick else f"id: {revision}\n"
    data = orjson.dumps(document(revision, status, **more)).decode()
    return f"event: job.{name}\n{id_line}data: {data}\n\n".encode()


class Service:
    """A service that answers each connection to a job's events as the script says, and then is done."""

    def __init__(self, *answers: Handler) -> None:
        self.answers = list(answers)
        self.last_ids: list[str | None] = []

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Answer with the next of the script; 204 after the last."""
        self.last_ids.append(request.headers.get("Last-Event-ID"))
        if not self.answers:
            return web.Response(status=204)
        return await self.answers.pop(0)(request)

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for an image with the next of the script."""
        return await self.answers.pop(0)(request)

    async def job(self, _request: web.Request) -> web.Response:
        """Tell the job as it ended."""
        return web.json_response(document(9, "completed"))


def says(*frames: bytes, cut: bool = False, retry_s: float | None = None) -> Handler:
    """Return an answer of some frames; `cut` ends the connection instead of the answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if retry_s is not None:
            await response.write(f"retry: {retry_s * 1000:.0f}\n".encode())
        for each in frames:
            await response.write(each)
        if cut:
            assert request.transport is not None
            request.transport.close()
        return response

    return answer


def refuses(status: int) -> Handler:
    """Return an answer that is an error."""

    async def answer(_request: web.Request) -> web.Response:
        error = {"message": "There is no job 'job_1'.", "code": "job_not_found"}
        return web.json_response({"error": error}, status=status)

    return answer


@asynccontextmanager
async def served(service: Service, *, port: int = 0) -> AsyncIterator[str]:
    """Serve on a real socket; yields the URL."""
    app = web.Application()
    app.router.add_post("/v1/images/generations", service.generate)
    app.router.add_get("/v1/jobs/job_1/events", service.events)
    app.router.add_get("/v1/jobs/job_1", service.job)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def follow(url: str, *, lost: list[str] | None = None, known: bool = False) -> list[str]:
    """Follow the job to its end; return its states as `revision status`."""
    notices: list[str] = [] if lost is None else lost
    async with Client(url) as client:
        following = Following(client, "job_1", lost=notices.append, known=known)
        return [f"{job['revision']} {job['status']}" async for job in following.states()]


@pytest.mark.parametrize(
    "size",
    [pytest.param(size, id=f"{size} bytes at a time") for size in (1, 2, 3, 7, 1000)],
)
@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(STREAM, id="LF"),
        pytest.param(STREAM.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(STREAM.replace(b"\n", b"\r"), id="CR"),
        pytest.param(b"\xef\xbb\xbf" + STREAM, id="with a BOM"),
    ],
)
def test_chunks_may_end_anywhere(stream: bytes, size: int) -> None:
    """However a stream is cut into chunks, and whatever ends its lines, the same frames come out."""
    reader = SSEReader()

    frames = [
        each for i in range(0, len(stream), size) for each in reader.feed(stream[i : i + size])
    ]

    assert BOTH == frames
    assert ("2", 1.5) == (reader.last_id, reader.retry_s)


@pytest.mark.parametrize(
    ("stream", "frames"),
    [
        pytest.param(b"event: x\n\n", [], id="no data, no event"),
        pytest.param(b"data: a\ndata: b\n\n", [Frame(event="message", data="a\nb")], id="lines"),
        pytest.param(b"data:a\n\n", [Frame(event="message", data="a")], id="no space"),
        pytest.param(b"data:  a\n\n", [Frame(event="message", data=" a")], id="two spaces"),
        pytest.param(b"data\n\n", [Frame(event="message", data="")], id="a bare name"),
        pytest.param(b"colour: red\ndata: a\n\n", [Frame(event="message", data="a")], id="unknown"),
        pytest.param(b": hello\n\ndata: a\n", [], id="unfinished"),
        pytest.param("data: é\n\n".encode(), [Frame(event="message", data="é")], id="UTF-8"),
        pytest.param(b"data: \xff\n\n", [Frame(event="message", data="\ufffd")], id="not UTF-8"),
    ],
)
def test_frames_by_the_standard(stream: bytes, frames: list[Frame]) -> None:
    """A stream is read by the rules of the HTML standard."""
    assert frames == SSEReader().feed(stream)


def test_the_last_id_is_that_of_a_whole_frame() -> None:
    """An id counts once its frame has ended, so that a cut in the middle skips nothing."""
    reader = SSEReader(last_id="4")
    reader.feed(b"id: 5\ndata: {}\n")
    before = reader.last_id
    reader.feed(b"\n")

    assert ("4", "5") == (before, reader.last_id)


async def test_a_job_is_followed_to_its_end() -> None:
    """Every state is yielded as it comes, ticks too, and the final one is the last."""
    service = Service(
        says(
            frame(1, "queued"),
            frame(2, "in_progress"),
            frame(2, "in_progress", tick=True),
            frame(3, "completed"),
        )
    )
    async with served(service) as url:
        states = await follow(url)

    assert ["1 queued", "2 in_progress", "2 in_progress", "3 completed"] == states


async def test_a_cut_line_is_taken_up_again() -> None:
    """After a broken line the client returns with the last id it saw and misses nothing."""
    lost: list[str] = []
    service = Service(
        says(frame(1, "queued"), frame(2, "in_progress"), cut=True),
        says(frame(4, "in_progress"), frame(4, "in_progress", tick=True), cut=True),
        says(frame(5, "completed")),
    )
    async with served(service) as url:
        states = await follow(url, lost=lost)

    assert ["1 queued", "2 in_progress", "4 in_progress", "4 in_progress", "5 completed"] == states
    assert [None, "2", "4"] == service.last_ids
    assert ["The line to the service is broken; trying again."] * 2 == lost


async def test_a_clean_end_is_followed_by_a_return() -> None:
    """A service that drains ends its streams cleanly; the client comes back when it was asked to."""
    service = Service(
        says(frame(1, "queued"), retry_s=2.5),
        says(frame(2, "completed")),
    )
    async with served(service) as url:
        states = await follow(url)

    assert ["1 queued", "2 completed"] == states
    assert [None, "1"] == service.last_ids


async def test_nothing_left_means_that_the_job_is_done() -> None:
    """204 says that no event will follow: the job itself is asked for, once."""
    service = Service(says(frame(8, "in_progress"), cut=True))
    async with served(service) as url:
        states = await follow(url)

    assert ["8 in_progress", "9 completed"] == states


async def test_a_restart_of_the_service_is_survived() -> None:
    """A service that is gone for a while and then answers 503 is waited for."""
    first = Service(says(frame(1, "queued"), cut=True))
    second = Service(refuses(503), says(frame(2, "completed")))
    lost: list[str] = []
    states = []
    async with Client("http://127.0.0.1:1") as client:
        following = Following(client, "job_1", lost=lost.append)
        async with served(first) as url:
            client.url = url
            stream = following.states()
            states.append((await anext(stream))["status"])
        port = int(url.rpartition(":")[2])
        with suppress(StopAsyncIteration):
            async with served(second, port=port):
                states.append((await anext(stream))["status"])
                await anext(stream)

    assert ["queued", "completed"] == states
    assert ["1", "1"] == second.last_ids


async def test_names_of_later_versions_are_ignored() -> None:
    """A frame with a name the client does not know is passed over."""
    service = Service(says(b"event: job.paused\ndata: {}\n\n", frame(1, "failed")))
    async with served(service) as url:
        states = await follow(url)

    assert ["1 failed"] == states


async def test_a_job_that_does_not_exist_is_an_error() -> None:
    """What the service refuses for good ends the following with the service's own sentence."""
    async with served(Service(refuses(404))) as url:
        with pytest.raises(TaxiwayError, match="There is no job 'job_1'") as caught:
            await follow(url)

    assert "job_not_found" == caught.value.code


async def test_a_service_that_never_answered_is_given_up_at_once() -> None:
    """Nobody waits minutes for a service that was never started."""
    with pytest.raises(TaxiwayError, match="does not answer") as caught:
        await follow("http://127.0.0.1:1")

    assert "service_unreachable" == caught.value.code


async def test_patience_ends() -> None:
    """A service that stays away is given up, and the sentence says how to go on."""
    with pytest.raises(TaxiwayError) as caught:
        await follow("http://127.0.0.1:1", known=True)

    expected = (
        f"http://127.0.0.1:1 has been away for {PATIENCE_S:.0f} s; the job goes on when it is back, "
        "and `taxiway watch job_1` shows it."
    )
    assert expected == caught.value.message


async def test_a_lost_answer_is_not_called_a_refusal() -> None:
    """A line that breaks after the request has left says where to look before asking again."""
    async with served(Service(hangs_up)) as url, Client(url) as client:
        with pytest.raises(TaxiwayError) as caught:
            await client.ask({"prompt": "a fox"})

    expected = f"{url} broke off before it had answered; `taxiway jobs` shows what it has taken."
    assert expected == caught.value.message


async def test_another_service_is_recognised() -> None:
    """An OpenAI-compatible service that knows no jobs is not taken for this one."""
    async with served(Service(is_another)) as url, Client(url) as client:
        with pytest.raises(TaxiwayError) as caught:
            await client.ask({"prompt": "a fox"})

    assert f"What answers at {url} is not Taxiway." == caught.value.message


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """End the connection without an answer."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def is_another(_request: web.Request) -> web.Response:
    """Answer as OpenAI would."""
    return web.json_response({"created": 1, "data": [{"url": "https://images.example/1.png"}]})
