"""How these chapters ask for a stream, and read it."""

import re
from dataclasses import replace
from typing import Any

import aiohttp
import openai
import orjson

from taxiway.jobs import GenerationRequest, Image, Job, JobStatus, Part, Plan, new_job_id
from taxiway.journal import Journal
from taxiway.sandbox import Sandbox
from taxiway.transitions import accept

GENERATIONS = "/v1/images/generations"


ASK = {"model": "runwayml/gen4_image", "prompt": "a red fox in the snow"}


async def events_of(sdk: openai.AsyncOpenAI, **fields: Any) -> list[Any]:
    """Ask for a stream, and return its events as the SDK builds them."""
    stream = await sdk.images.generate(**{**ASK, **fields}, stream=True)
    return [event async for event in stream]


async def frames_of(response: aiohttp.ClientResponse) -> list[tuple[str, Any]]:
    """Return the frames of a stream, heartbeats left out: their names and their data."""
    text = (await response.read()).decode()
    blocks = re.fullmatch(r"((?::\n)*event: [^\n]+\ndata: [^\n]+\n\n)*", text)
    assert blocks, text
    pattern = re.compile(r"event: ([^\n]+)\ndata: ([^\n]+)\n\n")
    return [(name, orjson.loads(data)) for name, data in pattern.findall(text)]


async def fetched(client: aiohttp.ClientSession, address: str) -> bytes:
    """Return the bytes at an address."""
    async with client.get(address) as response:
        return await response.read()


def creates(sandbox: Sandbox) -> int:
    """Return how many tasks Runway was asked for."""
    return sum(record.path == "/v1/text_to_image" for record in sandbox.requests)


async def made_by(journal: Journal, *, attempt: int) -> Job:
    """Return a completed job whose image is said to be of this attempt."""
    now = 1_795_445_754.25
    job = accept(
        GenerationRequest(model="runwayml/gen4_image", prompt="a red fox"),
        Plan(size="1920x1080", parts=(Part(images=1, credits=8),)),
        id=new_job_id(now),
        at=now,
        deadline_at=now + 600,
    )
    job = replace(
        job,
        status=JobStatus.COMPLETED,
        phase=None,
        images=(
            Image(
                index=0,
                attempt=attempt,
                url="https://images.example/1",
                size=None,
                content_type="image/png",
            ),
        ),
    )
    return await journal.accept(job)


async def jobs_of(client: aiohttp.ClientSession) -> list[dict[str, Any]]:
    """Return the list of jobs."""
    async with client.get("/v1/jobs") as response:
        data: list[dict[str, Any]] = (await response.json())["data"]
        return data
