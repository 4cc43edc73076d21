"""`"stream": true`: progress, then the image, as the official client reads it."""

import asyncio
import base64
import re

import aiohttp
import openai
import orjson
import pytest
from openai.types import ImageGenCompletedEvent
from tests.image_stream.reading import ASK, GENERATIONS, events_of, fetched, frames_of

from taxiway.journal import Journal
from taxiway.sandbox import Sandbox


async def test_the_official_client_sees_progress_and_then_the_image(
    sdk: openai.AsyncOpenAI, client: aiohttp.ClientSession
) -> None:
    """Progress as it is polled, then one completed image: its bytes, its address, its job and its cost."""
    *progress, last = await events_of(sdk)

    assert {"image_generation.progress"} == {event.type for event in progress}
    assert progress[0].progress == 0 < progress[-1].progress < 100
    assert sorted(event.progress for event in progress) == [e.progress for e in progress]
    assert isinstance(last, ImageGenCompletedEvent)
    assert await fetched(client, last.url) == base64.b64decode(last.b64_json)
    assert {progress[0].job_id, last.job_id} == {last.job_id}
    assert ("1920x1080", "auto", "auto", "png", 0) == (
        last.size,
        last.quality,
        last.background,
        last.output_format,
        last.usage.total_tokens,
    )
    assert {"usd": 0.08, "credits": 8, "final": True} == last.cost


async def test_the_first_frame_comes_at_once(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """The caller knows the job before anything can fail: no proxy waits in vain for a first byte."""
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    async with client.post(GENERATIONS, json={**ASK, "stream": True}) as response:
        first = await response.content.readuntil(b"\n\n")

        name, data = first.decode().strip().split("\n")
        document = orjson.loads(data.removeprefix("data: "))
        assert loop.time() - asked_at < 0.5
        assert "event: image_generation.progress" == name
        assert ("image_generation.progress", 0) == (document["type"], document["progress"])
        assert (document["job_id"], 200, "text/event-stream") == (
            response.headers["x-taxiway-job-id"],
            response.status,
            response.content_type,
        )


async def test_a_stream_of_images_has_neither_ids_nor_retry(client: aiohttp.ClientSession) -> None:
    """It cannot be resumed, so it does not pretend to: OpenAI's has none either."""
    async with client.post(GENERATIONS, json={**ASK, "stream": True}) as response:
        text = await response.read()

    lines = {line.partition(b":")[0] for line in text.split(b"\n")}
    assert {b"event", b"data", b""} == lines


async def test_progress_is_sent_on_change_only(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """A revision that changes nothing of what a frame shows is no frame."""
    async with client.post(GENERATIONS, json={**ASK, "stream": True}) as response:
        frames = await frames_of(response)

    shown = [(data["status"], data["phase"], data["progress"]) for _, data in frames[:-1]]
    assert [*dict.fromkeys(shown)] == shown
    assert ("queued", "queued", 0) == shown[0]


async def test_addresses_can_be_asked_for_instead_of_bytes(
    sdk: openai.AsyncOpenAI, client: aiohttp.ClientSession
) -> None:
    """With `response_format: url` the completed frame has the address, and `b64_json` is null."""
    *_, last = await events_of(sdk, response_format="url")

    assert (None, "image_generation.completed") == (last.b64_json, last.type)
    assert (await fetched(client, last.url)).startswith(b"\x89PNG")


async def test_every_image_is_a_frame_of_its_own(
    sdk: openai.AsyncOpenAI, client: aiohttp.ClientSession
) -> None:
    """Two images are two completed frames, in order; the last one tells what both cost."""
    events = await events_of(
        sdk, model="runwayml/gpt_image_2", n=2, quality="low", size="1024x1024"
    )

    first, second = [event for event in events if event.type == "image_generation.completed"]
    assert (0, 1) == (first.image_index, second.image_index)
    assert events[-2:] == [first, second]
    assert (False, True) == (hasattr(first, "cost"), hasattr(second, "cost"))
    for image in (first, second):
        assert await fetched(client, image.url) == base64.b64decode(image.b64_json)


async def test_heartbeats_do_not_disturb_the_official_client(
    sdk: openai.AsyncOpenAI, sandbox: Sandbox
) -> None:
    """A job of minutes without news is minutes of heartbeats, and no event the client would stumble over."""
    sandbox.will("slow:100; progress:absent")

    events = await events_of(sdk)

    assert len(events) < 10
    assert "image_generation.completed" == events[-1].type


async def test_silence_is_broken_by_heartbeats(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Every 15 s of silence a comment of two bytes, between frames."""
    sandbox.will("slow:100; progress:absent")

    async with client.post(GENERATIONS, json={**ASK, "stream": True}) as response:
        text = await response.read()

    assert 5 <= text.split(b"\n").count(b":") <= 7
    assert re.fullmatch(rb"(?:(?::\n)*event: [^\n]+\ndata: [^\n]+\n\n)+", text)


@pytest.mark.parametrize("form", ["json", "url"])
async def test_a_job_that_has_ended_is_told_at_once(
    journal: Journal, client: aiohttp.ClientSession, sdk: openai.AsyncOpenAI, form: str
) -> None:
    """Who joins late is sent where the job stands, and its images."""
    *_, last = await events_of(sdk)

    async with client.get(f"/join/{last.job_id}?format={form}") as response:
        (first, progress), (second, image) = await frames_of(response)

    assert ["image_generation.progress", "image_generation.completed"] == [first, second]
    assert (100, last.url) == (progress["progress"], image["url"])
    assert (last.b64_json if form == "json" else None) == image["b64_json"]


async def test_edits_are_named_after_themselves(
    client: aiohttp.ClientSession, sdk: openai.AsyncOpenAI
) -> None:
    """The stream of an edit is the same but for the names of its events."""
    *_, last = await events_of(sdk)

    async with client.get(f"/join/{last.job_id}?operation=image_edit") as response:
        frames = await frames_of(response)

    assert ["image_edit.progress", "image_edit.completed"] == [name for name, _ in frames]
    assert ["image_edit.progress", "image_edit.completed"] == [data["type"] for _, data in frames]
