"""Watching many jobs on one connection: `GET /v1/jobs/events?ids=a,b,c`."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from taxiway.facts import Delivered, Fact, Output, Seen, Submitted, Submitting
from taxiway.jobs import GenerationRequest, Job, Part, Phase, Plan, new_job_id
from taxiway.journal import Journal
from taxiway.metrics import Metrics
from taxiway.server.keys import SWEEP
from taxiway.settings import Settings
from taxiway.transitions import accept

#: The life of a job: after the first of these facts its revision is 2, after the last 5, and it is completed.
LIFE: tuple[Fact, ...] = (
    Submitting(
        attempt=0, part=0, deployment="gen4_image-1", provider="runwayml", model="gen4_image"
    ),
    Submitted(attempt=0, upstream_id="runway-task", credits=8),
    Seen(attempt=0, phase=Phase.RUNNING, progress=0.02),
    Delivered(
        attempt=0,
        outputs=(Output(url="https://images.example/1", size=None, content_type="image/png"),),
        credits=8,
    ),
)
RUNNING, DELIVERED = LIFE[2:]
HALF = Seen(attempt=0, phase=Phase.RUNNING, progress=0.5)


async def job_at(journal: Journal, revision: int) -> Job:
    """Return a job that has come to this revision; at 5 it has ended, and only the store knows it."""
    created_at = 1_795_445_754.25
    job = accept(
        GenerationRequest(model="runwayml/gen4_image", prompt="a red fox in the snow"),
        Plan(size="1920x1080", parts=(Part(images=1, credits=8),)),
        id=new_job_id(created_at),
        at=created_at,
        deadline_at=created_at + 600,
    )
    await journal.accept(job)
    for fact in LIFE[: revision - 1]:
        job = await journal.record(job.id, fact)
    if job.final:
        journal.release(job.id)
    return job


def query(*jobs: Job | str) -> str:
    """Return the query that names some jobs."""
    return "ids=" + ",".join(job if isinstance(job, str) else job.id for job in jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame, taken apart by the grammar of its lines and by nothing more tolerant."""

    retry: bool
    id: str | None
    name: str
    job: dict[str, Any]

    @property
    def line(self) -> tuple[str, str | None, str]:
        """Its name, its id, and which job it is of."""
        return self.name, self.id, self.job["id"]


