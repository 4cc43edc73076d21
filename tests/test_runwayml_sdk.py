"""The vendor's own SDK works against the sandbox as it is. It sleeps 6 s between polls, in virtual time."""

import asyncio
import io
from collections.abc import AsyncIterator

import httpx
import pytest
from PIL import Image
from runwayml import AsyncRunwayML, AuthenticationError, BadRequestError, NotFoundError
from runwayml.lib.polling import TaskFailedError, TaskTimeoutError

from taxiway.sandbox import Sandbox, SandboxSettings


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxSettings(duration_s=9, balance=1_000)) as started:
        yield started


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncRunwayML]:
    async with AsyncRunwayML(api_key="sk-test", base_url=sandbox.url) as opened:
        yield opened


async def test_the_sdk_makes_pictures_with_several_models(
    client: AsyncRunwayML, sandbox: Sandbox
) -> None:
    """Create, wait, fetch: the SDK reads every answer, and the pictures are there."""
    gen4 = client.text_to_image.create(
        model="gen4_image", prompt_text="a red fox", ratio="1280:720", seed=7
    )
    turbo = client.text_to_image.create(
        model="gen4_image_turbo",
        prompt_text="@fox at night",
        ratio="720:1280",
        reference_images=[{"uri": "https://images.example/fox.png", "tag": "fox"}],
    )
    muse = client.text_to_image.create(
        model="muse_image", prompt_text="dunes", ratio="2016:1152", output_count=2
    )
    created = await asyncio.gather(gen4, turbo, muse)
    tasks = await asyncio.gather(*(each.wait_for_task_output() for each in created))
    sizes = []
    async with httpx.AsyncClient() as stranger:
        for task in tasks:
            for url in task.output:
                content = (await stranger.get(url)).content
                sizes.append(Image.open(io.BytesIO(content)).size)

    assert [each.estimated_cost.credits for each in created] == [5, 2, 2]
    assert [task.cost.credits for task in tasks] == [5, 2, 2]
    assert sizes == [(1280, 720), (720, 1280), (2016, 1152), (2016, 1152)]
    assert sandbox.leaks == []


async def test_the_sdk_raises_for_a_body_that_is_refused(client: AsyncRunwayML) -> None:
    """A validation error is a BadRequestError with the vendor's body."""
    with pytest.raises(BadRequestError) as caught:
        await client.text_to_image.create(
            model="gen4_image",
            prompt_text="a red fox",
            ratio="1792:1024",  # type: ignore[arg-type]
        )
    body = caught.value.body

    assert isinstance(body, dict)
    assert (body["error"], body["issues"][0]["path"]) == ("Validation of body failed", ["ratio"])


async def test_the_sdk_cancels_a_task(client: AsyncRunwayML, sandbox: Sandbox) -> None:
    """After a delete the SDK finds nothing, and the credits are back."""
    created = await client.text_to_image.create(
        model="gen4_image", prompt_text="a red fox", ratio="1280:720"
    )
    await client.tasks.delete(created.id)
    with pytest.raises(NotFoundError, match="Could not find Task"):
        await client.tasks.retrieve(created.id)

    assert sandbox.balance == 1_000


async def test_the_sdk_raises_for_a_task_that_failed(client: AsyncRunwayML) -> None:
    """A FAILED task is a TaskFailedError that holds the code and the cost."""
    created = await client.text_to_image.create(
        model="gen4_image", prompt_text="[[fail:SAFETY.INPUT.TEXT]]", ratio="1280:720"
    )
    with pytest.raises(TaskFailedError) as caught:
        await created.wait_for_task_output()
    task = caught.value.task_details

    assert task.status == "FAILED"
    assert (task.failure_code, task.cost.credits) == ("SAFETY.INPUT.TEXT", 5)


async def test_the_sdk_gives_up_on_a_task_that_is_stuck(client: AsyncRunwayML) -> None:
    """The SDK's own deadline ends its wait."""
    created = await client.text_to_image.create(
        model="gen4_image", prompt_text="[[stuck:THROTTLED]]", ratio="1280:720"
    )
    with pytest.raises(TaskTimeoutError):
        await created.wait_for_task_output(timeout=60)


async def test_the_sdk_creates_twice_when_an_answer_is_lost(
    client: AsyncRunwayML, sandbox: Sandbox
) -> None:
    """The SDK repeats a POST without knowing what became of the first: two tasks, two charges."""
    sandbox.will("create:cut")
    await client.text_to_image.create(model="gen4_image", prompt_text="a red fox", ratio="1280:720")

    assert sandbox.creates_by_prompt == {"a red fox": 2}
    assert sandbox.charged_credits == 10


async def test_the_sdk_reads_the_account(client: AsyncRunwayML) -> None:
    """Balance, limits and usage have the shapes that the SDK knows."""
    await client.text_to_image.create(model="gen4_image", prompt_text="a red fox", ratio="1280:720")
    organization = await client.organization.retrieve()
    usage = await client.organization.retrieve_usage()

    assert organization.credit_balance == 995
    assert organization.usage.models["gen4_image"].daily_generations == 1
    assert [(each.model, each.amount) for each in usage.results[0].used_credits] == [
        ("gen4_image", 5)
    ]


async def test_the_sdk_uploads_a_reference(client: AsyncRunwayML, sandbox: Sandbox) -> None:
    """The SDK asks for a place, posts the form without its key, and gets a URI that a create takes."""
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "PNG")
    upload = await client.uploads.create_ephemeral(file=("fox.png", file.getvalue(), "image/png"))
    created = await client.text_to_image.create(
        model="gen4_image_turbo",
        prompt_text="a fox",
        ratio="1280:720",
        reference_images=[{"uri": upload.uri}],
    )

    assert sandbox.tasks[created.id].order.references == 1
    assert sandbox.leaks == []


async def test_the_sdk_is_shut_out_with_a_wrong_key() -> None:
    """A sandbox with a list of keys turns others away."""
    async with (
        Sandbox(SandboxSettings(api_keys=("key_right",))) as sandbox,
        AsyncRunwayML(api_key="key_wrong", base_url=sandbox.url) as client,
    ):
        with pytest.raises(AuthenticationError, match="Unauthorized"):
            await client.organization.retrieve()
