"""OpenAI's official client, which must not notice that it speaks to somebody else."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import openai
import pytest

from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.settings import Secret, Settings

MODEL = "runwayml/gen4_image"
PROMPT = "a red fox in the snow"


@pytest.fixture
async def sdk(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client, pointed at the service."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any") as sdk:
        yield sdk


async def test_an_image_is_generated(sdk: openai.AsyncOpenAI) -> None:
    """The usual call returns an image, and what Taxiway adds can be read from the same object."""
    result: Any = await sdk.images.generate(model=MODEL, prompt=PROMPT, size="1024x1024")

    assert [image.url is not None for image in result.data] == [True]
    assert (result.size, result.output_format) == ("1024x1024", "png")
    assert result.usage.total_tokens == 0
    assert (result.cost_credits, result.cost_microusd) == (8, 80_000)
    assert result.job_id.startswith("job_")


async def test_an_image_is_generated_as_base64(sdk: openai.AsyncOpenAI) -> None:
    """`response_format="b64_json"` returns the bytes of a PNG."""
    result = await sdk.images.generate(model=MODEL, prompt=PROMPT, response_format="b64_json")

    assert result.data is not None
    assert base64.b64decode(result.data[0].b64_json or "").startswith(b"\x89PNG\r\n")


async def test_two_images_are_generated(sdk: openai.AsyncOpenAI) -> None:
    """`n=2` returns two images."""
    result = await sdk.images.generate(model=MODEL, prompt=PROMPT, n=2)

    assert result.data is not None
    assert len({image.url for image in result.data}) == 2


async def test_further_fields_go_into_extra_body(sdk: openai.AsyncOpenAI) -> None:
    """Taxiway's own fields and headers travel by the client's own means."""
    raw = await sdk.images.with_raw_response.generate(
        model=MODEL,
        prompt=PROMPT,
        extra_body={"seed": 7, "metadata": {"order": 17}},
        extra_headers={"Prefer": "respond-async"},
    )

    accepted: Any = raw.parse()
    assert (raw.status_code, accepted.data) == (202, None)
    assert accepted.metadata == {"order": 17}
    assert raw.headers["location"] == f"/v1/jobs/{accepted.id}"


async def test_a_stream_shows_the_way_to_the_image(sdk: openai.AsyncOpenAI) -> None:
    """`stream=True` yields progress and then the image, each known by its `type`."""
    stream: Any = await sdk.images.generate(model=MODEL, prompt=PROMPT, stream=True)
    events = [event async for event in stream]

    assert {event.type for event in events[:-1]} == {"image_generation.progress"}
    assert [event.progress for event in events[:-1]] == sorted(
        event.progress for event in events[:-1]
    )
    assert events[-1].type == "image_generation.completed"
    assert base64.b64decode(events[-1].b64_json).startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("script", "fields", "kind", "code"),
    [
        pytest.param("ok", {"model": "gpt-5"}, openai.NotFoundError, "model_not_found", id="404"),
        pytest.param("ok", {"size": "1x1"}, openai.BadRequestError, "invalid_size", id="400"),
        pytest.param(
            "fail:SAFETY.INPUT.TEXT",
            {},
            openai.BadRequestError,
            "content_policy_violation",
            id="moderation",
        ),
        pytest.param(
            "fail:INTERNAL; cost:full", {}, openai.InternalServerError, "provider_failed", id="502"
        ),
        pytest.param(
            "create:cut", {}, openai.InternalServerError, "submission_unknown", id="lost answer"
        ),
        pytest.param(
            "create:429 body=quota",
            {},
            openai.RateLimitError,
            "provider_quota_exceeded",
            id="daily quota",
        ),
        pytest.param(
            "slow:60",
            {"extra_body": {"timeout": 5}},
            openai.InternalServerError,
            "job_timeout",
            id="deadline",
        ),
    ],
)
async def test_errors_are_of_the_right_class_and_are_not_repeated(
    sdk: openai.AsyncOpenAI,
    sandbox: Sandbox,
    script: str,
    fields: dict[str, Any],
    kind: type[openai.APIStatusError],
    code: str,
) -> None:
    """The client raises the class it has for the case, after one attempt: a job is never bought twice."""
    sandbox.will(script, *["ok"] * 3)

    with pytest.raises(kind) as caught:
        await sdk.images.generate(**{"model": MODEL, "prompt": PROMPT, **fields})

    assert caught.value.code == code
    assert sum(sandbox.creates_by_prompt.values()) <= 1
    assert caught.value.request_id == caught.value.response.headers["x-litellm-call-id"]


class TestWithAKey:
    """A service with a master key."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with a master key."""
        return replace(settings, master_key=Secret("sk-right"))

    async def test_a_wrong_key_is_an_authentication_error(self, sdk: openai.AsyncOpenAI) -> None:
        """The client raises `AuthenticationError`, and has not tried again."""
        with pytest.raises(openai.AuthenticationError) as caught:
            await sdk.images.generate(model=MODEL, prompt=PROMPT)

        assert caught.value.code == "invalid_api_key"


@pytest.mark.looptime(False)
class TestTheSynchronousClient:
    """The synchronous client, in a thread and in real time."""

    @pytest.fixture
    def sandbox_settings(self) -> SandboxSettings:
        """A Runway that needs half a second."""
        return SandboxSettings(duration_s=0.4, queue_s=0.1, pictures="plain")

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with a look every fifth of a second."""
        return replace(settings, poll_interval_s=0.2)

    async def test_the_synchronous_client_works_too(self, url: str) -> None:
        """A plain call and a stream return the image to a program without an event loop."""

        def use() -> tuple[int, list[str]]:
            with openai.OpenAI(base_url=f"{url}/v1", api_key="any") as sdk:
                result = sdk.images.generate(model=MODEL, prompt=PROMPT)
                with sdk.images.generate(model=MODEL, prompt=PROMPT, stream=True) as stream:
                    types = [event.type for event in stream]
            return len(result.data or ()), types

        images, types = await asyncio.to_thread(use)

        assert images == 1
        assert types[-1] == "image_generation.completed"


class TestAzure:
    """OpenAI's client for Azure, which puts the model into the address and the key into `api-key`."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with a master key."""
        return replace(settings, master_key=Secret("sk-right"))

    async def test_the_client_for_azure_works_too(
        self, url: str, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        """The Azure client gets its image through the address it makes up from the model."""
        async with openai.AsyncAzureOpenAI(
            azure_endpoint=url, api_key="sk-right", api_version="2024-10-21"
        ) as sdk:
            result = await sdk.images.generate(model="gen4", prompt=PROMPT)

        routes = {line.get("http.route") for line in log_lines()}
        assert len(result.data or ()) == 1
        assert "/openai/deployments/{model}/images/generations" in routes
