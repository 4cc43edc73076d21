"""The queue: whoever finds no slot waits his turn, sees his place, and costs nothing meanwhile."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import httpx_sse
import orjson
import pytest

from taxiway.jobs import GenerationRequest, Job, JobStatus, Phase
from taxiway.journal import Journal
from taxiway.origins import Origin
from taxiway.runner import Runner
from taxiway.sandbox import Sandbox
from taxiway.server.documents import job_document
from taxiway.settings import Deployment, Routing, Settings

MODEL = "runwayml/gen4_image"

#: Slots of the only deployment.
SLOTS = 5


@pytest.fixture
def deployment(settings: Settings) -> Deployment:
    """The deployment behind the model."""
    return settings.deployments[0]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A service whose only deployment takes five tasks at once."""
    first = replace(settings.deployments[0], max_parallel_requests=SLOTS)
    return replace(settings, deployments=(first,), job_timeout_s=900.0)


async def submit(runner: Runner, prompt: str, *, scope: str = "", n: int = 1) -> Job:
    """Ask for an image on behalf of a key."""
    request = GenerationRequest(model=MODEL, prompt=prompt, n=n)
    return (await runner.submit(request, origin=Origin(scope=scope))).job


async def positions(client: aiohttp.ClientSession, job_id: str) -> AsyncIterator[int]:
    """Yield every place in the queue that a job's stream shows, until the job has a slot."""
    # The last of two hundred waits for nearly five minutes.
    patient = aiohttp.ClientTimeout(total=None)
    async with client.get(f"/v1/jobs/{job_id}/events", timeout=patient) as response:
        async for line in response.content:
            if not line.startswith(b"data: "):
                continue
            job = orjson.loads(line[6:])
            if job["phase"] != "queued":
                return
            if job["queue_position"] is not None:
                yield job["queue_position"]


async def shown(client: aiohttp.ClientSession, job_id: str) -> list[int]:
    """Return the places that a job's stream shows, one after the other."""
    return [position async for position in positions(client, job_id)]


def most_at_once(sandbox: Sandbox) -> int:
    """Return how many tasks were active at Runway at once."""
    tasks = sandbox.tasks.values()
    return max(sum(t.created_at <= at < t.ends_at for t in tasks) for at in begun(sandbox))


def begun(sandbox: Sandbox) -> list[float]:
    """Return when each task was created."""
    return [task.created_at for task in sandbox.tasks.values()]


def order(sandbox: Sandbox) -> list[str]:
    """Return the prompts in the order of their tasks."""
    return [task.prompt for task in sandbox.tasks.values()]


