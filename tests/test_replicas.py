"""Several replicas on one PostgreSQL: whoever dies, stops or stands still, the others go on.

Each replica is the real program in a process of its own; the time is real, and the lease short.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import orjson
import pytest
from tests.processes import (
    GENERATIONS,
    MODEL,
    Service,
    ask,
    caller,
    ended,
    events,
    job_of,
    posts,
    until,
)

from taxiway.cadence import every
from taxiway.sandbox import Sandbox, SandboxSettings

pytestmark = [pytest.mark.looptime(False), pytest.mark.quiet]

LEASE_S = 2.0

#: Within how much more than a lease a dead replica's jobs have a new owner.
ADOPTION_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A process, and a caller of it."""

    service: Service
    client: aiohttp.ClientSession


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway that needs three seconds."""
    return SandboxSettings(duration_s=2.5, queue_s=0.5, progress_tick_s=0.2, pictures="plain")


@pytest.fixture
async def replicas(
    tmp_path: Path, postgres: str, sandbox: Sandbox
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two running replicas on one database."""
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(replica(tmp_path, postgres, sandbox, name))
            for name in ("first", "second")
        ]
        await asyncio.gather(first.service.ready(), second.service.ready())
        yield first, second


@asynccontextmanager
async def replica(
    folder: Path, database: str, sandbox: Sandbox, name: str
) -> AsyncIterator[Replica]:
    """Run a replica while the context lasts. It is not waited for."""
    service = Service(
        folder=folder,
        database=database,
        runway=sandbox.url,
        name=name,
        lease_s=LEASE_S,
        shutdown_budget_s=1,
    )
    await service.begin()
    try:
        async with caller(service) as client:
            yield Replica(service=service, client=client)
    finally:
        service.send(signal.SIGCONT)
        await service.kill()


@pytest.fixture
async def psql(postgres: str) -> AsyncIterator[Any]:
    """A session of an operator's own."""
    session = await asyncpg.connect(postgres)
    yield session
    await session.close()


async def watch(replica: Replica, job_id: str) -> list[tuple[str, str]]:
    """Return every event that a viewer sees until the stream ends."""
    return [event async for event in events(replica.client, job_id)]


async def under_way(replica: Replica, job_ids: Iterable[str]) -> None:
    """Return when Runway is at work on every one of these jobs."""
    async with asyncio.timeout(20):
        for job_id in job_ids:
            async for _ in every(0.05, first_s=0.0):
                job = await job_of(replica.client, job_id)
                if job["phase"] in ("provider_queue", "running"):
                    break


async def wait(
    replica: Replica, prompt: str = "a red fox", **headers: str
) -> tuple[int, Any, dict[str, str]]:
    """Ask for an image and wait for it; return status, document and headers."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    body = {"model": MODEL, "prompt": prompt}
    async with replica.client.post(GENERATIONS, json=body, headers=named) as response:
        return response.status, await response.json(), dict(response.headers)


def lines(replica: Replica, name: str) -> list[dict[str, Any]]:
    """Return the lines of a replica's log about one event."""
    whole, _, _ = replica.service.log().rpartition("\n")  # it may be writing the next one
    read = (orjson.loads(line) for line in whole.splitlines() if line[:1] == "{")
    return [line for line in read if line["event"] == name]


async def logged(replica: Replica, name: str, count: int) -> list[dict[str, Any]]:
    """Return the lines about one event once there are so many: a line is written a little after the fact."""
    async with asyncio.timeout(20):
        async for _ in every(0.05, first_s=0.0):
            if len(found := lines(replica, name)) >= count:
                return found
    raise AssertionError


def upstream_ids(jobs: Iterable[Any]) -> set[str]:
    """Return the Runway tasks that jobs know of."""
    return {attempt["upstream_id"] for job in jobs for attempt in job["attempts"]}


async def test_the_jobs_of_a_killed_replica_are_finished_by_the_other(
    replicas: tuple[Replica, Replica], sandbox: Sandbox
) -> None:
    """kill -9 of the owner: the other has its jobs within the lease and five seconds, with the tasks they had."""
    first, second = replicas
    sandbox.change(duration_s=LEASE_S + ADOPTION_S + 2)
    ids = [await ask(first.client, f"fox {number}") for number in range(10)]
    await under_way(first, ids)
    bought = set(sandbox.tasks)
    viewer = asyncio.create_task(watch(second, ids[0]))

    await first.service.kill()
    began_s = asyncio.get_running_loop().time()
    await logged(second, "job.recovered", 10)
    took_s = asyncio.get_running_loop().time() - began_s
    jobs = [await ended(second.client, job_id) for job_id in ids]
    seen = await viewer

    assert took_s < LEASE_S + ADOPTION_S
    assert ["completed"] * 10 == [job["status"] for job in jobs]
    assert bought == set(sandbox.tasks) == upstream_ids(jobs)
    assert seen[-1][0] == "job.completed"
    assert 1 == sum(name == "job.completed" for name, _ in seen)


