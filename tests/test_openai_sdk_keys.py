"""OpenAI's official client with a virtual key: it meets its own classes of errors, and buys nothing twice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import openai
import pytest
from tests.holders import MASTER_KEY, Holder

from taxiway.sandbox import Sandbox
from taxiway.settings import Secret, Settings

MODEL = "runwayml/gen4_image"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A service with a master key."""
    return replace(settings, master_key=Secret(MASTER_KEY))


@pytest.fixture
def master(client: aiohttp.ClientSession) -> Holder:
    """Whoever has the master key."""
    return Holder(client, MASTER_KEY)


@asynccontextmanager
async def sdk(url: str, holder: Holder) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client with somebody's key, as it comes: it repeats what it thinks may be repeated."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=holder.key) as opened:
        yield opened


@pytest.mark.parametrize(
    ("fields", "kind", "code"),
    [
        ({"max_budget": 0.07}, openai.UnprocessableEntityError, "budget_exceeded"),
        ({"models": ["gen4"]}, openai.PermissionDeniedError, "key_model_access_denied"),
        ({"blocked": True}, openai.AuthenticationError, "key_blocked"),
    ],
)
async def test_a_refusal_is_of_the_clients_own_class(
    url: str,
    master: Holder,
    sandbox: Sandbox,
    fields: dict[str, object],
    kind: type[openai.APIStatusError],
    code: str,
) -> None:
    """Each is raised at the first answer: the client does not repeat it, and nothing is bought."""
    holder = await master.holder(**fields)
    model = "runwayml/gpt_image_2" if "models" in fields else MODEL
    async with sdk(url, holder) as client:
        with pytest.raises(kind) as raised:
            await client.images.generate(model=model, prompt="a fox")

    assert code == raised.value.code
    assert 0 == len(sandbox.requests)
    async with master.client.get("/metrics") as response:
        text = await response.text()
    status = raised.value.status_code
    asked = f'code="{status}",method="POST",route="/v1/images/generations"}} 1.0'
    assert asked in text


async def test_a_rate_is_waited_for(url: str, master: Holder, sandbox: Sandbox) -> None:
    """Over its rate the client waits for as long as it is told, and has its image without anybody's help."""
    holder = await master.holder(rpm_limit=1)
    async with sdk(url, holder) as client:
        for _ in range(2):
            result = await client.images.generate(model=MODEL, prompt="a fox")
            assert result.data is not None

    first, second = sandbox.tasks.values()
    assert 60 <= second.created_at - first.created_at < 63


async def test_the_models_are_the_keys_own(url: str, master: Holder) -> None:
    """The client's list of models has what the key may use."""
    holder = await master.holder(models=["gen4"])
    async with sdk(url, holder) as client:
        assert ["gen4"] == [model.id async for model in client.models.list()]