# Two hundred tasks are many steps of virtual time, and idle rounds most of the work.
@pytest.mark.looptime(noop_cycles=6)
async def test_two_keys_with_a_hundred_jobs_each_take_turns(
    client: aiohttp.ClientSession,
    runner: Runner,
    journal: Journal,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One key's hundred jobs hold up another's by a turn each; places only fall; five at once, never six."""
    # Slots become free one after the other, in every run: polls that fall together would skip a place.
    monkeypatch.setattr("random.uniform", random.Random(1).uniform)
    asyncio.get_running_loop().set_debug(False)
    jobs = [await submit(runner, f"many {number}", scope="many") for number in range(100)]
    await asyncio.sleep(1.5)
    told = [journal.head(jobs[number].id).queue_position for number in (50, 99)]
    jobs += [await submit(runner, f"late {number}", scope="late") for number in range(100)]
    watched = [jobs[50], jobs[99], jobs[100], jobs[199]]
    streams = await asyncio.gather(*(shown(client, job.id) for job in watched))
    ends = await asyncio.gather(*(journal.ended(job.id) for job in jobs))

    turns = [prompt.split()[0] for prompt in order(sandbox)]
    for key in (ends[:100], ends[100:]):
        started = [job.started_at or 0.0 for job in key]
        assert sorted(started) == started
    assert {JobStatus.COMPLETED} == {job.status for job in ends}
    assert most_at_once(sandbox) == SLOTS
    assert ["many"] * SLOTS == turns[:SLOTS]
    # Those that leave at one moment may arrive in any order.
    assert all(
        abs(Counter(turns[SLOTS:n])["many"] - (n - SLOTS) / 2) <= 3 for n in range(SLOTS, 195)
    )
    for places in streams:
        assert len(places) > 1
        assert sorted(places, reverse=True) == places
    # The hundredth was told 95 before the other key came: it stays there until the queue has caught up with that.
    assert [46, 95] == told
    assert [46, 95] >= [places[0] for places in streams[:2]]


async def test_a_job_that_waits_is_queued_and_has_a_place(runner: Runner, journal: Journal) -> None:
    """A job without a slot is `queued` with its place, and has no attempt."""
    jobs = [await submit(runner, f"fox {number}") for number in range(SLOTS + 3)]
    await asyncio.sleep(1.5)
    waiting = [journal.head(job.id) for job in jobs[SLOTS:]]
    document = job_document(waiting[-1])

    assert [1, 2, 3] == [job.queue_position for job in waiting]
    assert {(JobStatus.QUEUED, Phase.QUEUED, ())} == {
        (job.status, job.phase, job.attempts) for job in waiting
    }
    assert (3, None) == (document["queue_position"], document["started_at"])


async def test_an_image_stream_shows_the_place_too(
    client: aiohttp.ClientSession, runner: Runner
) -> None:
    """`stream: true` tells the place with its progress."""
    for number in range(SLOTS):
        await submit(runner, f"fox {number}")
    body = {"model": MODEL, "prompt": "one more", "stream": True, "response_format": "url"}
    async with client.post("/v1/images/generations", json=body) as response:
        lines = [line async for line in response.content if line.startswith(b"data: ")]
    places = [orjson.loads(line[6:]).get("queue_position") for line in lines]

    assert 1 in places
    assert places[-1] is None


async def test_a_cancelled_job_leaves_the_queue(
    client: aiohttp.ClientSession, runner: Runner, journal: Journal, sandbox: Sandbox
) -> None:
    """Whoever is cancelled while it waits never gets a slot, and those behind it move up."""
    jobs = [await submit(runner, f"fox {number}") for number in range(SLOTS + 3)]
    await asyncio.sleep(1)
    await runner.cancel(jobs[SLOTS].id)
    ends = await asyncio.gather(*(journal.ended(job.id) for job in jobs))

    assert ends[SLOTS].status is JobStatus.CANCELLED
    assert (ends[SLOTS].credits, ends[SLOTS].attempts) == (0, ())
    assert f"fox {SLOTS}" not in order(sandbox)
    assert len(sandbox.tasks) == SLOTS + 2


async def test_a_slot_is_held_until_a_stopped_task_is_gone(
    runner: Runner, journal: Journal, sandbox: Sandbox
) -> None:
    """A cancelled job keeps its slot until Runway has stopped its task."""
    jobs = [await submit(runner, f"fox {number}") for number in range(SLOTS + 5)]
    await asyncio.sleep(2)
    for job in jobs[:SLOTS]:
        await runner.cancel(job.id)
    await asyncio.gather(*(journal.ended(job.id) for job in jobs))

    tasks = list(sandbox.tasks.values())
    stopped = [task.deleted_at for task in tasks[:SLOTS]]
    begun_after = [task.created_at for task in tasks[SLOTS:]]
    assert None not in stopped
    for number, at in enumerate(sorted(begun_after), start=1):
        gone = sum(end is not None and end <= at for end in stopped)
        assert number <= gone


async def test_the_images_of_one_job_take_a_slot_each(
    runner: Runner, journal: Journal, sandbox: Sandbox
) -> None:
    """A job of eight tasks never has more than five of them at Runway."""
    job = await submit(runner, "eight foxes", n=8)
    ended = await journal.ended(job.id)

    assert (ended.status, len(ended.images)) == (JobStatus.COMPLETED, 8)
    assert most_at_once(sandbox) == SLOTS


async def test_a_task_that_fails_gives_its_slot_back_while_it_pauses(
    runner: Runner, journal: Journal, sandbox: Sandbox
) -> None:
    """A repeat goes back to its old place in the queue: before those who came later."""
    sandbox.will("fail:INTERNAL")
    first = await submit(runner, "first")
    others = [await submit(runner, f"other {number}") for number in range(SLOTS + 10)]
    await asyncio.gather(*(journal.ended(job.id) for job in [first, *others]))

    prompts = order(sandbox)
    again = prompts.index("first", 1)
    assert prompts.count("first") == 2
    assert again < 2 * SLOTS + 2
    assert most_at_once(sandbox) == SLOTS


class TestAfterARestart:
    """Jobs that an earlier process left, some of them with tasks at Runway."""

    async def test_tasks_under_way_hold_their_slots(
        self, runner: Runner, journal: Journal, sandbox: Sandbox
    ) -> None:
        """Adopted tasks occupy their slots; those who wait go on waiting, key by key."""
        for number in range(SLOTS):
            await submit(runner, f"running {number}", scope="a")
        waiting = [await submit(runner, f"waiting {number}", scope="b") for number in range(3)]
        await asyncio.sleep(2)
        for job_id in list(runner._tasks):
            runner._tasks[
                job_id
            ].cancel()  # as the end of a process does; the runner starts them again
        await asyncio.sleep(0.5)
        under_way = len(sandbox.tasks)
        ends = await asyncio.gather(*(journal.ended(job.id) for job in waiting))

        assert under_way == SLOTS
        assert {JobStatus.COMPLETED} == {job.status for job in ends}
        assert {"b"} == {job.scope for job in ends}
        assert most_at_once(sandbox) == SLOTS


class TestRate:
    """A deployment with a rate of thirty submissions a minute."""

    @pytest.fixture
    def settings(self, settings: Settings, deployment: Deployment) -> Settings:
        """The settings, with a rate in place of slots."""
        limited = replace(deployment, rpm=30.0)
        return replace(settings, deployments=(limited,))

    async def test_submissions_are_evenly_spaced_after_a_burst(
        self, runner: Runner, journal: Journal, sandbox: Sandbox
    ) -> None:
        """Thirty a minute: four at once, then one every two seconds."""
        jobs = [await submit(runner, f"fox {number}") for number in range(20)]
        ends = await asyncio.gather(*(journal.ended(job.id) for job in jobs))

        began_at = ends[0].started_at or 0.0
        after_s = [(job.started_at or 0.0) - began_at for job in ends]
        early = [n for n, at_s in enumerate(after_s[4:], start=1) if at_s < 2 * n - 0.01]
        assert [0, 0, 0, 0] == [round(at_s, 1) for at_s in after_s[:4]]
        assert ([], True) == (early, after_s[-1] < 40)

    async def test_the_tasks_of_one_job_count_each(
        self, runner: Runner, journal: Journal, sandbox: Sandbox
    ) -> None:
        """Seven images that need seven tasks are seven submissions."""
        job = await submit(runner, "a pack", n=7)
        ended = await journal.ended(job.id)

        at = sorted(attempt.submitted_at or 0.0 for attempt in ended.attempts)
        assert len(at) == 7
        assert at[-1] - at[0] > 5.0

    async def test_those_who_wait_for_the_rate_are_queued(
        self, client: aiohttp.ClientSession, runner: Runner, journal: Journal
    ) -> None:
        """A job beyond the rate has the phase `queued` and a place, and gets its image."""
        jobs = [await submit(runner, f"fox {number}") for number in range(9)]
        await asyncio.sleep(1.5)
        last = journal.head(jobs[-1].id)
        places = await shown(client, jobs[-1].id)
        ended = await journal.ended(jobs[-1].id)

        assert (last.phase, last.queue_position) == (Phase.QUEUED, 5)
        assert sorted(places, reverse=True) == places
        assert ended.status is JobStatus.COMPLETED


class TestLimitsOfKeysAndService:
    """A service that lets a key have two jobs under way, and everybody together three."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with both limits."""
        routing = Routing(max_parallel_per_key=2, max_parallel_total=3)
        return replace(settings, routing=routing)

    async def test_a_key_has_so_many_jobs_under_way(
        self, runner: Runner, journal: Journal, sandbox: Sandbox
    ) -> None:
        """What a key has too many of waits, and lets other keys pass; nobody is refused."""
        jobs = [await submit(runner, f"a {number}", scope="a") for number in range(6)]
        jobs += [await submit(runner, f"b {number}", scope="b") for number in range(2)]
        await asyncio.gather(*(journal.ended(job.id) for job in jobs))

        assert ["a 0", "a 1", "b 0"] == order(sandbox)[:3]
        assert most_at_once(sandbox) == 3
        assert len(sandbox.tasks) == 8


async def test_the_tick_of_a_place_bears_no_revision(
    client: aiohttp.ClientSession, runner: Runner
) -> None:
    """A new place is told as `job.progress`, without an id: no store knows it."""
    for number in range(SLOTS + 2):
        last = await submit(runner, f"fox {number}")
    async with client.get(f"/v1/jobs/{last.id}/events") as response:
        decoder = httpx_sse._decoders.SSEDecoder()
        events = []
        async for line in response.content:
            event = decoder.decode(line.decode().rstrip("\n"))
            if event is not None:
                events.append(event)
                if orjson.loads(event.data)["phase"] != "queued":
                    break

    ticks = [event for event in events if event.event == "job.progress"]
    assert len(ticks) >= 1
    assert {1} == {orjson.loads(event.data)["revision"] for event in ticks}
