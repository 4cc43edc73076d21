"""When the fault is ours: the store is away, or the code is wrong. The caller is told what is true."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import aiohttp
import pytest
from yarl import URL

from taxiway.errors import StoreError
from taxiway.events import Event
from taxiway.jobs import Job
from taxiway.protocols import JobQuery
from taxiway.sandbox import Sandbox
from taxiway.store.memory import MemoryStore

GENERATIONS = "/v1/images/generations"
ASK = {"model": "runwayml/gen4_image", "prompt": "a red fox"}


class FailingStore(MemoryStore):
    """A store that can be made to raise."""

    trouble: Exception | None = None

    async def create(self, event: Event, **options: Any) -> Any:
        """Keep a new job, or raise."""
        if self.trouble is not None:
            raise self.trouble
        return await super().create(event, **options)

    async def get(self, job_id: str) -> Job | None:
        """Return a job, or raise."""
        if self.trouble is not None:
            raise self.trouble
        return await super().get(job_id)

    async def list(self, query: JobQuery) -> Sequence[Job]:
        """Return jobs, or raise."""
        if self.trouble is not None:
            raise self.trouble
        return await super().list(query)


@pytest.fixture
async def store() -> AsyncIterator[FailingStore]:
    """A store that can be made to raise."""
    store = FailingStore()
    yield store
    await store.close()


async def test_without_the_store_no_job_is_taken(
    client: aiohttp.ClientSession, store: FailingStore, sandbox: Sandbox
) -> None:
    """A job that cannot be stored is not begun: 503, worth repeating, and Runway has not been called."""
    store.trouble = StoreError("The store is out of reach.")

    async with client.post(GENERATIONS, json=ASK) as response:
        error = (await response.json())["error"]

    assert (response.status, error["type"], error["code"]) == (
        503,
        "service_unavailable",
        "store_unavailable",
    )
    assert response.headers["x-should-retry"] == "true"
    assert response.headers["Retry-After"] == "5"
    assert "x-taxiway-job-id" not in response.headers
    assert len(sandbox.requests) == 0


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/job_1", "/v1/jobs/job_1/events"])
async def test_without_the_store_a_question_is_worth_repeating(
    client: aiohttp.ClientSession, store: FailingStore, path: str
) -> None:
    """A question that only the store can answer is 503 while it is away."""
    store.trouble = StoreError("The store is out of reach.")

    async with client.get(path) as response:
        error = (await response.json())["error"]

    assert (response.status, error["code"]) == (503, "store_unavailable")
    assert response.headers["x-should-retry"] == "true"


async def test_a_bug_is_a_500_that_tells_nothing(
    client: aiohttp.ClientSession,
    store: FailingStore,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """What nobody foresaw is a 500 in the usual shape; the traceback stays in the log."""
    store.trouble = ZeroDivisionError("canary")

    async with client.get("/v1/jobs") as response:
        body = await response.text()
        error = (await response.json())["error"]

    assert (response.status, error["type"], error["code"]) == (
        500,
        "internal_error",
        "internal_server_error",
    )
    assert "canary" not in body
    assert response.headers["x-should-retry"] == "false"
    broken = [line for line in log_lines() if line["event"] == "http.request.broken"]
    assert [line["http.route"] for line in broken] == ["/v1/jobs"]
    assert "canary" in str(broken[0]["exception"])


async def test_a_caller_who_leaves_while_sending_harms_nobody(
    client: aiohttp.ClientSession,
    url: str,
    sandbox: Sandbox,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """A body that breaks off is no job, no error of ours, and no trouble for the next caller."""
    address = URL(url)
    _, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(
        f"POST {GENERATIONS} HTTP/1.1\r\nHost: taxiway\r\nContent-Type: application/json\r\n"
        'Content-Length: 1000\r\n\r\n{"model": '.encode()
    )
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    await asyncio.sleep(0.1)

    async with client.get("/v1/jobs") as response:
        jobs = (await response.json())["data"]

    assert jobs == []
    assert len(sandbox.requests) == 0
    assert not [line for line in log_lines() if line["level"] == "error"]


async def test_a_caller_who_sends_nothing_is_given_up(url: str) -> None:
    """A body that does not come is not waited for for ever."""
    address = URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(
        f"POST {GENERATIONS} HTTP/1.1\r\nHost: taxiway\r\nContent-Type: application/json\r\n"
        "Content-Length: 1000\r\n\r\n".encode()
    )

    line = await reader.readline()

    writer.close()
    assert line == b"HTTP/1.1 400 Bad Request\r\n"
