"""The caller leaves, or the service does."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import aiohttp
import openai
import pytest
from aiohttp import web
from tests.image_stream.reading import ASK, GENERATIONS, events_of, frames_of, jobs_of

from taxiway.jobs import JobStatus
from taxiway.journal import Journal
from taxiway.sandbox import Sandbox
from taxiway.settings import Settings


async def test_a_caller_who_hangs_up_does_not_stop_the_job(
    client: aiohttp.ClientSession, journal: Journal, sandbox: Sandbox
) -> None:
    """It was asked for and will be paid for: the image waits at its job."""
    async with client.post(GENERATIONS, json={**ASK, "stream": True}) as response:
        job_id = response.headers["x-taxiway-job-id"]
        await asyncio.sleep(2)

    job = await journal.ended(job_id)
    assert (JobStatus.COMPLETED, 1) == (job.status, len(job.images))


class TestCancelOnDisconnect:
    """With `on_disconnect: cancel`."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """A job is stopped when the caller who waits for it hangs up."""
        return replace(settings, on_disconnect="cancel")

    @pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
    async def test_a_caller_who_hangs_up_stops_the_job(
        self, client: aiohttp.ClientSession, journal: Journal, sandbox: Sandbox, stream: bool
    ) -> None:
        """Within a second the job is asked to stop, and Runway with it."""
        asking = asyncio.create_task(client.post(GENERATIONS, json={**ASK, "stream": stream}))
        await asyncio.sleep(3)
        if stream:
            (await asking).close()
        else:
            asking.cancel()

        await asyncio.sleep(1.2)
        (task,) = sandbox.tasks.values()
        (job,) = await jobs_of(client)
        assert ("cancelled", True) == (job["status"], task.deleted_at is not None)

    async def test_a_job_that_others_wait_for_goes_on(
        self, client: aiohttp.ClientSession, journal: Journal, sandbox: Sandbox
    ) -> None:
        """One caller of two hangs up: the other one gets the image."""
        async with client.post(GENERATIONS, json={**ASK, "stream": True}) as first:
            job_id = first.headers["x-taxiway-job-id"]
            joined = await client.get(f"/join/{job_id}")
            await asyncio.sleep(2)

        *_, (name, _) = await frames_of(joined)
        assert "image_generation.completed" == name

    async def test_a_caller_who_hangs_up_after_the_end_stops_nothing(
        self, client: aiohttp.ClientSession, journal: Journal
    ) -> None:
        """A finished job stays as it is."""
        async with client.post(GENERATIONS, json={**ASK, "stream": True}) as response:
            job_id = response.headers["x-taxiway-job-id"]
            await journal.ended(job_id)

        await asyncio.sleep(2)
        assert JobStatus.COMPLETED is (await journal.get(job_id)).status


class TestStopping:
    """With a `shutdown_budget_s` of ten seconds."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Callers who wait for an image may keep a stopping service for ten seconds."""
        return replace(settings, shutdown_budget_s=10)

    async def test_a_stopping_service_lets_streams_of_images_end(
        self, sdk: openai.AsyncOpenAI, app: web.Application
    ) -> None:
        """Who waits for an image that is ready within the shutdown budget gets it."""
        asking = asyncio.create_task(events_of(sdk))
        await asyncio.sleep(2)

        await app.shutdown()

        assert "image_generation.completed" == (await asking)[-1].type

    async def test_a_stopping_service_names_the_job_it_does_not_wait_for(
        self, sdk: openai.AsyncOpenAI, app: web.Application, sandbox: Sandbox
    ) -> None:
        """When the budget is spent the stream ends with an error that says where the outcome will be."""
        sandbox.will("slow:60")
        loop = asyncio.get_running_loop()
        asking = asyncio.create_task(events_of(sdk))
        await asyncio.sleep(2)

        told_at = loop.time()
        await app.shutdown()
        with pytest.raises(openai.APIError) as raised:
            await asking

        body = raised.value.body
        assert isinstance(body, dict)
        assert "draining" == raised.value.code
        assert f"/v1/jobs/{body['job_id']}" in raised.value.message
        assert 10 == pytest.approx(loop.time() - told_at, abs=1)


async def test_streams_of_images_are_counted(
    sdk: openai.AsyncOpenAI, counted: Callable[[str], dict[str, float]], sandbox: Sandbox
) -> None:
    """They are streams like others, with events of their own names."""
    events = await events_of(sdk)
    sandbox.will("fail:SAFETY.INPUT.TEXT")
    with pytest.raises(openai.APIError):
        await events_of(sdk)

    sent = counted("events_sent_total")
    assert {"completed": 2} == counted("streams_closed_total")
    assert (1, 1) == (sent["image_generation.completed"], sent["error"])
    assert sent["image_generation.progress"] >= len(events) - 1
