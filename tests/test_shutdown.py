"""Leaving: a real process on a real port is told to stop, and nobody loses anything."""

import asyncio
import os
import signal
import sqlite3
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from tests.processes import posts, until

from taxiway.cadence import every
from taxiway.journal import LEAVE_S
from taxiway.sandbox import Sandbox, SandboxSettings

pytestmark = pytest.mark.looptime(False)

ASK = {"model": "gen4_image", "prompt": "a red fox"}
GENERATIONS = "/v1/images/generations"

#: More than anybody here waits for the end of a process: whoever spends it is found out, on a slow machine too.
BUDGET_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A process that serves, and a caller of it."""

    process: Process
    client: aiohttp.ClientSession

    async def told(
        self, *, number: signal.Signals = signal.SIGTERM, within_s: float = BUDGET_S / 3
    ) -> float:
        """Tell the process to stop and wait for its end. Returns the seconds that took.

        Raises `TimeoutError` where it does not end long before `BUDGET_S` is spent.
        """
        began_s = asyncio.get_running_loop().time()
        self.process.send_signal(number)
        await asyncio.wait_for(self.process.wait(), within_s)
        return asyncio.get_running_loop().time() - began_s

    async def begin(self, prompt: str = "a red fox") -> str:
        """Ask for an image without waiting for it, and return the job's id."""
        headers = {"Prefer": "respond-async"}
        body = {**ASK, "prompt": prompt}
        async with self.client.post(GENERATIONS, json=body, headers=headers) as response:
            return str((await response.json())["id"])

    async def job(self, job_id: str) -> Any:
        """Return a job."""
        async with self.client.get(f"/v1/jobs/{job_id}") as response:
            return await response.json()

    async def drains(self) -> None:
        """Return when the process has heard that it is to stop, and says so."""
        async with asyncio.timeout(20):
            async for _ in every(0.02, first_s=0.0):
                async with self.client.get("/readyz") as response:
                    if response.status == 503:
                        return

    async def ended(self, job_id: str) -> Any:
        """Return a job after its end."""
        async with asyncio.timeout(20), self.client.get(f"/v1/jobs/{job_id}/events") as stream:
            await stream.read()
        return await self.job(job_id)


