"""How these chapters ask for images, and what they look at."""

from collections.abc import Mapping
from typing import Any

import aiohttp

from taxiway.cadence import every
from taxiway.sandbox import Sandbox

GENERATIONS = "/v1/images/generations"


ASK = {"model": "runwayml/gen4_image", "prompt": "a red fox in the snow"}


NO_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "total_tokens": 0,
}


async def ask(
    client: aiohttp.ClientSession, *, path: str = GENERATIONS, prefer: str = "", **fields: Any
) -> tuple[int, Any, Mapping[str, str]]:
    """Ask for an image and return the status, the document and the headers of the answer."""
    headers = {"Prefer": prefer} if prefer else {}
    async with client.post(path, json={**ASK, **fields}, headers=headers) as response:
        return response.status, await response.json(), response.headers


async def get(client: aiohttp.ClientSession, path: str) -> Any:
    """Return the document at a path."""
    async with client.get(path) as response:
        return await response.json()


async def ended(client: aiohttp.ClientSession, path: str) -> Any:
    """Return a job after its end."""
    async for _ in every(0.5, first_s=0.0):
        job = await get(client, path)
        if job["finished_at"] is not None:
            break
    return job


def creates(sandbox: Sandbox) -> int:
    """Return how many tasks Runway was asked for."""
    return sum(record.path == "/v1/text_to_image" for record in sandbox.requests)
