"""Who owns a job: two services in one process share its store, and jobs pass from one to the other and back.

A service that loses its lease here is not stopped: it is told so by the store, as it would be after a long pause.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.processes import GENERATIONS, MODEL, ask, ended, events, posts

from taxiway.clock import Clock
from taxiway.facts import Seen, Submitted, Submitting
from taxiway.jobs import GenerationRequest, Job, Part, Phase, Plan
from taxiway.journal import Journal
from taxiway.logs import Logs
from taxiway.protocols import no_note
from taxiway.sandbox import Sandbox
from taxiway.server import create_app
from taxiway.server.running import listening
from taxiway.settings import Settings
from taxiway.signals import Signal
from taxiway.store.memory import MemoryStore
from taxiway.store.shelf import Shelf
from taxiway.topics import Follower
from taxiway.transitions import accept

# The fixtures run in real time, and the services are among them.
pytestmark = pytest.mark.looptime(start=time.monotonic)  # noqa: TID251

LEASE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A service, its store, and a caller of it."""

    app: web.Application
    store: MemoryStore
    client: aiohttp.ClientSession


@asynccontextmanager
async def replica(
    settings: Settings, logs: Logs, shelf: Shelf, kind: type[MemoryStore] = MemoryStore
) -> AsyncIterator[Replica]:
    """Run a service over a shelf while the context lasts."""
    store = kind(shelf=shelf, lease_s=LEASE_S)
    app = create_app(settings, store=store, logs=logs)
    async with (
        listening(app, host="127.0.0.1", port=0) as url,
        aiohttp.ClientSession(url) as client,
    ):
        yield Replica(app=app, store=store, client=client)
    await store.close()


@pytest.fixture
def shelf() -> Shelf:
    """What the services share."""
    return Shelf()


@pytest.fixture
async def first(settings: Settings, logs: Logs, shelf: Shelf) -> AsyncIterator[Replica]:
    """The one that is asked."""
    async with replica(settings, logs, shelf) as first:
        yield first


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """What is still running at the end."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def second(settings: Settings, logs: Logs, shelf: Shelf, stack: AsyncExitStack) -> Replica:
    """The other one; closing the stack stops it."""
    return await stack.enter_async_context(replica(settings, logs, shelf))


async def test_a_job_that_is_lost_while_it_is_bought_is_lost_in_peace(
    first: Replica, second: Replica, sandbox: Sandbox
) -> None:
    """A job passes on during a POST, and is cancelled meanwhile: the former owner minds its other business."""
    sandbox.will("create:slow delay=30")
    job_id = await ask(first.client, "a fox on the way", n=1)
    await asyncio.sleep(1)
    sandbox.will("stuck:RUNNING")
    other = await ask(second.client, "another fox")
    await asyncio.sleep(3)

    await first.store.release()  # as if it had been silent for too long
    await asyncio.sleep(1)
    for each in (second, first):
        async with each.client.post(f"/v1/jobs/{job_id}/cancel") as response:
            assert 200 == response.status
    await asyncio.sleep(10)
    async with first.client.post(f"/v1/jobs/{other}/cancel") as response:
        assert 200 == response.status
    await asyncio.sleep(20)  # a service that stops would wait for the answer, here in real time

    assert "cancelled" == (await ended(first.client, other))["status"]
    assert "submission_unknown" == (await ended(first.client, job_id))["error"]["code"]
    assert posts(sandbox) == 2


async def test_a_promise_binds_the_other_replica(
    first: Replica, second: Replica, sandbox: Sandbox
) -> None:
    """Who waited here in vain was told the job's id: it goes on, though another one joins there and hangs up."""
    key = {"Idempotency-Key": "a-fox"}
    asked = {"model": MODEL, "prompt": "a fox", "on_disconnect": "cancel"}
    headers = {**key, "Prefer": "wait=1"}
    async with first.client.post(GENERATIONS, json=asked, headers=headers) as response:
        status, job = response.status, await response.json()
    leaving = asyncio.create_task(second.client.post(GENERATIONS, json=asked, headers=key))
    await asyncio.sleep(2)
    leaving.cancel()

    assert (202, "completed") == (status, (await ended(first.client, job["id"]))["status"])
    assert ["SUCCEEDED"] == [task.status for task in sandbox.tasks.values()]


async def test_a_former_owner_is_told_of_by_its_own_viewers(
    first: Replica, second: Replica, sandbox: Sandbox
) -> None:
    """Cancelling a job at the replica that has just lost it reaches the one that has it."""
    sandbox.will("stuck:RUNNING")
    job_id = await ask(first.client, "a fox")
    await asyncio.sleep(5)
    await first.store.release()
    await asyncio.sleep(0.1)

    async with first.client.post(f"/v1/jobs/{job_id}/cancel") as response:
        status = response.status

    assert (200, "cancelled") == (status, (await ended(second.client, job_id))["status"])
    assert ["DELETED"] == [task.status for task in sandbox.tasks.values()]


async def test_a_job_may_come_back_while_its_first_life_is_ending(
    first: Replica, second: Replica, sandbox: Sandbox, stack: AsyncExitStack
) -> None:
    """Lost during a POST and claimed back before its answer: the job goes on here, and buys no second task."""
    sandbox.will("ok", "create:slow delay=12")
    sandbox.change(duration_s=30.0)
    job_id = await ask(first.client, "two foxes", n=2)
    await asyncio.sleep(1)
    await first.store.release()
    await asyncio.sleep(6)  # the former owner knows by now, and waits for the answer to its POST
    await stack.aclose()
    job = await ended(first.client, job_id, within_s=120)

    assert ("completed", 1) == (job["status"], len(job["images"]))
    assert ["completed", "unknown"] == sorted(each["status"] for each in job["attempts"])
    assert posts(sandbox) == 2