class Wire:
    """An answer that is read frame by frame."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def block(self) -> bytes:
        """Return everything up to the next blank line; b"" at a clean end."""
        lines = []
        while line := await self.response.content.readline():
            lines.append(line)
            if line == b"\n":
                break
        return b"".join(lines)

    async def frame(self) -> Frame:
        """Return the next frame."""
        return _frame(await self.block())

    async def rest(self) -> list[Frame]:
        """Return every frame until the clean end."""
        frames = []
        while block := await self.block():
            frames.append(_frame(block))
        return frames


def _frame(block: bytes) -> Frame:
    pattern = r"(retry: [0-9]+\n)?(?:id: ([0-9.]+)\n)?event: ([a-z_.]+)\ndata: (\{[^\n]*\})\n\n"
    match = re.fullmatch(pattern, block.decode())
    assert match, block
    return Frame(retry=bool(match[1]), id=match[2], name=match[3], job=orjson.loads(match[4]))


@pytest.fixture
async def watch(client: aiohttp.ClientSession) -> AsyncIterator[Callable[..., Any]]:
    """Opens streams of the events of some jobs, and hangs up when the test is over."""
    async with AsyncExitStack() as stack:

        async def open_stream(*jobs: Job | str, cursor: str | None = None, also: str = "") -> Wire:
            headers = {} if cursor is None else {"Last-Event-ID": cursor}
            path = f"/v1/jobs/events?{query(*jobs)}{also}"
            answer = client.get(path, headers=headers)
            return Wire(await stack.enter_async_context(answer))

        yield open_stream


@pytest.fixture
def resumes(metrics: Metrics) -> Callable[[], dict[str, float]]:
    """Reads how viewers who came with a cursor were counted."""

    def read() -> dict[str, float]:
        text = metrics.render(None)[0].decode()
        found = re.findall(r'taxiway_sse_resumes_total\{result="(\w+)"\} ([0-9.]+)', text)
        return {result: float(number) for result, number in found if float(number)}

    return read


# What is sent


async def test_it_begins_with_every_job_as_it_is(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """A frame for each job, at once and in the order of `ids`; each id holds what was sent up to there."""
    jobs = [await job_at(journal, revision) for revision in (4, 5, 1)]

    wire = await watch(*jobs)
    frames = [await wire.frame() for _ in jobs]

    assert [frame.line for frame in frames] == [
        ("job.in_progress", "4.0.0", jobs[0].id),
        ("job.completed", "4.5.0", jobs[1].id),
        ("job.queued", "4.5.1", jobs[2].id),
    ]
    assert [True, False, False] == [frame.retry for frame in frames]


async def test_the_headers_are_those_of_any_stream(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """No proxy may hold it back; and since there are several jobs, no header names one."""
    wire = await watch(await job_at(journal, 4), await job_at(journal, 4))

    names = {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-cache, no-transform",
        "X-Accel-Buffering": "no",
        "Referrer-Policy": "no-referrer",
        "x-taxiway-job-id": None,
    }
    assert names == {name: wire.response.headers.get(name) for name in names}


async def test_every_change_of_every_job_is_one_frame(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """A revision moves its own place of the id, a tick has none; after the last end the stream ends."""
    one, two = await job_at(journal, 3), await job_at(journal, 3)
    wire = await watch(one, two)
    frames = [await wire.frame(), await wire.frame()]

    for job, fact in ((two, RUNNING), (two, HALF), (one, RUNNING), (two, DELIVERED)):
        await journal.record(job.id, fact)
        frames.append(await wire.frame())
    await journal.record(one.id, DELIVERED)
    frames += await wire.rest()

    assert [frame.line for frame in frames] == [
        ("job.in_progress", "3.0", one.id),
        ("job.in_progress", "3.3", two.id),
        ("job.in_progress", "3.4", two.id),
        ("job.progress", None, two.id),
        ("job.in_progress", "4.4", one.id),
        ("job.completed", "4.5", two.id),
        ("job.completed", "5.5", one.id),
    ]


async def test_a_frame_is_the_job_as_its_own_stream_shows_it(
    journal: Journal, watch: Callable[..., Any], client: aiohttp.ClientSession
) -> None:
    """The data is the same document, whoever watches."""
    job = await job_at(journal, 4)

    frame = await (await watch(job)).frame()

    async with client.get(f"/v1/jobs/{job.id}") as response:
        assert frame.job == await response.json()


async def test_a_hundred_jobs_fit(journal: Journal, watch: Callable[..., Any]) -> None:
    """A hundred ids fit into an address, and their revisions into an id."""
    jobs = [await job_at(journal, 5) for _ in range(100)]

    frames = await (await watch(*jobs)).rest()

    assert [job.id for job in jobs] == [frame.job["id"] for frame in frames]
    assert ".".join(100 * ["5"]) == frames[-1].id


async def test_a_viewer_who_was_busy_is_sent_the_newest_states_only(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """What happened meanwhile is one frame for each job that changed."""
    one, two = await job_at(journal, 1), await job_at(journal, 1)
    wire = await watch(one, two)
    await wire.frame()
    await wire.frame()

    await asyncio.gather(*(journal.record(one.id, fact) for fact in LIFE[:3]))

    frame = await wire.frame()
    assert ("job.in_progress", "4.1", one.id) == frame.line


async def test_silence_is_broken_by_a_comment(journal: Journal, watch: Callable[..., Any]) -> None:
    """After 15 s without a frame of any of the jobs comes a heartbeat."""
    job = await job_at(journal, 4)
    loop = asyncio.get_running_loop()
    wire = await watch(job)
    await wire.frame()
    began_at = loop.time()

    beat = await wire.response.content.readline()

    assert b":\n" == beat
    assert pytest.approx(15, abs=2) == loop.time() - began_at


# Coming back


@pytest.mark.parametrize(
    ("revisions", "cursor", "expected", "resume"),
    [
        pytest.param((4, 3), "4.2", [("job.in_progress", "4.3", 1)], "replayed", id="one older"),
        pytest.param((4, 5), "4.2", [("job.completed", "4.5", 1)], "replayed", id="one has ended"),
        pytest.param((4, 3), "4.3", [("job.progress", None, 0)], "current", id="all current"),
        pytest.param((5, 3), "5.3", [("job.progress", None, 1)], "current", id="the first is over"),
        pytest.param(
            (4, 3),
            "0.0",
            [("job.in_progress", "4.0", 0), ("job.in_progress", "4.3", 1)],
            "replayed",
            id="zeros",
        ),
        pytest.param((4, 3), "9.3", [("job.in_progress", "4.3", 0)], "gap", id="one beyond"),
        pytest.param(
            (4, 3),
            "4",
            [("job.in_progress", "4.0", 0), ("job.in_progress", "4.3", 1)],
            "gap",
            id="too short",
        ),
        pytest.param(
            (4, 3),
            "4.x",
            [("job.in_progress", "4.0", 0), ("job.in_progress", "4.3", 1)],
            "gap",
            id="unreadable",
        ),
    ],
)
async def test_a_cursor_decides_what_comes_first(
    journal: Journal,
    watch: Callable[..., Any],
    resumes: Callable[[], dict[str, float]],
    revisions: tuple[int, int],
    cursor: str,
    expected: list[tuple[str, str | None, int]],
    resume: str,
) -> None:
    """Only what the viewer has not got is sent; where that is nothing, a tick shows that all is well."""
    jobs = [await job_at(journal, revision) for revision in revisions]

    wire = await watch(*jobs, cursor=cursor)
    frames = [await wire.frame() for _ in expected]

    assert [frame.line for frame in frames] == [
        (name, id_, jobs[place].id) for name, id_, place in expected
    ]
    assert {resume: 1} == resumes()


async def test_a_cut_in_the_middle_of_the_beginning_costs_nothing(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """Who has got the first frame only comes back with its id, and gets the others."""
    jobs = [await job_at(journal, 4) for _ in range(3)]
    wire = await watch(*jobs)
    first = await wire.frame()
    wire.response.close()

    wire = await watch(*jobs, cursor=first.id)
    frames = [await wire.frame(), await wire.frame()]

    assert [frame.line for frame in frames] == [
        ("job.in_progress", "4.4.0", jobs[1].id),
        ("job.in_progress", "4.4.4", jobs[2].id),
    ]


async def test_a_viewer_who_has_seen_all_ends_is_told_to_stop(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """204 is the one answer after which an `EventSource` never asks again."""
    jobs = [await job_at(journal, 5), await job_at(journal, 5)]

    frames = await (await watch(*jobs)).rest()
    wire = await watch(*jobs, cursor=frames[-1].id)

    assert ("5.5", 204, b"") == (
        frames[-1].id,
        wire.response.status,
        await wire.response.read(),
    )


async def test_a_page_that_opens_its_stream_anew_says_where_it_stands(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """`starting_after` takes the same revisions: a page adds a job and is sent that one only."""
    old, new = await job_at(journal, 4), await job_at(journal, 1)

    frame = await (await watch(old, new, also="&starting_after=4.0")).frame()

    assert ("job.queued", "4.1", new.id) == frame.line


async def test_a_job_that_was_forgotten_meanwhile_counts_as_seen(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """A 404 would end an `EventSource` for good, and the other jobs with it."""
    job = await job_at(journal, 4)

    wire = await watch("job_01", job, cursor="5.4")
    frame = await wire.frame()
    await journal.record(job.id, DELIVERED)
    last = await wire.rest()

    assert ("job.progress", None) == (frame.name, frame.id)
    assert [("job.completed", "5.5", job.id)] == [frame.line for frame in last]


async def test_when_all_jobs_were_forgotten_there_is_nothing_left(
    watch: Callable[..., Any],
) -> None:
    """A returning viewer of jobs that are gone is told to stop."""
    wire = await watch("job_01", "job_02", cursor="5.5")

    assert 204 == wire.response.status


# What is refused


async def test_an_unknown_job_is_a_404(journal: Journal, watch: Callable[..., Any]) -> None:
    """A first connection learns that one of its jobs is not there."""
    wire = await watch(await job_at(journal, 4), "job_01")

    assert 404 == wire.response.status
    assert "job_not_found" == (await wire.response.json())["error"]["code"]


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        pytest.param("", "required", id="absent"),
        pytest.param("?ids=", "required", id="empty"),
        pytest.param("?ids=job_1,,job_2", "''", id="a hole"),
        pytest.param("?ids=job_1,task_2", "'task_2'", id="no job"),
        pytest.param("?ids=job_1,job_1", "twice", id="twice"),
        pytest.param("?ids=" + ",".join(f"job_{n}" for n in range(101)), "101", id="too many"),
    ],
)
async def test_ids_are_one_to_a_hundred_jobs(
    client: aiohttp.ClientSession, ids: str, says: str
) -> None:
    """Anything else is a 400 that names `ids` and says what is wrong."""
    async with client.get(f"/v1/jobs/events{ids}") as response:
        error = (await response.json())["error"]

    assert (400, "ids") == (response.status, error["param"])
    assert says in error["message"]


class TestOneViewerAtMost:
    """With `sse_max_streams` streams open already."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """One viewer is the most."""
        return replace(settings, sse_max_streams=1)

    async def test_many_jobs_are_one_viewer(
        self, journal: Journal, watch: Callable[..., Any], app: web.Application
    ) -> None:
        """A connection takes one place, however many jobs it shows; the next one is refused."""
        jobs = [await job_at(journal, 4), await job_at(journal, 4)]
        await (await watch(*jobs)).frame()

        assert 1 == app[SWEEP].viewers
        assert 429 == (await watch(*jobs)).response.status

    async def test_a_returning_viewer_is_told_to_come_back_later(
        self, journal: Journal, watch: Callable[..., Any]
    ) -> None:
        """It gets one frame, whose id counts, and comes back for the next."""
        jobs = [await job_at(journal, 4), await job_at(journal, 4)]
        await watch(*jobs)

        [frame] = await (await watch(*jobs, cursor="0.0")).rest()

        assert ("4.0", True) == (frame.id, frame.retry)


async def test_a_stopping_service_ends_it_between_two_frames(
    journal: Journal, watch: Callable[..., Any], app: web.Application
) -> None:
    """A stop ends the stream at once, cleanly, and every job goes on."""
    wire = await watch(await job_at(journal, 4))
    await wire.frame()

    app[SWEEP].drain()

    assert [] == await wire.rest()
