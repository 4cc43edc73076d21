"""How a stream ends without an image."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import aiohttp
import openai
import pytest
from tests.image_stream.reading import ASK, GENERATIONS, creates, events_of, frames_of, made_by

from taxiway.journal import Journal
from taxiway.sandbox import Sandbox


@pytest.mark.parametrize(
    ("step", "code"),
    [
        pytest.param("fail:SAFETY.INPUT.TEXT", "content_policy_violation", id="moderation"),
        pytest.param("fail:ASSET.INVALID", "invalid_image", id="a bad reference"),
        pytest.param("cancelled", "provider_cancelled", id="cancelled at the provider"),
        pytest.param("outputs:none", "provider_empty_output", id="no image"),
        pytest.param("create:cut", "submission_unknown", id="a lost submission"),
        pytest.param("create:400", "provider_rejected", id="refused by the provider"),
    ],
)
async def test_a_failure_is_raised_by_the_official_client(
    sdk: openai.AsyncOpenAI, sandbox: Sandbox, step: str, code: str
) -> None:
    """The last frame of a failed job is an error that names the job, and nothing is bought again."""
    sandbox.will(step)

    with pytest.raises(openai.APIError) as raised:
        await events_of(sdk)

    body = raised.value.body
    assert isinstance(body, dict)
    assert code == body["code"] == raised.value.code
    assert re.fullmatch("job_[0-9a-f]{32}", body["job_id"])
    assert 1 == creates(sandbox)


async def test_a_deadline_ends_the_stream_with_an_error(
    sdk: openai.AsyncOpenAI, sandbox: Sandbox
) -> None:
    """A task that never ends is stopped at the job's deadline, and the stream says so."""
    sandbox.will("stuck:RUNNING")

    with pytest.raises(openai.APIError) as raised:
        await events_of(sdk, extra_body={"timeout": 30})

    assert "job_timeout" == raised.value.code


async def test_what_is_refused_before_there_is_a_job_is_an_ordinary_answer(
    sdk: openai.AsyncOpenAI,
) -> None:
    """Until there is a job there is no stream: the client raises the class that fits the status."""
    with pytest.raises(openai.BadRequestError) as raised:
        await events_of(sdk, size="7x7")

    assert "size" == raised.value.param


async def test_a_cancelled_job_ends_the_stream_with_an_error(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Somebody else's cancellation is told to the caller who waits."""
    async with client.post(GENERATIONS, json={**ASK, "stream": True}) as response:
        job_id = response.headers["x-taxiway-job-id"]
        await asyncio.sleep(3)
        async with client.post(f"/v1/jobs/{job_id}/cancel"):
            *_, (name, data) = await frames_of(response)

    assert ("error", "job_cancelled", job_id) == (
        name,
        data["error"]["code"],
        data["error"]["job_id"],
    )


async def test_a_fault_of_ours_is_an_error_too(
    journal: Journal,
    client: aiohttp.ClientSession,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """Whatever breaks, the stream ends with an error, and the log says what it was."""
    job = await made_by(journal, attempt=7)  # there is no such attempt

    async with client.get(f"/join/{job.id}") as response:
        *_, (name, data) = await frames_of(response)

    (broken,) = [line for line in log_lines() if line["level"] == "error"]
    assert ("error", "internal_server_error") == (name, data["error"]["code"])
    assert "http.request.broken" == broken["event"]
    assert "IndexError" == broken["exception"][0]["exc_type"]
