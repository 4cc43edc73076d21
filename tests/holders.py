"""Holders of keys, as they call the service."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from tests.processes import Service, caller

from taxiway.sandbox import Sandbox

MASTER_KEY = "sk-master-of-the-tests"

#: A request for one image of eight credits.
FOX: Mapping[str, Any] = {"model": "gen4", "prompt": "a fox"}


class Holder:
    """Somebody with a key."""

    def __init__(self, client: aiohttp.ClientSession, key: str, *, id: str = "") -> None:  # noqa: A002
        self.client = client
        self.key = key
        self.id = id
        self.headers: dict[str, str] = {}
        """Those of the last answer."""

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Return the status of an answer, and its JSON."""
        shown = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        async with self.client.request(method, path, json=body, headers=shown) as response:
            self.headers = {name.lower(): value for name, value in response.headers.items()}
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, await response.read()

    async def get(self, path: str) -> tuple[int, Any]:
        """Return the status and the JSON at an address."""
        return await self.call("GET", path)

    async def post(self, path: str, **body: Any) -> tuple[int, Any]:
        """Send JSON; return the status and the answer's."""
        return await self.call("POST", path, body)

    async def code(self, method: str, path: str, **body: Any) -> tuple[int, str | None]:
        """Return the status of an answer and the code of its error, None for none."""
        status, document = await self.call(method, path, body or None)
        return status, document["error"]["code"] if status >= 400 else None

    async def ask(self, **body: Any) -> tuple[int, Any]:
        """Ask for an image, and do not wait for it."""
        prefer = {"Prefer": "respond-async"}
        return await self.call("POST", "/v1/images/generations", {**FOX, **body}, prefer)

    async def wait(self, **body: Any) -> tuple[int, Any]:
        """Ask for an image, and wait for it."""
        return await self.call("POST", "/v1/images/generations", {**FOX, **body})

    async def holder(self, **fields: Any) -> "Holder":
        """Make a virtual key, and return who holds it."""
        status, row = await self.post("/key/generate", **fields)
        assert status == 200, row
        return Holder(self.client, row["key"], id=row["token"])


@asynccontextmanager
async def two_replicas(
    folder: Path, database: str, sandbox: Sandbox, **knobs: object
) -> AsyncIterator[tuple[list[Service], list[Holder]]]:
    """Run two processes on one database while the context lasts; yield them, and the master's key at each."""
    services = [
        Service(
            folder=folder,
            database=database,
            runway=sandbox.url,
            name=name,
            lease_s=2.0,
            master_key=MASTER_KEY,
            **knobs,
        )
        for name in ("first", "second")
    ]
    async with AsyncExitStack() as stack:
        for service in services:
            stack.push_async_callback(service.kill)
            await service.begin()
        await asyncio.gather(*(service.ready() for service in services))
        callers = [await stack.enter_async_context(caller(service)) for service in services]
        yield services, [Holder(client, MASTER_KEY) for client in callers]
