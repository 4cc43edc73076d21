"""Surviving: a process may be killed at any instant, and the next one goes on from the store.

The service is the real program in a process of its own, on SQLite; the time is real.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from tests.processes import START_S, Service, ask, caller, ended, events, job_of, posts, until

from taxiway.cadence import every
from taxiway.sandbox import Sandbox, SandboxSettings

pytestmark = pytest.mark.looptime(False)


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway that needs three seconds and a half."""
    return SandboxSettings(duration_s=3.0, queue_s=0.5, pictures="plain")


@pytest.fixture
async def service(tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[Service]:
    """A running service, on a file."""
    service = Service(folder=tmp_path, database=f"sqlite:///{tmp_path}/jobs.db", runway=sandbox.url)
    await service.start()
    yield service
    await service.kill()


async def known(session: aiohttp.ClientSession, job_ids: Iterable[str]) -> None:
    """Return when every one of these jobs knows its task at Runway."""
    async with asyncio.timeout(START_S):
        for job_id in job_ids:
            async for _ in every(0.05, first_s=0.0):
                attempts = (await job_of(session, job_id))["attempts"]
                if attempts and attempts[0]["upstream_id"]:
                    break


async def test_a_killed_service_goes_on_with_every_job_and_buys_nothing_again(
    service: Service, sandbox: Sandbox
) -> None:
    """kill -9 with twenty jobs in flight: after a restart all complete, with the tasks they had."""
    async with caller(service) as session:
        ids = [await ask(session, f"fox {i}") for i in range(20)]
        await known(session, ids)
    await service.kill()
    bought = set(sandbox.tasks)
    await service.start()
    async with caller(service) as session:
        jobs = [await ended(session, job_id) for job_id in ids]

    assert ["completed"] * 20 == [job["status"] for job in jobs]
    assert bought == set(sandbox.tasks)
    assert bought == {job["attempts"][0]["upstream_id"] for job in jobs}
    assert len(bought) == 20
    assert all(job["cost"] == {"usd": 0.08, "credits": 8, "final": True} for job in jobs)


async def test_a_viewer_resumes_where_the_kill_cut_it_off(service: Service) -> None:
    """A stream cut by kill -9 goes on with `Last-Event-ID` at the next process, up to the image."""
    seen: list[tuple[str, str]] = []
    async with caller(service) as session:
        job_id = await ask(session, "a fox that is watched")
        with suppress(aiohttp.ClientError):  # how a cut shows is the client library's affair
            async for name, number in events(session, job_id):
                if number:
                    seen.append((name, number))
                if name == "job.in_progress" and len(seen) >= 3:
                    await service.kill()
    await service.start()
    async with caller(service) as session:
        resumed = [
            (name, number)
            async for name, number in events(session, job_id, last_event_id=seen[-1][1])
            if number
        ]
        async with session.get(
            f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": resumed[-1][1]}
        ) as again:
            status = again.status

    numbers = [int(number) for _, number in [*seen, *resumed]]
    assert resumed[-1][0] == "job.completed"
    assert sorted(numbers) == numbers
    assert status == 204


async def test_a_job_killed_while_submitting_is_not_bought_again(
    service: Service, sandbox: Sandbox
) -> None:
    """kill -9 between the POST and its answer: the job fails as `submission_unknown`, with one task at Runway."""
    sandbox.faults.add("create:slow delay=5")
    async with caller(service) as session:
        job_id = await ask(session, "a fox on the way")
        await until(lambda: posts(sandbox) == 1)
    await service.kill()
    sandbox.faults.clear()
    await service.start()
    async with caller(service) as session:
        job = await ended(session, job_id)
        async with session.get("/v1/jobs?error=submission_unknown") as response:
            listed = [job["id"] for job in (await response.json())["data"]]

    assert (job["status"], job["error"]["code"]) == ("failed", "submission_unknown")
    assert [job_id] == listed
    assert posts(sandbox) == 1
    assert len(sandbox.tasks) == 1
    assert "job.submission_unknown" in service.log()


async def test_a_stopped_service_finishes_its_submissions_and_leaves_the_rest_to_the_next(
    service: Service, sandbox: Sandbox
) -> None:
    """SIGTERM while a POST is under way: its answer is stored before the process goes; nothing is unknown."""
    sandbox.faults.add("create:slow delay=1")
    async with caller(service) as session:
        job_id = await ask(session, "a fox in a hurry")
        await until(lambda: posts(sandbox) == 1)
    code = await service.kill(signal.SIGTERM)
    sandbox.faults.clear()
    await service.start()
    async with caller(service) as session:
        job = await ended(session, job_id)

    assert code == 0
    assert (job["status"], len(sandbox.tasks)) == ("completed", 1)


async def test_a_second_process_on_the_same_file_is_refused_in_one_sentence(
    service: Service,
) -> None:
    """Two services on one SQLite file would poll and pay twice; the second does not start."""
    process = await asyncio.create_subprocess_exec(
        *service.command[:-1],
        "0",  # any port: what they quarrel over is the file
        env=service.environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()

    sentence = errors.decode().strip()
    assert process.returncode == 1
    assert "jobs.db" in sentence
    assert "Traceback" not in sentence
    assert len(sentence.splitlines()) <= 3


async def test_a_restart_loads_what_it_uses(service: Service) -> None:
    """On a database that is up to date: no other database's dialect, no Alembic, no page, and no colours."""
    await service.kill(signal.SIGTERM)
    # The interpreter then tells every import, into the log.
    await service.start(PYTHONPROFILEIMPORTTIME="1")

    told = service.log().splitlines()
    loaded = {line.rpartition("|")[2].strip() for line in told if line.startswith("import time:")}
    assert "sqlalchemy.dialects.sqlite" in loaded
    assert loaded.isdisjoint(
        {"sqlalchemy.dialects.postgresql", "alembic", "taxiway.server.openapi", "rich.traceback"}
    )
