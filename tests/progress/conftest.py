"""Somebody who watches a job."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.progress.wire import Wire

from taxiway.jobs import Job
from taxiway.metrics import Metrics


@pytest.fixture
async def watch(url: str) -> AsyncIterator[Callable[..., Any]]:
    """Opens streams of a job's events, and hangs up when the test is over."""
    wires = []

    async def open_stream(job: Job | str, query: str = "", **options: Any) -> Wire:
        job_id = job if isinstance(job, str) else job.id
        wire = await Wire.get(url, f"/v1/jobs/{job_id}/events{query}", **options)
        wires.append(wire)
        return wire

    yield open_stream
    for wire in wires:
        wire.leave()


@pytest.fixture
def counted(metrics: Metrics) -> Callable[[str], dict[str, float]]:
    """Reads the counters of streams that are not zero: the last label's value, and the number."""

    def read(family: str) -> dict[str, float]:
        lines = metrics.render(None)[0].decode().splitlines()
        pattern = re.compile(rf'taxiway_sse_{family}(?:\{{\w+="([^"]*)"\}})? ([0-9.e+]+)')
        found = [match.groups() for line in lines if (match := pattern.fullmatch(line))]
        return {label or "": float(value) for label, value in found if float(value)}

    return read
