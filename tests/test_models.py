"""The models on offer."""

from dataclasses import replace
from typing import Any

import aiohttp
import openai
import pytest

from taxiway.settings import Settings


async def get(client: aiohttp.ClientSession, path: str) -> tuple[int, Any]:
    """Return the status and the document at a path."""
    async with client.get(path) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
async def test_models_are_listed_in_the_order_of_the_configuration(
    client: aiohttp.ClientSession, path: str
) -> None:
    """The list is OpenAI's, and holds every public name and every alias."""
    status, document = await get(client, path)

    assert (status, document["object"]) == (200, "list")
    assert [model["id"] for model in document["data"]] == [
        "runwayml/gen4_image",
        "runwayml/gpt_image_2",
        "runwayml/recraft_v4_1_vector",
        "gen4",
    ]
    assert {(model["object"], model["owned_by"]) for model in document["data"]} == {
        ("model", "runwayml")
    }


async def test_a_model_says_what_it_makes_and_costs(client: aiohttp.ClientSession) -> None:
    """A model is shown with its sizes, the price of each, its limits, and where it is made."""
    status, document = await get(client, "/v1/models/runwayml/gen4_image")

    assert status == 200
    assert {"size": "1920x1080", "cost_credits": 8, "cost_usd": 0.08} in document["sizes"]
    assert {"size": "1280x720", "cost_credits": 5, "cost_usd": 0.05} in document["sizes"]
    assert {name: document[name] for name in document if name not in ("sizes", "created")} == {
        "id": "runwayml/gen4_image",
        "object": "model",
        "owned_by": "runwayml",
        "known": True,
        "default_size": "1920x1080",
        "qualities": [],
        "prompt_max_chars": 1000,
        "reference_images_max": 3,
        "deployments": [
            {
                "id": "gen4_image-1",
                "provider": "runwayml",
                "model": "gen4_image",
                "order": None,
                "status": "ready",
                "reason": None,
                "until": None,
            }
        ],
    }


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/v1/models/runwayml/gen4_image", id="a slash"),
        pytest.param("/v1/models/runwayml%2Fgen4_image", id="an escaped slash"),
    ],
)
async def test_names_of_models_contain_slashes(client: aiohttp.ClientSession, path: str) -> None:
    """A model is found under its whole name, however its slash travels."""
    async with client.get(f"{client._base_url}".rstrip("/") + path) as response:
        document = await response.json()

    assert (response.status, document["id"]) == (200, "runwayml/gen4_image")


async def test_a_model_that_is_not_there_suggests_the_nearest(
    client: aiohttp.ClientSession,
) -> None:
    """An unknown model is 404 `model_not_found`, and the message names what was probably meant."""
    status, document = await get(client, "/v1/models/runwayml/gen4-image")

    assert (status, document["error"]["code"]) == (404, "model_not_found")
    assert "runwayml/gen4_image" in document["error"]["message"]


async def test_openais_own_client_reads_the_list(url: str) -> None:
    """The official SDK lists the models and finds one by its name."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any") as sdk:
        listed = [model.id async for model in sdk.models.list()]
        found = await sdk.models.retrieve("runwayml/gpt_image_2")

    assert listed[1] == found.id == "runwayml/gpt_image_2"
    assert isinstance(found.created, int)


class TestWithoutAKey:
    """A deployment whose key has not been configured."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The deployments, without their keys."""
        return replace(
            settings,
            deployments=tuple(replace(each, api_key=None) for each in settings.deployments),
        )

    async def test_a_deployment_without_a_key_says_so(self, client: aiohttp.ClientSession) -> None:
        """A model that cannot be bought yet is listed, and marked."""
        _, document = await get(client, "/v1/models/gen4")

        assert [each["status"] for each in document["deployments"]] == ["no_key"]
