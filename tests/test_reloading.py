"""A new configuration under load: SIGHUP, a changed file, a broken one. No job and no stream notices."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from tests.processes import Service, ask, caller, ended, events

from taxiway.cadence import every
from taxiway.sandbox import Sandbox, SandboxSettings

pytestmark = pytest.mark.looptime(False)

JOBS = 50


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway whose tasks take two seconds."""
    return SandboxSettings(pictures="plain", duration_s=2.0)


def configuration(sandbox: Sandbox, *names: str, slots: int = 10) -> str:
    """A configuration that serves some names at the sandbox, so many tasks of each at once."""
    entries = "".join(
        f"  - model_name: {name}\n"
        f"    litellm_params: {{model: runwayml/gen4_image, api_key: key, api_base: '{sandbox.url}',"
        f" max_parallel_requests: {slots}}}\n"
        for name in names
    )
    return f"model_list:\n{entries}"


@pytest.fixture
def file(tmp_path: Path, sandbox: Sandbox) -> Path:
    """The configuration file."""
    file = tmp_path / "config.yaml"
    file.write_text(configuration(sandbox, "image"))
    return file


def put(file: Path, text: str) -> None:
    """Change a file."""
    file.write_text(text)


@pytest.fixture
async def service(tmp_path: Path, file: Path, sandbox: Sandbox) -> AsyncIterator[Service]:
    """The service in a process of its own, with the file."""
    service = Service(
        folder=tmp_path, database=f"sqlite+aiosqlite:///{tmp_path}/jobs.db", runway=sandbox.url
    )
    service.command += ["--config", str(file)]
    await service.start()
    try:
        yield service
    finally:
        await service.kill()


async def models(client: aiohttp.ClientSession) -> list[str]:
    """The names on offer."""
    async with client.get("/v1/models") as response:
        return [model["id"] for model in (await response.json())["data"]]


async def said(service: Service, *events: str, times: int = 1) -> None:
    """Return when the log has so many lines of one of these events."""
    async with asyncio.timeout(20):
        async for _ in every(0.1, first_s=0.0):
            if sum(service.log().count(f'"event":"{event}"') for event in events) >= times:
                return


async def streamed(client: aiohttp.ClientSession, job_id: str) -> list[str]:
    """The ids of a job's recorded events, on one connection from the first to the last."""
    return [number async for _, number in events(client, job_id) if number]


async def test_fifty_jobs_and_streams_survive(
    service: Service, file: Path, sandbox: Sandbox
) -> None:
    """Names and limits change on SIGHUP and with the file, a broken file changes nothing, every job completes."""
    async with caller(service) as client:
        ids = [await ask(client, f"fox {number}", model="image") for number in range(JOBS)]
        streams = [asyncio.create_task(streamed(client, job_id)) for job_id in ids]

        put(file, configuration(sandbox, "image", "more", slots=20))
        service.send(signal.SIGHUP)
        await said(service, "config.reloaded")
        hung_up = await models(client)

        put(file, "model_lst: []\n")
        service.send(signal.SIGHUP)
        await said(service, "config.refused")
        broken = await models(client)

        put(file, configuration(sandbox, "image", slots=JOBS))
        await said(service, "config.reloaded", times=2)
        changed = await models(client)

        jobs = await asyncio.gather(*(ended(client, job_id) for job_id in ids))
        told = await asyncio.gather(*streams)

    assert (["image", "more"], ["image", "more"], ["image"]) == (hung_up, broken, changed)
    assert "model_lst is not a known key; did you mean model_list?" in service.log()
    assert {"completed"} == {job["status"] for job in jobs}
    assert JOBS == len(sandbox.tasks)
    # Every stream went on to the end of its job, and missed none of what came after it had begun.
    assert [job["revision"] for job in jobs] == [
        int(numbers[-1].rpartition("-")[2] or 0) for numbers in told
    ]
    assert all(numbers == sorted(set(numbers), key=numbers.index) for numbers in told)
    assert service.running
