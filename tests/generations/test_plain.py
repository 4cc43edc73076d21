"""Ask, wait, and the image is there: `POST /v1/images/generations`."""

import base64

import aiohttp
import pytest
from tests.generations.asking import ASK, NO_USAGE, ask, creates, get

from taxiway.sandbox import Sandbox


async def test_a_plain_request_is_answered_when_the_image_is_there(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """A plain request blocks, and is answered with OpenAI's `ImagesResponse`, the job and its cost."""
    status, document, headers = await ask(client)

    job = await get(client, headers["Content-Location"])
    assert status == 200
    assert document == {
        "created": int(job["finished_at"]),
        "background": None,
        "data": [{"url": job["images"][0]["url"], "b64_json": None, "revised_prompt": None}],
        "output_format": "png",
        "quality": None,
        "size": "1920x1080",
        "usage": NO_USAGE,
        "job_id": job["id"],
        "cost_credits": 8,
        "cost_microusd": 80_000,
    }
    assert creates(sandbox) == 1


async def test_the_answer_says_how_many_retries_it_might_have_had(
    client: aiohttp.ClientSession,
) -> None:
    """What the request says of `num_retries` is what the header says."""
    _, _, headers = await ask(client, num_retries=0)

    assert "0" == headers["x-litellm-max-retries"]


async def test_every_answer_names_its_job_and_what_it_cost(client: aiohttp.ClientSession) -> None:
    """The headers of an answer name the job, the deployment that made it, the cost, and forbid a repeat."""
    _, document, headers = await ask(client)

    timed = ("x-litellm-response-duration-ms", "x-litellm-overhead-duration-ms")
    said = {name.lower(): value for name, value in headers.items()}
    job_id = document["job_id"]
    assert all(float(said[name]) >= 0 for name in timed)
    assert {name: said[name] for name in said if name.startswith("x-") and name not in timed} == {
        "x-taxiway-job-id": job_id,
        "x-should-retry": "false",
        "x-request-id": said["x-litellm-call-id"],
        "x-litellm-call-id": said["x-litellm-call-id"],
        "x-litellm-model-id": "gen4_image-1",
        "x-litellm-model-api-base": said["x-litellm-model-api-base"],
        "x-litellm-model-group": "runwayml/gen4_image",
        "x-litellm-response-cost": "0.08",
        "x-litellm-attempted-retries": "0",
        "x-litellm-attempted-fallbacks": "0",
        "x-litellm-max-retries": "2",
        "x-litellm-timeout": "600",
    }
    assert said["cache-control"] == "no-store"
    assert said["content-location"] == f"/v1/jobs/{job_id}"
    assert said["vary"] == "Prefer"


async def test_the_base_address_of_a_deployment_is_shown_without_its_path(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """The header about the vendor's address holds scheme and host, and nothing that could be a secret."""
    _, _, headers = await ask(client)

    assert headers["x-litellm-model-api-base"] == sandbox.url


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        pytest.param("/images/generations", ASK, id="without /v1"),
        pytest.param(
            "/openai/deployments/runwayml/gen4_image/images/generations",
            {"prompt": "a red fox"},
            id="Azure, the model in the address",
        ),
        pytest.param(
            "/openai/deployments/gen4/images/generations?api-version=2024-10-21",
            {"prompt": "a red fox", "model": "gen4"},
            id="Azure, an alias in both",
        ),
    ],
)
async def test_the_addresses_of_other_gateways_work(
    client: aiohttp.ClientSession, path: str, fields: dict[str, str]
) -> None:
    """Programs written for LiteLLM or Azure find the route where they look for it."""
    async with client.post(path, json=fields) as response:
        document = await response.json()

    assert response.status == 200
    assert len(document["data"]) == 1


async def test_images_can_come_as_base64(client: aiohttp.ClientSession) -> None:
    """`response_format: b64_json` brings the bytes of the image as the vendor made them."""
    status, document, headers = await ask(client, response_format="b64_json")

    async with client.get(document["data"][0]["url"]) as picture:
        expected = await picture.read()
    assert status == 200
    assert base64.b64decode(document["data"][0]["b64_json"]) == expected
    assert document["usage"] == NO_USAGE
    assert headers["x-taxiway-job-id"] == document["job_id"]
    assert int(headers["Content-Length"]) > len(expected)


async def test_several_images_of_a_model_that_makes_one_are_several_tasks(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """`n: 2` at a model that makes one image per task buys two tasks, and the answer holds both images."""
    _, document, headers = await ask(client, n=2)

    assert len({image["url"] for image in document["data"]}) == 2
    assert document["cost_credits"] == 16
    assert headers["x-litellm-response-cost"] == "0.16"
    assert creates(sandbox) == 2


async def test_several_images_of_a_model_that_makes_several_are_one_task(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """`n: 3` at a model that makes several images per task buys one task."""
    _, document, _ = await ask(client, model="runwayml/gpt_image_2", n=3, quality="low")

    assert len(document["data"]) == 3
    assert document["quality"] == "low"
    assert creates(sandbox) == 1


async def test_what_succeeded_is_delivered(client: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    """A request for two images of which one fails for good is answered 200 with the other."""
    sandbox.will("fail:SAFETY.OUTPUT.IMAGE", "ok")

    status, document, _ = await ask(client, n=2)

    assert status == 200
    assert len(document["data"]) == 1


async def test_fields_at_their_default_never_offend(client: aiohttp.ClientSession) -> None:
    """What OpenAI's clients send without meaning anything by it is taken by every model, null included."""
    status, _, headers = await ask(
        client,
        n=1,
        size="auto",
        quality="auto",
        style="vivid",
        response_format="url",
        output_format="png",
        output_compression=100,
        background="auto",
        moderation="auto",
        user="somebody",
        stream=False,
        partial_images=0,
        seed=None,
        reference_images=[],
        metadata={},
        timeout=None,
    )

    assert status == 200
    assert "x-taxiway-dropped-params" not in headers


async def test_metadata_stays_with_the_job(client: aiohttp.ClientSession) -> None:
    """The caller's metadata is kept with the job, and shown with it."""
    notes = {
        "order": 17,
        "express": True,
        "tags": ["fox", "snow"],
        "note": "für Käthe",
        "gone": None,
    }

    _, _, headers = await ask(client, prefer="respond-async", metadata=notes)

    assert (await get(client, headers["Location"]))["metadata"] == notes
