"""Who calls the sandbox in these chapters, and with what."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp

HEADERS = {"Authorization": "Bearer sk-test", "X-Runway-Version": "2024-11-06"}
BODY = {"model": "gen4_image", "promptText": "a red fox", "ratio": "1920:1080"}
#: Takes a field of the usual body away.
ABSENT = object()
DOC_URL = "https://docs.dev.runwayml.com/api"
GONE = (404, {"error": "Could not find Task"})

REFERENCE = {"uri": "https://images.example/a.png"}
GROK = {"model": "grok_imagine_image_2", "ratio": "1024:1024"}
IDEOGRAM = {"model": "ideogram_4_5"}
PRO = {"model": "gemini_image3_pro", "ratio": "1024:1024"}


class Caller:
    """A caller of the API who looks at every answer as it is."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Return the status and the decoded body; None for none."""
        options.setdefault("headers", HEADERS)
        async with self.session.request(method, self.url + path, **options) as response:
            raw = await response.read()
            return response.status, await response.json() if raw else None

    async def create(self, **changes: Any) -> str:
        """Create a task and return its id."""
        body = {key: value for key, value in (BODY | changes).items() if value is not ABSENT}
        status, answer = await self.ask("POST", "/v1/text_to_image", json=body)
        assert status == 200, answer
        return str(answer["id"])

    async def get(self, task_id: str) -> Any:
        """Return a task as it reads now."""
        return (await self.ask("GET", f"/v1/tasks/{task_id}"))[1]

    async def outputs(self, **changes: Any) -> list[str]:
        """Create a task, wait for its end and return its URLs."""
        task_id = await self.create(**changes)
        await asyncio.sleep(10)
        return list((await self.get(task_id))["output"])

    async def fetch(self, url: str) -> tuple[int, str, bytes]:
        """Fetch a picture as a stranger: no key."""
        async with self.session.get(url) as response:
            return response.status, response.content_type, await response.read()


Start = Callable[..., Any]