async def test_a_viewer_of_any_replica_sees_all_of_it(
    replicas: tuple[Replica, Replica],
) -> None:
    """Progress and end of a job reach the viewers of another replica than its owner, without delay."""
    first, second = replicas
    job_id = await ask(first.client, "a fox that is watched")
    began_s = asyncio.get_running_loop().time()

    here, there = await asyncio.gather(watch(first, job_id), watch(second, job_id))

    took_s = asyncio.get_running_loop().time() - began_s
    ticks = [name for name, _ in there].count("job.progress")
    assert [here[-1]] == [there[-1]]
    assert there[-1][0] == "job.completed"
    assert ticks >= 3
    assert took_s < 5


@pytest.mark.parametrize("name", ["x_stainless_retry_count", "Idempotency_Key"])
async def test_who_waited_at_a_killed_replica_gets_the_image_from_the_other(
    replicas: tuple[Replica, Replica], sandbox: Sandbox, name: str
) -> None:
    """Whose connection broke asks again elsewhere, before anybody has taken the job over: it joins its job."""
    first, second = replicas
    before, again = ("0", "1") if name == "x_stainless_retry_count" else ("order 17",) * 2
    asking = asyncio.create_task(wait(first, **{name: before}))
    await until(lambda: any(task.polls for task in sandbox.tasks.values()))
    await first.service.kill()
    with suppress(aiohttp.ClientError):
        await asking

    status, document, headers = await wait(second, **{name: again})

    assert (status, len(document["data"])) == (200, 1)
    assert headers["Idempotent-Replayed"] == "true"
    assert (1, 1) == (posts(sandbox), len(sandbox.tasks))


async def test_one_key_at_two_replicas_is_one_purchase(
    replicas: tuple[Replica, Replica], sandbox: Sandbox
) -> None:
    """The same `Idempotency-Key` at both at once, ten times over: ten jobs, and everybody gets the image."""
    answers = await asyncio.gather(
        *(
            wait(replica, f"fox {number}", Idempotency_Key=f"key {number}")
            for number in range(10)
            for replica in replicas
        )
    )

    assert [200] * 20 == [status for status, _, _ in answers]
    assert 10 == len({document["job_id"] for _, document, _ in answers})
    assert 10 == sum("Idempotent-Replayed" in headers for _, _, headers in answers)
    assert (10, 10) == (posts(sandbox), len(sandbox.tasks))


async def test_any_replica_can_stop_a_job(
    replicas: tuple[Replica, Replica], sandbox: Sandbox
) -> None:
    """A cancellation asked of another replica than the owner reaches Runway within a second or so."""
    first, second = replicas
    sandbox.change(duration_s=60.0)
    job_id = await ask(first.client, "a fox")
    await under_way(first, [job_id])
    began_s = asyncio.get_running_loop().time()

    async with second.client.post(f"/v1/jobs/{job_id}/cancel") as response:
        status = response.status
    job = await ended(second.client, job_id)
    took_s = asyncio.get_running_loop().time() - began_s

    assert (200, "cancelled") == (status, job["status"])
    assert ["DELETED"] == [task.status for task in sandbox.tasks.values()]
    assert took_s < 2


async def test_a_stopping_replica_hands_its_jobs_over(
    replicas: tuple[Replica, Replica], sandbox: Sandbox, psql: Any
) -> None:
    """SIGTERM: within a second the other owns the jobs, and polls on with the tasks they had."""
    first, second = replicas
    ids = [await ask(first.client, f"fox {number}") for number in range(10)]
    await under_way(first, ids)
    owners = await psql.fetch("SELECT DISTINCT owner FROM jobs")
    bought = set(sandbox.tasks)
    viewer = asyncio.create_task(watch(second, ids[0]))

    first.service.send(signal.SIGTERM)
    began_s = asyncio.get_running_loop().time()
    async with asyncio.timeout(20):
        async for _ in every(0.02):
            left = await psql.fetchval(
                "SELECT count(*) FROM jobs WHERE owner = $1 AND finished_at IS NULL",
                owners[0]["owner"],
            )
            if not left:
                break
    took_s = asyncio.get_running_loop().time() - began_s
    code = await first.service.gone()
    jobs = [await ended(second.client, job_id) for job_id in ids]

    assert (1, 0) == (len(owners), code)
    assert took_s < 1.0
    assert ["completed"] * 10 == [job["status"] for job in jobs]
    assert bought == set(sandbox.tasks) == upstream_ids(jobs)
    assert {"handover"} == {line["cause"] for line in lines(second, "job.recovered")}
    assert (await viewer)[-1][0] == "job.completed"


