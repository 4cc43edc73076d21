"""The bytes of the image: large ones, lost ones, and others in their place."""

import base64
from collections.abc import Callable

import aiohttp
import openai
import orjson
import pytest
from tests.image_stream.reading import ASK, GENERATIONS, creates, events_of, fetched

from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server.base64_images import PIECE_BYTES


async def test_an_image_that_cannot_be_fetched_is_announced_all_the_same(
    sdk: openai.AsyncOpenAI, sandbox: Sandbox
) -> None:
    """It is paid for: `b64_json` is null, and the address and the job say where it is."""
    sandbox.will("output:503")

    *_, last = await events_of(sdk)

    assert ("image_generation.completed", None) == (last.type, last.b64_json)
    assert (True, 8) == (last.url.startswith(sandbox.url), last.cost["credits"])


async def test_a_page_in_place_of_an_image_is_no_image(
    sdk: openai.AsyncOpenAI, sandbox: Sandbox
) -> None:
    """A host that answers 200 with a page to sign in at does not get it passed off as a picture."""
    sandbox.will("outputs:html")

    *_, last = await events_of(sdk)

    assert ("image_generation.completed", None) == (last.type, last.b64_json)


async def test_a_host_that_is_down_for_a_moment_costs_a_moment(
    sdk: openai.AsyncOpenAI, client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Fetching is repeated before it is given up."""
    sandbox.will("output:503 times=2")

    *_, last = await events_of(sdk)

    assert await fetched(client, last.url) == base64.b64decode(last.b64_json)


class TestRealPictures:
    """With pictures of some size, so that they come in many pieces."""

    @pytest.fixture
    def sandbox_settings(self) -> SandboxSettings:
        """A Runway that draws."""
        return SandboxSettings(pictures="scene")

    async def test_a_large_image_arrives_whole(
        self, sdk: openai.AsyncOpenAI, client: aiohttp.ClientSession
    ) -> None:
        """Base64 in pieces of 64 KiB is the base64 of the whole."""
        *_, last = await events_of(sdk)

        image = base64.b64decode(last.b64_json)
        assert len(image) > 4 * PIECE_BYTES
        assert await fetched(client, last.url) == image

    async def test_a_download_that_breaks_off_is_taken_up_where_it_was(
        self, sdk: openai.AsyncOpenAI, client: aiohttp.ClientSession, sandbox: Sandbox
    ) -> None:
        """Half an image is out when its host hangs up: the rest follows, and the bytes are those of one file."""
        sandbox.will("output:half times=2")

        *_, last = await events_of(sdk)

        assert await fetched(client, last.url) == base64.b64decode(last.b64_json)

    async def test_a_download_that_fails_for_good_half_way_is_a_broken_connection(
        self,
        sdk: openai.AsyncOpenAI,
        client: aiohttp.ClientSession,
        sandbox: Sandbox,
        counted: Callable[[str], dict[str, float]],
    ) -> None:
        """Half a frame cannot be completed, so it is not ended as if it were; the image is at its job."""
        sandbox.will("output:half")

        with pytest.raises(openai.APIConnectionError):
            await events_of(sdk)

        async with client.get("/v1/jobs") as response:
            (job,) = (await response.json())["data"]
        assert ("completed", 1) == (job["status"], len(job["images"]))
        assert {"error": 1} == counted("streams_closed_total")
        assert 1 == creates(sandbox)

    @pytest.mark.parametrize("step", ["ok", "output:half times=1"])
    async def test_a_plain_answer_in_base64_says_how_long_it_is(
        self, client: aiohttp.ClientSession, sandbox: Sandbox, step: str
    ) -> None:
        """The body of base64 is sent in pieces too, under a length that is computed beforehand."""
        sandbox.will(step)

        async with client.post(
            GENERATIONS, json={**ASK, "response_format": "b64_json"}
        ) as response:
            body = await response.read()

        (image,) = orjson.loads(body)["data"]
        assert len(body) == int(response.headers["Content-Length"])
        assert await fetched(client, image["url"]) == base64.b64decode(image["b64_json"])

    async def test_a_plain_answer_that_cannot_be_completed_is_a_broken_connection(
        self, client: aiohttp.ClientSession, sandbox: Sandbox
    ) -> None:
        """A body that ends too early does not look complete."""
        sandbox.will("output:half")

        async with client.post(
            GENERATIONS, json={**ASK, "response_format": "b64_json"}
        ) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()


async def test_a_plain_answer_has_null_for_an_image_that_cannot_be_fetched(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """One image of two that cannot be had keeps its place and its address."""
    sandbox.will("output:503 skip=1")
    ask = {**ASK, "model": "runwayml/gpt_image_2", "n": 2, "size": "1024x1024", "quality": "low"}

    async with client.post(GENERATIONS, json={**ask, "response_format": "b64_json"}) as response:
        document = await response.json()

    missing = [image["b64_json"] is None for image in document["data"]]
    assert [False, True] == sorted(missing)
    assert all(image["url"].startswith(sandbox.url) for image in document["data"])
