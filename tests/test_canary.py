"""What must not get out does not: a prompt and four keys are looked for wherever operators and callers look.

They go through successes, refusals, failures that quote them, and mistakes of callers; the log is at its most
talkative, and a collector takes the traces.
"""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from tests.collectors import collecting
from tests.processes import Service, caller

from taxiway.sandbox import Outcome, Sandbox, SandboxSettings
from taxiway.server.running import listening
from taxiway.settings import Secret, Settings

pytestmark = pytest.mark.looptime(False)

WORD = "canary"
PROMPT = f"a {WORD} in a coal mine"
MASTER_KEY = f"sk-{WORD}-master"
RUNWAY_KEY = f"key_{WORD}" + "0" * 122
WRONG_KEY = f"sk-{WORD}-wrong"

#: How Runway may fail, its own words quoting the prompt.
FAILURES = (
    Outcome(fail="SAFETY.INPUT.TEXT", failure=f"The prompt {PROMPT!r} was refused."),
    Outcome(fail="INTERNAL.BAD_OUTPUT.CODE01", failure=f"No image of {PROMPT}."),
    Outcome(fail="ASSET.INVALID", failure=f"Bearer {RUNWAY_KEY}: {PROMPT}"),
)


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway that is done within a third of a second."""
    return SandboxSettings(pictures="plain", time_scale=20)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings, with keys that must not be seen."""
    deployments = tuple(
        replace(each, api_key=Secret(RUNWAY_KEY), num_retries=0) for each in settings.deployments
    )
    return replace(
        settings, deployments=deployments, master_key=Secret(MASTER_KEY), poll_interval_s=0.2
    )


async def ask(client: aiohttp.ClientSession, **body: Any) -> tuple[int, bytes]:
    """Ask for an image; return how it was answered, without the job's own prompt."""
    body = {"model": "gen4", "prompt": PROMPT, **body}
    headers = {"Authorization": f"Bearer {MASTER_KEY}"}
    async with client.post("/v1/images/generations", json=body, headers=headers) as response:
        return response.status, await response.read()


async def test_a_canary_is_nowhere(
    app: web.Application,
    sandbox: Sandbox,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """Not in the log, the numbers, nor in the answer of anything that went wrong."""
    async with (
        listening(app, host="127.0.0.1", port=0) as url,
        aiohttp.ClientSession(url) as client,
    ):
        good, _ = await ask(client)
        failed = []
        for failure in FAILURES:
            sandbox.will(failure)
            failed.append(await ask(client))
        sandbox.faults.add("create:401 times=1")
        failed.append(await ask(client))
        failed.append(await ask(client, size="7x7"))
        failed.append(await ask(client, seed=PROMPT))
        wrong = {"Authorization": f"Bearer {WRONG_KEY}", "x-api-key": WRONG_KEY}
        async with client.get(f"/v1/jobs?after={WRONG_KEY}", headers=wrong) as response:
            failed.append((response.status, await response.read()))
        async with client.get("/metrics", headers=wrong) as response:
            numbers = await response.text()
        await asyncio.sleep(0.1)
    lines = log_lines()

    assert good == 200
    assert [status for status, _ in failed] == [400, 502, 400, 502, 400, 400, 401]
    assert [body for _, body in failed if WORD.encode() in body] == []
    assert [line for line in lines if WORD in orjson.dumps(line).decode()] == []
    assert {"job.completed", "job.failed", "http.request.completed"} <= {
        line["event"] for line in lines
    }
    assert "taxiway_jobs_finished_total" in numbers
    assert WORD not in numbers


async def test_a_canary_is_in_no_trace(sandbox: Sandbox, tmp_path: Path) -> None:
    """Nor is it in what a collector is told of jobs that went well and of jobs that did not."""
    async with collecting() as collector:
        service = Service(
            folder=tmp_path,
            database="memory://",
            runway=sandbox.url,
            master_key=MASTER_KEY,
            num_retries=0,
            log_level="debug",
            environ={
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                "RUNWAYML_API_SECRET": RUNWAY_KEY,
            },
        )
        await service.start()
        try:
            async with caller(service) as client:
                statuses = [(await ask(client, model="runwayml/gen4_image"))[0]]
                for failure in FAILURES:
                    sandbox.will(failure)
                    statuses.append((await ask(client, model="runwayml/gen4_image"))[0])
            assert await service.kill(signal.SIGTERM) == 0
        finally:
            await service.kill()
    jobs = [span for span in collector.spans if span.name.startswith("generate_content")]

    assert statuses == [200, 400, 502, 400]
    assert len(jobs) == 4
    assert [body for body in collector.bodies if WORD.encode() in body] == []
    assert WORD not in service.log()