async def test_a_slow_submission_is_not_lost_by_stopping(
    replicas: tuple[Replica, Replica], sandbox: Sandbox
) -> None:
    """SIGTERM while a POST takes longer than the lease: the job stays until its task is known, then moves on."""
    first, second = replicas
    sandbox.will(f"create:slow delay={LEASE_S * 3}")
    job_id = await ask(first.client, "a fox on the way")
    await until(lambda: posts(sandbox) == 1)

    code = await first.service.kill(signal.SIGTERM)
    job = await ended(second.client, job_id)

    assert (0, "completed") == (code, job["status"])
    assert (1, 1) == (posts(sandbox), len(sandbox.tasks))


async def test_a_frozen_replica_wakes_up_and_harms_nothing(
    replicas: tuple[Replica, Replica], sandbox: Sandbox
) -> None:
    """SIGSTOP, takeover, SIGCONT: the former owner finds itself fenced off; one task and one end for each job."""
    first, second = replicas
    sandbox.change(duration_s=LEASE_S + ADOPTION_S + 2)
    ids = [await ask(first.client, f"fox {number}") for number in range(5)]
    await under_way(first, ids)
    viewers = [asyncio.create_task(watch(second, job_id)) for job_id in ids]
    awake = asyncio.create_task(watch(first, ids[0]))
    await asyncio.sleep(0.5)

    first.service.send(signal.SIGSTOP)
    await logged(second, "job.recovered", 5)
    first.service.send(signal.SIGCONT)
    seen = await asyncio.gather(*viewers)
    jobs = [await ended(first.client, job_id) for job_id in ids]

    lost = await logged(first, "job.lease_lost", 5)
    await logged(second, "job.completed", 5)

    assert {*ids} == {line["job_id"] for line in lost}
    assert ["completed"] * 5 == [job["status"] for job in jobs]
    assert (5, 5) == (posts(sandbox), len(sandbox.tasks))
    assert [1] * 5 == [[name for name, _ in each].count("job.completed") for each in seen]
    assert (0, 5) == (len(lines(first, "job.completed")), len(lines(second, "job.completed")))
    assert (await awake)[-1][0] == "job.completed"


async def test_what_a_frozen_replica_bought_is_named(
    replicas: tuple[Replica, Replica], sandbox: Sandbox
) -> None:
    """SIGSTOP while a POST is under way: the new owner buys nothing, the former one logs the task it paid for."""
    first, second = replicas
    sandbox.will("create:slow delay=2")
    job_id = await ask(first.client, "a fox on the way")
    await until(lambda: posts(sandbox) == 1)

    first.service.send(signal.SIGSTOP)
    job = await ended(second.client, job_id)
    first.service.send(signal.SIGCONT)
    orphaned = await logged(first, "job.submission_orphaned", 1)

    assert ("failed", "submission_unknown") == (job["status"], job["error"]["code"])
    assert (1, 1) == (posts(sandbox), len(sandbox.tasks))
    assert [*sandbox.tasks] == [line["provider_task_id"] for line in orphaned]
    assert 200 == await first.service.readiness(first.client)


async def test_a_store_that_is_down_for_a_while_costs_time_only(
    replicas: tuple[Replica, Replica], sandbox: Sandbox, postgres_server: Any
) -> None:
    """Jobs stall and readiness fails; what was bought meanwhile is known afterwards, and bought once."""
    first, second = replicas
    running = [await ask(first.client, f"fox {number}") for number in range(5)]
    await under_way(first, running)
    sandbox.faults.add("create:slow delay=1")
    buying = [await ask(second.client, f"owl {number}") for number in range(5)]

    await asyncio.to_thread(postgres_server.stop)
    try:
        async with asyncio.timeout(20):
            async for _ in every(0.2):
                states = [await each.service.readiness(each.client) for each in replicas]
                if states == [503, 503]:
                    break
        refused, document, headers = await wait(first, "a hare")
    finally:
        await asyncio.to_thread(postgres_server.start)
    jobs = [await ended(second.client, job_id) for job_id in (*running, *buying)]
    await asyncio.gather(*(each.service.ready() for each in replicas))

    assert (503, "store_unavailable") == (refused, document["error"]["code"])
    assert "true" == headers["x-should-retry"]
    assert ["completed"] * 10 == [job["status"] for job in jobs]
    assert upstream_ids(jobs) == set(sandbox.tasks)
    assert (10, 10) == (posts(sandbox), len(sandbox.tasks))


async def test_many_that_start_at_once_make_one_schema(
    tmp_path: Path, postgres_server: Any, sandbox: Sandbox
) -> None:
    """Four processes on an empty database: one of them migrates, all of them become ready."""
    name = postgres_server.create()
    try:
        async with AsyncExitStack() as stack:
            started = [
                await stack.enter_async_context(
                    replica(tmp_path, postgres_server.url(name), sandbox, f"r{number}")
                )
                for number in range(4)
            ]
            await asyncio.gather(*(each.service.ready() for each in started))
            migrated = [line for each in started for line in lines(each, "store.migrated")]
    finally:
        postgres_server.drop(name)

    assert [None] == [line.get("before") for line in migrated]
