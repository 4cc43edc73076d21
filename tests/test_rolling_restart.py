"""An upgrade under load: two replicas on one PostgreSQL are replaced one after the other while people watch.

Callers and viewers come by way of a balancer of the simplest kind, that takes the addresses in turn and knows
nothing of who is about to leave.
"""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from tests.processes import GENERATIONS, MODEL, Service, ended, events

from taxiway.sandbox import Sandbox, SandboxSettings

pytestmark = [pytest.mark.looptime(False), pytest.mark.quiet]

JOBS = 200

#: The last of them comes when the last of the old replicas is about to leave.
SUBMITTING_S = 8.0

FINAL = ("job.completed", "job.failed", "job.cancelled")


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway whose tasks last from three to seven seconds, at most sixty at a time: the rest is throttled."""
    return SandboxSettings(
        duration_s=4.5, queue_s=0.5, jitter=0.4, pictures="plain", concurrency={"gen4_image": 60}
    )


@dataclass(kw_only=True)
class Balancer:
    """The replicas that are in turn. Addresses of those that have gone are left out when that is known."""

    sessions: list[aiohttp.ClientSession] = field(default_factory=list)
    turn: "itertools.count[int]" = field(default_factory=itertools.count)

    def next(self) -> aiohttp.ClientSession:
        """Return whose turn it is."""
        return self.sessions[next(self.turn) % len(self.sessions)]


@dataclass(kw_only=True)
class Viewer:
    """What one viewer saw of a job, over as many connections as it took."""

    numbers: list[int] = field(default_factory=list)
    """The revisions, in the order in which they came."""
    ends: list[str] = field(default_factory=list)
    connections: int = 0

    async def watch(self, balancer: Balancer, job_id: str) -> None:
        """See a job to its end, and come back where a connection ends before that, as an `EventSource` does."""
        while not self.ends:
            self.connections += 1
            cursor = str(self.numbers[-1]) if self.numbers else None
            try:
                async for name, number in events(balancer.next(), job_id, last_event_id=cursor):
                    if number:
                        self.numbers.append(int(number))
                    if name in FINAL:
                        self.ends.append(name)
            except aiohttp.ClientError:
                await asyncio.sleep(0.2)


async def submitted(balancer: Balancer, number: int) -> str:
    """Ask for an image, and ask the next replica where one refuses or is gone; return the job's id."""
    body = {"model": MODEL, "prompt": f"fox {number}"}
    headers = {"Prefer": "respond-async", "Idempotency-Key": f"key {number}"}
    while True:
        try:
            async with balancer.next().post(GENERATIONS, json=body, headers=headers) as response:
                if response.status == 202:
                    return str((await response.json())["id"])
                assert response.status == 503, await response.text()
        except aiohttp.ClientError:
            await asyncio.sleep(0.1)


async def person(balancer: Balancer, number: int) -> tuple[str, Viewer]:
    """Come at some time, ask for an image, and watch it being made."""
    await asyncio.sleep(SUBMITTING_S * number / JOBS)
    viewer, job_id = Viewer(), await submitted(balancer, number)
    await viewer.watch(balancer, job_id)
    return job_id, viewer


class Deployment:
    """Replicas that are started and stopped as a rolling update does it."""

    def __init__(self, stack: AsyncExitStack, *, folder: Path, database: str, runway: str) -> None:
        self.balancer = Balancer()
        self._stack = stack
        self._knobs = {"folder": folder, "database": database, "runway": runway}
        self._names = (f"replica-{number}" for number in itertools.count(1))

    async def add(self) -> tuple[Service, aiohttp.ClientSession]:
        """Start a replica; it gets requests once it is ready."""
        service = Service(name=next(self._names), lease_s=5, shutdown_budget_s=2, **self._knobs)
        self._stack.push_async_callback(service.kill)
        await service.start()
        connector = aiohttp.TCPConnector(limit=0)
        session = aiohttp.ClientSession(service.url, connector=connector)
        await self._stack.enter_async_context(session)
        self.balancer.sessions.append(session)
        return service, session

    async def replace(self, old: tuple[Service, aiohttp.ClientSession]) -> int:
        """Start another replica, and stop this one when that is ready; return its exit code."""
        service, session = old
        await self.add()
        service.send(signal.SIGTERM)
        code = await service.gone()
        # Only now: the balancer goes on sending people to a replica that is leaving, and to one that has left.
        await asyncio.sleep(0.3)
        self.balancer.sessions.remove(session)
        return code


@asynccontextmanager
async def deployed(*, folder: Path, database: str, runway: str) -> AsyncIterator[Deployment]:
    """Have a place for replicas while the context lasts."""
    async with AsyncExitStack() as stack:
        yield Deployment(stack, folder=folder, database=database, runway=runway)


async def test_a_rolling_restart_loses_nothing(
    tmp_path: Path, postgres: str, sandbox: Sandbox
) -> None:
    """200 jobs with a viewer each while both replicas are replaced: none lost, none bought twice, all seen."""
    async with deployed(folder=tmp_path, database=postgres, runway=sandbox.url) as deployment:
        first, second = await asyncio.gather(deployment.add(), deployment.add())
        async with asyncio.timeout(60):
            people = [
                asyncio.create_task(person(deployment.balancer, number)) for number in range(JOBS)
            ]
            await asyncio.sleep(1.0)
            codes = [await deployment.replace(old) for old in (first, second)]
            under_way = sum(not each.done() for each in people)
            seen = await asyncio.gather(*people)
        balancer = deployment.balancer
        jobs = [await ended(balancer.next(), job_id) for job_id, _ in seen]
    viewers = [viewer for _, viewer in seen]
    bought = sorted(attempt["upstream_id"] for job in jobs for attempt in job["attempts"])

    assert codes == [0, 0]
    assert under_way > 0
    assert ["completed"] * JOBS == [job["status"] for job in jobs]
    assert JOBS == len({job["id"] for job in jobs}) == len(sandbox.tasks)
    assert bought == sorted(sandbox.tasks)
    assert {f"fox {number}": 1 for number in range(JOBS)} == sandbox.creates_by_prompt
    assert [["job.completed"]] * JOBS == [viewer.ends for viewer in viewers]
    assert all(viewer.numbers == sorted(set(viewer.numbers)) for viewer in viewers)
    assert max(viewer.connections for viewer in viewers) > 1
