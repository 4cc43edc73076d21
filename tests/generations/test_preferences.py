"""`Prefer`: how long a caller wants to wait, and what it gets then."""

import asyncio

import aiohttp
import pytest
from tests.generations.asking import ask, creates, ended

from taxiway.sandbox import Sandbox
from taxiway.server.preferences import Preferences, read_preferences


async def test_respond_async_answers_before_runway_has_been_called(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Asking with `Prefer: respond-async` answers 202 with the job and its address, and nobody waits."""
    status, document, headers = await ask(client, prefer="respond-async")

    assert (status, document["object"], document["status"]) == (
        202,
        "image.generation.job",
        "queued",
    )
    assert headers["Location"] == f"/v1/jobs/{document['id']}"
    assert headers["Preference-Applied"] == "respond-async"
    assert headers["Retry-After"] == "2"
    assert headers["x-taxiway-job-id"] == document["id"]
    assert "x-litellm-response-cost" not in headers
    assert (await ended(client, headers["Location"]))["status"] == "completed"
    assert creates(sandbox) == 1


async def test_wait_answers_with_the_image_when_it_is_there_in_time(
    client: aiohttp.ClientSession,
) -> None:
    """`Prefer: wait=N` answers 200 with the image when it is there within N seconds."""
    status, document, headers = await ask(client, prefer="wait=30")

    assert (status, len(document["data"])) == (200, 1)
    assert headers["Preference-Applied"] == "wait=30"


@pytest.mark.parametrize(
    "prefer",
    [
        pytest.param("wait=3", id="wait"),
        pytest.param("respond-async, wait=3", id="with respond-async"),
    ],
)
async def test_wait_answers_with_the_job_when_the_time_is_up(
    client: aiohttp.ClientSession, prefer: str
) -> None:
    """`Prefer: wait=N` answers 202 with the job, as it stands after N seconds."""
    began_s = asyncio.get_running_loop().time()

    status, document, headers = await ask(client, prefer=prefer)

    waited_s = asyncio.get_running_loop().time() - began_s
    assert (status, document["status"]) == (202, "in_progress")
    assert waited_s == pytest.approx(3, abs=0.2)
    assert headers["Preference-Applied"] == "wait=3"
    assert headers["Location"] == f"/v1/jobs/{document['id']}"


async def test_wait_is_cut_to_the_deadline(client: aiohttp.ClientSession) -> None:
    """A wait beyond the job's deadline is cut to it, and the answer says to what."""
    _, _, headers = await ask(client, prefer="wait=100000", timeout=400)

    assert headers["Preference-Applied"] == "wait=400"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param([], Preferences(), id="none"),
        pytest.param(["respond-async"], Preferences(respond_async=True), id="async"),
        pytest.param(["Respond-Async"], Preferences(respond_async=True), id="any case"),
        pytest.param(["wait=5"], Preferences(wait_s=5), id="wait"),
        pytest.param(['wait="5"'], Preferences(wait_s=5), id="quoted"),
        pytest.param(["wait = 5"], Preferences(wait_s=5), id="spaces"),
        pytest.param(
            ["respond-async, wait=5"], Preferences(respond_async=True, wait_s=5), id="both"
        ),
        pytest.param(
            ["respond-async", "wait=5"],
            Preferences(respond_async=True, wait_s=5),
            id="two headers",
        ),
        pytest.param(["wait=5, wait=9"], Preferences(wait_s=5), id="the first counts"),
        pytest.param(["wait=5; x=1, foo=bar"], Preferences(wait_s=5), id="parameters, others"),
        pytest.param(["wait=-5"], Preferences(), id="negative"),
        pytest.param(["wait=soon"], Preferences(), id="no number"),
        pytest.param(["wait=1.5"], Preferences(), id="a fraction"),
        pytest.param(["wait=" + "9" * 50], Preferences(), id="too long a number"),
        pytest.param(["wait"], Preferences(), id="no value"),
        pytest.param([",;=\"'", "respond async"], Preferences(), id="rubbish"),
    ],
)
def test_a_preference_that_cannot_be_read_is_ignored(
    headers: list[str], expected: Preferences
) -> None:
    """`Prefer` is read as RFC 7240 has it, and what cannot be read changes nothing."""
    assert read_preferences(headers) == expected
