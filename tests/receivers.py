"""A program that is told of jobs, with the library of Standard Webhooks: what users of Taxiway write."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web
from standardwebhooks import Webhook

SECRET = "whsec_" + "dGF4aXdheSB0ZXN0cyBzZWNyZXQgb2YgMzIgYnl0ZXM="

Answer = Callable[["Heard"], int]


@dataclass
class Heard:
    """One request that came in."""

    id: str
    timestamp: int
    signature: str
    body: bytes
    at: float
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def document(self) -> Any:
        """What it says."""
        return orjson.loads(self.body)

    def verified(self, secret: str = SECRET) -> Any:
        """What it says, once the library has checked that it is signed, and from just now."""
        return Webhook(secret).verify(self.body, self.headers)

    def signed(self, secret: str) -> bool:
        """Whether it is signed, whenever that was: the library knows no virtual time."""
        at = datetime.fromtimestamp(self.timestamp, UTC)
        return Webhook(secret).sign(self.id, at, self.body.decode()) in self.signature.split(" ")


class Receiver:
    """Hears, and answers 204, or with what `answers` holds for the next ones."""

    def __init__(self) -> None:
        self.url = ""
        self.heard: list[Heard] = []
        self.answers: list[int] = []
        self.location = ""
        self.hangs = False
        self._news = asyncio.Event()

    async def hook(self, request: web.Request) -> web.Response:
        """Take one request in."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.heard.append(
            Heard(
                id=headers["webhook-id"],
                timestamp=int(headers["webhook-timestamp"]),
                signature=headers["webhook-signature"],
                body=await request.read(),
                at=asyncio.get_running_loop().time(),
                headers=headers,
            )
        )
        self._news.set()
        if self.hangs:
            await asyncio.sleep(3600)
        status = self.answers.pop(0) if self.answers else 204
        return web.Response(
            status=status, headers={"Location": self.location} if status == 302 else {}
        )

    async def has_heard(self, number: int, *, within_s: float = 3600.0 * 24 * 7) -> list[Heard]:
        """Return what came in, once there is so much of it."""
        async with asyncio.timeout(within_s):
            while len(self.heard) < number:
                self._news.clear()
                await self._news.wait()
        return self.heard

    @asynccontextmanager
    async def listening(self, *, port: int = 0) -> AsyncIterator[None]:
        """Listen while the context lasts; outside of it, nobody does."""
        app = web.Application()
        app.router.add_post("/{path:.*}", self.hook)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
        await site.start()
        self.url = site.name if not port else self.url
        self.port = int(runner.addresses[0][1])
        self.url = f"http://127.0.0.1:{self.port}/hooks"
        try:
            yield
        finally:
            await runner.cleanup()