Start = Callable[..., Awaitable[Service]]


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway that needs three seconds."""
    return SandboxSettings(duration_s=2.5, queue_s=0.5, pictures="plain")


@pytest.fixture
async def start(
    sandbox: Sandbox, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> AsyncIterator[Start]:
    """Start `taxiway serve` on one SQLite file, one process after the other; the end kills what still runs."""
    running: list[Service] = []

    async def begin(**knobs: Any) -> Service:
        port = unused_tcp_port_factory()
        told = {
            "RUNWAYML_API_SECRET": "key",
            "RUNWAYML_API_BASE": sandbox.url,
            "TAXIWAY_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'taxiway.db'}",
            "TAXIWAY_POLL_INTERVAL_S": "0.2",
            "TAXIWAY_PORT": str(port),
            **{f"TAXIWAY_{name.upper()}": str(value) for name, value in knobs.items()},
        }
        environ = {name: text for name, text in os.environ.items() if "TAXIWAY" not in name}
        with (tmp_path / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "taxiway", "serve"),
                env={**environ, **told},
                cwd=tmp_path,
                stdout=log,
                stderr=log,
            )
        connector = aiohttp.TCPConnector(limit=0)
        client = aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector)
        service = Service(process=process, client=client)
        running.append(service)
        await listens(service)
        return service

    yield begin
    for service in running:
        await service.client.close()
        if service.process.returncode is None:
            service.process.kill()
            await service.process.wait()


async def listens(service: Service) -> None:
    """Return when the service is ready. Raises `TimeoutError`."""
    async with asyncio.timeout(30):
        async for _ in every(0.05):
            with suppress(aiohttp.ClientConnectionError):
                async with service.client.get("/readyz") as response:
                    if response.status == 200:
                        return


async def waiting(
    service: Service, sandbox: Sandbox, **headers: str
) -> "asyncio.Task[tuple[int, Any, Any]]":
    """Let somebody wait for an image, and return once the job is under way."""

    async def wait() -> tuple[int, Any, Any]:
        async with service.client.post(GENERATIONS, json=ASK, headers=headers) as response:
            return response.status, await response.json(), response.headers

    task = asyncio.create_task(wait())
    await until(lambda: len(sandbox.tasks) == 1)
    return task


async def test_open_streams_keep_nobody(start: Start, sandbox: Sandbox) -> None:
    """With a hundred viewers of fifty jobs the process is soon gone, and every stream ends cleanly.

    The budget is for those who wait for an image. The next process finishes what was running, and none is bought
    twice.
    """
    first = await start(shutdown_budget_s=BUDGET_S, sse_heartbeat_s=BUDGET_S)
    jobs = await asyncio.gather(*(first.begin(f"fox {number}") for number in range(50)))

    begun = [asyncio.Event() for _ in jobs * 2]

    async def view(job_id: str, begins: asyncio.Event) -> bytes:
        async with first.client.get(f"/v1/jobs/{job_id}/events") as stream:
            begins.set()
            return await stream.read()

    viewers = [
        asyncio.create_task(view(job_id, begins))
        for job_id, begins in zip(jobs * 2, begun, strict=True)
    ]
    await asyncio.gather(*(each.wait() for each in begun))

    await first.told()
    seen = await asyncio.gather(*viewers)
    second = await start()
    ended = [await second.ended(job_id) for job_id in jobs]

    assert first.process.returncode == 0
    assert all(stream.startswith(b"retry: ") and stream.endswith(b"\n") for stream in seen)
    assert [job["status"] for job in ended] == ["completed"] * 50
    assert set(sandbox.creates_by_prompt.values()) == {1}
    assert len(sandbox.tasks) == 50


async def test_a_submission_under_way_is_finished_before_the_process_leaves(
    start: Start, sandbox: Sandbox
) -> None:
    """The answer to a submission is waited for: it is the only trace of what was bought."""
    sandbox.will("create:slow delay=2")
    first = await start(shutdown_budget_s=BUDGET_S)
    job_id = await first.begin()
    await until(lambda: posts(sandbox) == 1)

    took_s = await first.told()

    second = await start()
    job = await second.ended(job_id)
    assert took_s > 0.5
    assert (job["status"], len(job["attempts"])) == ("completed", 1)
    assert len(sandbox.tasks) == 1


async def test_who_waits_for_an_image_gets_it(start: Start, sandbox: Sandbox) -> None:
    """A caller who waits keeps the process until the image is there, and gets it; nobody waits for the rest."""
    service = await start(shutdown_budget_s=BUDGET_S)
    caller = await waiting(service, sandbox)

    await service.told()

    status, document, headers = await caller
    assert (status, len(document["data"])) == (200, 1)
    assert headers["Connection"] == "close"
    assert service.process.returncode == 0


async def test_who_waits_longer_than_the_budget_is_told_the_job(
    start: Start, sandbox: Sandbox
) -> None:
    """When the budget is spent, a caller who waits gets 503 `draining` with the job, which goes on."""
    sandbox.change(duration_s=6.0)
    service = await start(shutdown_budget_s=0.5)
    caller = await waiting(service, sandbox)

    await service.told()

    status, document, headers = await caller
    error = document["error"]
    assert (status, error["type"], error["code"]) == (503, "service_unavailable", "draining")
    assert error["job_id"] == headers["x-taxiway-job-id"]
    assert headers["Content-Location"] == f"/v1/jobs/{error['job_id']}"
    assert headers["x-should-retry"] == "false"
    assert "Retry-After" not in headers
    second = await start()
    assert (await second.ended(error["job_id"]))["status"] == "completed"
    assert len(sandbox.tasks) == 1


async def test_who_wanted_to_wait_a_while_gets_the_job(start: Start, sandbox: Sandbox) -> None:
    """`Prefer: wait=N` is answered with 202 and the job when the process cannot wait any longer."""
    sandbox.change(duration_s=60.0)
    service = await start(shutdown_budget_s=0.5)
    caller = await waiting(service, sandbox, Prefer="wait=60")

    await service.told()

    status, document, _ = await caller
    assert (status, document["object"]) == (202, "image.generation.job")


async def test_while_somebody_waits_the_door_is_closed_and_says_so(
    start: Start, sandbox: Sandbox
) -> None:
    """A process on its way out still answers: not ready, and no new jobs, which are worth asking for elsewhere."""
    sandbox.change(duration_s=4.0)
    service = await start(shutdown_budget_s=BUDGET_S)
    caller = await waiting(service, sandbox)
    service.process.send_signal(signal.SIGTERM)
    await service.drains()

    async with service.client.get("/readyz") as ready:
        reasons = (await ready.json())["reasons"]
    async with service.client.post(GENERATIONS, json=ASK) as refused:
        error = (await refused.json())["error"]

    assert (ready.status, reasons) == (503, ["draining"])
    assert (refused.status, error["code"]) == (503, "draining")
    assert "job_id" not in error
    assert refused.headers["x-should-retry"] == "true"
    assert (await caller)[0] == 200
    assert await asyncio.wait_for(service.process.wait(), BUDGET_S / 3) == 0


async def test_a_second_signal_ends_it_at_once(start: Start, sandbox: Sandbox) -> None:
    """Whoever asks twice does not want to wait."""
    sandbox.change(duration_s=60.0)
    service = await start(shutdown_budget_s=BUDGET_S)
    caller = await waiting(service, sandbox)
    service.process.send_signal(signal.SIGTERM)
    await service.drains()

    await service.told()

    assert service.process.returncode == -signal.SIGTERM
    with pytest.raises(aiohttp.ClientError):
        await caller


async def test_control_c_is_a_way_to_stop_too(start: Start) -> None:
    """SIGINT is followed as SIGTERM is."""
    service = await start(shutdown_budget_s=BUDGET_S)

    await service.told(number=signal.SIGINT)

    assert service.process.returncode == 0


async def test_the_log_tells_the_life_of_the_process(start: Start, tmp_path: Path) -> None:
    """The log names the beginning, the readiness, the way out and the end."""
    service = await start()
    await service.told()

    lines = [orjson.loads(line) for line in (tmp_path / "log").read_bytes().splitlines()]

    assert [line["event"] for line in lines if line["event"].startswith("service.")] == [
        "service.started",
        "service.ready",
        "service.draining",
        "service.stopped",
    ]


async def test_a_second_port_shows_numbers_and_probes(start: Start, unused_tcp_port: int) -> None:
    """With `metrics_port` the numbers have a port of their own, and the probes have both."""
    service = await start(metrics_port=unused_tcp_port)

    found = {}
    for base in ("", f"http://127.0.0.1:{unused_tcp_port}"):
        for path in ("/healthz", "/readyz", "/metrics", "/v1/models"):
            async with service.client.get(base + path) as response:
                found[base == "", path] = response.status

    assert found == {
        (True, "/healthz"): 200,
        (True, "/readyz"): 200,
        (True, "/metrics"): 404,
        (True, "/v1/models"): 200,
        (False, "/healthz"): 200,
        (False, "/readyz"): 200,
        (False, "/metrics"): 200,
        (False, "/v1/models"): 404,
    }


async def test_a_store_that_fails_keeps_no_process(
    start: Start, sandbox: Sandbox, tmp_path: Path
) -> None:
    """What cannot be stored is in the log with its id, so that an operator finds what was bought."""
    service = await start()
    stored = await service.begin()
    async for _ in every(0.05):
        if (await service.job(stored))["attempts"]:
            break
    sandbox.faults.add("create:slow delay=1.5")
    await service.begin("a blue fox")
    await until(lambda: posts(sandbox) == 2)
    with closing(sqlite3.connect(tmp_path / "taxiway.db")) as other:
        other.execute("BEGIN IMMEDIATE")  # nobody else can write
        await service.told(within_s=LEAVE_S + 20)

    lines = [orjson.loads(line) for line in (tmp_path / "log").read_bytes().splitlines()]
    orphaned = [line for line in lines if line["event"] == "job.submission_orphaned"]
    assert [[*sandbox.tasks][1]] == [line["provider_task_id"] for line in orphaned]
    assert "job.lease_lost" not in {line["event"] for line in lines}
    assert lines[-1]["event"] == "service.stopped"
