"""Who calls a sandbox that fails, and notes whatever comes."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp

HEADERS = {"Authorization": "Bearer sk-test", "X-Runway-Version": "2024-11-06"}
BODY = {"model": "gen4_image", "promptText": "a red fox", "ratio": "1280:720"}
WHOLE = {"credits": 5}


class Caller:
    """A caller who notes what comes, a broken connection included."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int | str, Any]:
        """Return the status and the body, decoded where it is JSON, or the name of what went wrong."""
        options = {"headers": HEADERS, "allow_redirects": False} | options
        try:
            async with self.session.request(method, self.url + path, **options) as response:
                raw = await response.read()
                try:
                    return response.status, await response.json()
                except (ValueError, aiohttp.ContentTypeError):
                    return response.status, raw
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__, None

    async def post(self, **changes: Any) -> tuple[int | str, Any]:
        """Create a task and return the answer."""
        return await self.ask("POST", "/v1/text_to_image", json=BODY | changes)

    async def create(self, prompt: str = "a red fox", **changes: Any) -> str:
        """Create a task and return its id."""
        status, answer = await self.post(promptText=prompt, **changes)
        assert status == 200, answer
        return str(answer["id"])

    async def poll(self, task_id: str) -> tuple[int | str, Any]:
        """Read a task and return the answer."""
        return await self.ask("GET", f"/v1/tasks/{task_id}")

    async def get(self, task_id: str) -> Any:
        """Return a task as it reads now."""
        return (await self.poll(task_id))[1]


Start = Callable[..., Any]


async def life(caller: Caller, prompt: str, *times_s: float) -> list[Any]:
    """Create a task and return how it reads at these seconds after."""
    task_id = await caller.create(prompt)
    seen, passed = [], 0.0
    for at_s in times_s:
        await asyncio.sleep(at_s - passed)
        passed = at_s
        status, body = await caller.poll(task_id)
        seen.append(body if status == 200 else status)
    return seen


async def statuses(caller: Caller, count: int, **changes: Any) -> list[int | str]:
    """Return the statuses of some creates."""
    return [(await caller.post(**changes))[0] for _ in range(count)]
