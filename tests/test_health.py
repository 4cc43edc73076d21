"""The probes, the numbers, and the line in the log: what operators see of the service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from taxiway.errors import StoreError
from taxiway.sandbox import Sandbox
from taxiway.server.lifecycle import leave
from taxiway.server.store_watch import BACKLOG_PERIOD_S
from taxiway.server.watch import STORE_PATIENCE_S
from taxiway.settings import Settings
from taxiway.store.memory import MemoryStore

ASK = {"model": "runwayml/gen4_image", "prompt": "a red fox"}


class MoodyStore(MemoryStore):
    """A store that can be out of reach: it refuses, or never answers."""

    mood = "well"

    async def ping(self) -> None:
        """Answer by mood."""
        if self.mood == "refuses":
            raise StoreError("The store is out of reach.")
        if self.mood == "hangs":
            await asyncio.Event().wait()


@pytest.fixture
async def store() -> AsyncIterator[MoodyStore]:
    """A store whose mood can change."""
    store = MoodyStore()
    yield store
    await store.close()


async def get(client: aiohttp.ClientSession, path: str) -> tuple[int, Any]:
    """Return the status and the document at a path."""
    async with client.get(path) as response:
        return response.status, await response.json()


async def text(client: aiohttp.ClientSession, path: str, **headers: str) -> str:
    """Return what stands at a path."""
    async with client.get(path, headers=headers) as response:
        return await response.text()


async def test_a_fresh_service_is_alive_and_ready(client: aiohttp.ClientSession) -> None:
    """As soon as the port is open, both probes answer 200."""
    assert await get(client, "/healthz") == (200, {"status": "ok"})
    assert await get(client, "/readyz") == (200, {"status": "ready", "reasons": []})


async def test_the_probes_answer_head(client: aiohttp.ClientSession) -> None:
    """A load balancer that asks with HEAD is answered too."""
    async with client.head("/readyz") as response:
        body = await response.read()

    assert (response.status, body) == (200, b"")


@pytest.mark.parametrize("mood", ["refuses", "hangs"])
async def test_without_the_store_the_service_is_alive_but_not_ready(
    client: aiohttp.ClientSession, store: MoodyStore, mood: str
) -> None:
    """A store that does not answer takes the service out of the balancer, and does not get it killed."""
    store.mood = mood
    await asyncio.sleep(STORE_PATIENCE_S + 2)

    assert await get(client, "/healthz") == (200, {"status": "ok"})
    assert await get(client, "/readyz") == (
        503,
        {"status": "not_ready", "reasons": ["store_unavailable"]},
    )


async def test_one_slow_answer_of_the_store_is_forgiven(
    client: aiohttp.ClientSession, store: MoodyStore
) -> None:
    """A store that is away for three seconds goes unnoticed; one that comes back makes the service ready."""
    store.mood = "refuses"
    await asyncio.sleep(3)
    still = await get(client, "/readyz")
    await asyncio.sleep(STORE_PATIENCE_S)
    gone, _ = await get(client, "/readyz")
    store.mood = "well"
    await asyncio.sleep(3)
    back, _ = await get(client, "/readyz")

    assert (still[0], gone, back) == (200, 503, 200)


async def test_a_service_that_leaves_is_not_ready(
    client: aiohttp.ClientSession, app: web.Application
) -> None:
    """A draining service says so, and refuses new jobs in a way that clients repeat elsewhere."""
    await leave(app)

    ready = await get(client, "/readyz")
    async with client.post("/v1/images/generations", json=ASK) as response:
        document = await response.json()

    assert ready == (503, {"status": "not_ready", "reasons": ["draining"]})
    assert (response.status, document["error"]["code"]) == (503, "draining")
    assert response.headers["x-should-retry"] == "true"
    assert response.headers["Retry-After"] == "2"
    assert response.headers["Connection"] == "close"


@pytest.mark.parametrize("name", ["loop", "store", "sweep"])
async def test_a_service_whose_watch_has_ended_is_not_alive(
    client: aiohttp.ClientSession, name: str
) -> None:
    """When a task that must run as long as the process has ended, liveness fails and names it."""
    for task in asyncio.all_tasks():
        if task.get_name() == f"watch:{name}":
            task.cancel()
    await asyncio.sleep(0)

    assert await get(client, "/healthz") == (503, {"status": "broken", "reasons": [name]})


async def test_the_numbers_show_store_and_account(client: aiohttp.ClientSession) -> None:
    """What waits in the store and what is left on the account is looked at in the background, and shown."""
    await asyncio.sleep(BACKLOG_PERIOD_S - 4)
    asynchronous = {"Prefer": "respond-async"}
    async with client.post("/v1/images/generations", json=ASK, headers=asynchronous) as response:
        assert response.status == 202
    await asyncio.sleep(5)
    page = await text(client, "/metrics")

    assert 'taxiway_store_jobs{phase="running"} 1.0' in page
    assert 'taxiway_upstream_credits_balance{account="runwayml-1"}' in page


async def test_the_numbers_count_what_happened(client: aiohttp.ClientSession) -> None:
    """`/metrics` shows requests by the template of their address, and never by what a caller wrote."""
    async with client.post("/v1/images/generations", json=ASK) as response:
        assert response.status == 200
    async with client.post("/v1/images/generations", json={}) as response:
        assert response.status == 400
    await get(client, "/v1/jobs/job_canary")
    await get(client, "/v1/canary")

    page = await text(client, "/metrics")

    counted = 'taxiway_http_requests_total{code="%s",method="%s",route="%s"} 1.0'
    assert counted % (200, "POST", "/v1/images/generations") in page
    assert counted % (400, "POST", "/v1/images/generations") in page
    assert counted % (404, "GET", "/v1/jobs/{id}") in page
    assert counted % (404, "GET", "other") in page
    assert 'taxiway_http_rejections_total{reason="validation"} 1.0' in page
    assert 'taxiway_jobs_submitted_total{model="runwayml/gen4_image"} 1.0' in page
    assert "canary" not in page


async def test_the_time_of_a_job_is_not_the_time_of_its_request(
    client: aiohttp.ClientSession,
) -> None:
    """A request that waits for an image is counted, and not timed: jobs have a histogram of their own."""
    async with client.post("/v1/images/generations", json=ASK) as response:
        assert response.status == 200

    page = await text(client, "/metrics")

    assert 'http_request_duration_seconds_count{method="POST"' not in page
    assert "taxiway_http_requests_in_progress 1.0" in page  # the scrape itself


async def test_the_numbers_speak_both_formats(client: aiohttp.ClientSession) -> None:
    """A scraper gets the format that it asks for."""
    async with client.get("/metrics") as plain:
        pass
    asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with client.get("/metrics", headers=asked) as open_metrics:
        body = await open_metrics.text()

    assert plain.content_type == "text/plain"
    assert open_metrics.content_type == "application/openmetrics-text"
    assert body.endswith("# EOF\n")


async def test_every_request_leaves_one_line(
    client: aiohttp.ClientSession, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """The log has one line per request, probes at debug, with the path but never the query."""
    await get(client, "/v1/jobs?after=canary")
    await get(client, "/healthz")

    lines = [line for line in log_lines() if line["event"] == "http.request.completed"]

    facts = ("level", "http.request.method", "http.route", "url.path")
    assert [tuple(line[fact] for fact in facts) for line in lines] == [
        ("info", "GET", "/v1/jobs", "/v1/jobs"),
        ("debug", "GET", "/healthz", "/healthz"),
    ]
    assert lines[0]["http.response.status_code"] == 400
    assert "canary" not in str(lines)


async def test_the_lines_of_a_request_and_of_its_job_can_be_joined(
    client: aiohttp.ClientSession, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """The request's line names the job, and the job's line names the request."""
    headers = {"x-litellm-call-id": "call-17"}
    async with client.post("/v1/images/generations", json=ASK, headers=headers) as response:
        job_id = response.headers["x-taxiway-job-id"]

    named = {
        line["event"]: (line["request_id"], line["job_id"])
        for line in log_lines()
        if line["event"] in ("http.request.completed", "job.accepted", "job.completed")
    }

    assert named == dict.fromkeys(
        ("job.accepted", "job.completed", "http.request.completed"), ("call-17", job_id)
    )


class TestWithAPortForNumbers:
    """A service that shows its numbers on a second port."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with a second port."""
        return replace(settings, metrics_port=9100)

    async def test_the_numbers_are_not_on_the_first(
        self, client: aiohttp.ClientSession, sandbox: Sandbox
    ) -> None:
        """The public port keeps the probes, and does not show the numbers."""
        probes = [(await get(client, path))[0] for path in ("/healthz", "/readyz", "/metrics")]

        assert probes == [200, 200, 404]