async def test_a_viewer_stays_with_a_job_that_changes_hands(
    first: Replica, second: Replica, sandbox: Sandbox
) -> None:
    """Whoever watches a job at the replica that takes it over sees its progress all the way."""
    sandbox.change(duration_s=20.0)
    job_id = await ask(first.client, "a fox")
    viewer = asyncio.create_task(_names(second, job_id))
    await asyncio.sleep(6)
    await first.store.release()

    names = await viewer

    assert names[-1] == "job.completed"
    assert names.count("job.progress") > 5


class SlowReads(MemoryStore):
    """A store that is slow to say what is new."""

    async def newer(self, known: Mapping[str, int]) -> Sequence[Job]:
        """Take longer than a lease lasts."""
        await asyncio.sleep(LEASE_S * 2)
        return await super().newer(known)


async def test_slow_reads_cost_nobody_the_lease(
    first: Replica,
    settings: Settings,
    logs: Logs,
    shelf: Shelf,
    stack: AsyncExitStack,
    sandbox: Sandbox,
) -> None:
    """A replica that is long in reading what its viewers follow elsewhere keeps its own jobs all the same."""
    slow = await stack.enter_async_context(replica(settings, logs, shelf, SlowReads))
    sandbox.change(duration_s=LEASE_S * 4)
    watched, own = await ask(first.client, "a fox"), await ask(slow.client, "an owl")
    viewer = asyncio.create_task(_names(slow, watched))

    alive = []
    for _ in range(12):
        await asyncio.sleep(LEASE_S / 4)
        alive.append(slow.store.lease_alive())
    await viewer
    await ended(first.client, own, within_s=120)

    assert {True} == set(alive)
    assert {slow.store.owner} == {row.owner for row in shelf.rows.values() if row.job.id == own}


async def test_without_a_lease_nothing_is_said_to_be_bought(
    first: Replica, sandbox: Sandbox
) -> None:
    """While a process does not know whether its jobs are its own, it buys nothing, and none of them says so."""
    await first.store.release()  # the next beat takes it up again
    job = await ended(first.client, await ask(first.client, "a fox"), within_s=60)

    phases = [moment["phase"] for moment in job["timeline"]]
    assert ("completed", 1) == (job["status"], phases.count("submitting"))
    assert posts(sandbox) == 1


class Deaf(MemoryStore):
    """A store whose signals are lost."""

    def signals(self, callback: Callable[[Signal], None]) -> None:
        """Tell nothing."""


async def test_a_handover_is_one_though_its_signal_was_lost(
    settings: Settings,
    logs: Logs,
    shelf: Shelf,
    stack: AsyncExitStack,
    sandbox: Sandbox,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """Jobs that were let go of and that a steady beat has found are told of as handed over, not as expired."""
    sandbox.will("stuck:RUNNING")
    deaf = await stack.enter_async_context(replica(settings, logs, shelf, Deaf))
    async with replica(settings, logs, shelf) as leaving:
        job_id = await ask(leaving.client, "a fox")
        await asyncio.sleep(LEASE_S * 2)  # by now a lease's end would count as well

    await asyncio.sleep(LEASE_S / 2)
    async with deaf.client.post(f"/v1/jobs/{job_id}/cancel") as response:
        status = response.status

    recovered = [line for line in log_lines() if line["event"] == "job.recovered"]
    assert (200, ["handover"]) == (status, [line["cause"] for line in recovered])
    assert deaf.store.owner == shelf.rows[job_id].owner


async def _names(replica: Replica, job_id: str) -> list[str]:
    return [name async for name, _ in events(replica.client, job_id)]


async def test_taking_a_job_over_tells_its_viewers_what_they_missed(
    clock: Clock, shelf: Shelf
) -> None:
    """A job that is taken over is told as it is stored, to whoever has followed it from afar."""
    owner, taker = MemoryStore(shelf=shelf), MemoryStore(shelf=shelf)
    there, here = (Journal(each, clock=clock, note=no_note) for each in (owner, taker))
    job = accept(
        GenerationRequest(model="gen4-image", prompt="A lighthouse."),
        Plan(size="1920x1080", parts=(Part(images=1, credits=8),)),
        id="job_1",
        at=clock.now(),
        deadline_at=clock.now() + 600,
    )
    await there.accept(job)
    topic = await here.join("job_1", follower := Follower())
    waiting = asyncio.create_task(follower.wait())
    await asyncio.sleep(0)
    for fact in (SUBMITTING, SUBMITTED):
        await there.record("job_1", fact)
    await owner.release()
    (taken,) = await taker.claim()

    here.adopt(taken)
    await waiting
    told = topic.job
    after = await here.record("job_1", Seen(attempt=0, phase=Phase.PROVIDER_QUEUE, progress=0.5))

    assert (3, taken) == (told.revision, told)
    assert (3, after) == (after.revision, topic.job)


@pytest.fixture
async def clock() -> Clock:
    """The dates."""
    return Clock()


SUBMITTING = Submitting(attempt=0, part=0, deployment="d", provider="runwayml", model="gen4_image")
SUBMITTED = Submitted(attempt=0, upstream_id="task-1", credits=8)
