"""A real collector: one that hears, one that is down, and one that does not answer."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from tests.collectors import Collector, collecting
from tests.processes import Service, ask, caller, ended
from tests.tracing.spans import (
    CANARY,
    SPAN,
    TRACE,
)

from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.tracing.spans import CLOSE_S


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """A collector that takes OTLP over HTTP."""
    async with collecting() as collector:
        yield collector


async def served(
    folder: Path, *, runway: str, trace: str = f"00-{TRACE}-{SPAN}-01", **environ: str
) -> tuple[str, str]:
    """Let a service of its own make one image, and leave; return the job's id and the log."""
    service = Service(
        folder=folder, database=f"sqlite:///{folder}/jobs.db", runway=runway, environ=environ
    )
    await service.start()
    try:
        async with caller(service) as session:
            job_id = await ask(session, CANARY, headers={"traceparent": trace})
            await ended(session, job_id)
        assert await service.kill(signal.SIGTERM) == 0
    finally:
        await service.kill()
    return job_id, service.log()


@pytest.mark.looptime(False)
class TestWithACollector:
    """A service of its own, and a collector that listens, or does not.

    The library has a thread that sends; in processes of their own it draws from nobody's random numbers.
    """

    @pytest.fixture
    def sandbox_settings(self) -> SandboxSettings:
        """A Runway that is done at once."""
        return SandboxSettings(pictures="plain", time_scale=20)

    async def test_the_spans_of_a_job_reach_it(
        self, collector: Collector, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        """A job that came in at the front door is in its caller's trace when the process has left."""
        job_id, _ = await served(
            tmp_path, runway=sandbox.url, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url
        )
        job, task = collector.spans
        told = {each.key: each.value.string_value for each in job.attributes}

        assert (job.name, task.name) == ("generate_content runwayml/gen4_image", "task gen4_image")
        assert (job.trace_id.hex(), task.trace_id.hex()) == (TRACE, TRACE)
        assert (job.parent_span_id.hex(), task.parent_span_id) == (SPAN, job.span_id)
        assert (told["taxiway.job.id"], told["server.address"]) == (job_id, "127.0.0.1")
        assert not [body for body in collector.bodies if CANARY.encode() in body]

    async def test_nothing_is_sent_unasked(
        self, collector: Collector, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        """Without the variables nobody is told, and what the caller does not record is not told either."""
        await served(tmp_path, runway=sandbox.url)
        await served(
            tmp_path,
            runway=sandbox.url,
            trace=f"00-{TRACE}-{SPAN}-00",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        )

        assert collector.bodies == []

    async def test_a_collector_that_is_down_harms_no_job(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        """The image is made, the process leaves in time, and the log says that traces were lost."""
        _, log = await served(
            tmp_path, runway=sandbox.url, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"
        )
        events = [orjson.loads(line) for line in log.splitlines()]
        said = [each["message"] for each in events if each["event"] == "library.message"]

        assert events[-1]["event"] == "service.stopped"
        assert any("/v1/traces" in each for each in said), said

    async def test_what_it_cannot_do_stops_the_service(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        """A variable that asks for another protocol is one sentence, and the service does not start without it."""
        service = Service(
            folder=tmp_path,
            database="memory://",
            runway=sandbox.url,
            environ={
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
        )
        await service.begin()

        assert await service.gone() == 1
        assert service.log().endswith(
            "Error: OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'; Taxiway takes http/protobuf.\n"
        )


SILENT = """
import asyncio, os, time
from taxiway.tracing import open_tracing
from tests.tracing.spans import DEPLOYMENTS, delivered, submitted, submitting, traced

async def leave():
    tracing = open_tracing(os.environ, deployment=DEPLOYMENTS.get, version="1")
    traced(tracing, submitting(), submitted(), delivered())
    began_s = time.monotonic()
    await tracing.close()
    print(time.monotonic() - began_s)

asyncio.run(leave())
"""


def test_a_collector_that_does_not_answer_keeps_nobody() -> None:
    """A collector that takes the connection and says nothing delays the way out by a second, not more."""
    # In a process of its own: the library's thread goes on trying, and draws from everybody's random numbers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-c", SILENT],
            env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert (done.returncode, done.stderr) == (0, "")
    # The library's own patience with a collector is ten seconds; a slow machine's time is its own.
    assert CLOSE_S - 0.5 < float(done.stdout) < CLOSE_S + 6
