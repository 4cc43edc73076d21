"""The floor: the least a Python program can do for a generation, and nothing else.

It takes the same HTTP request as Taxiway, submits, looks every two seconds, and answers. It stores nothing,
checks nothing, survives nothing: whatever Taxiway costs above it is the price of what Taxiway does.

For the measurements of streams it also takes `Prefer: respond-async` and serves `/v1/jobs/{id}/events`, with one
future per stream and one encoded frame for all of them.
"""

import argparse
import asyncio
import random
from itertools import count
from typing import Any

import aiohttp
import orjson
import uvloop
from aiohttp import web

#: What makes a frame as long as one of Taxiway's, which carries the whole job.
_PADDING = "x" * 900


class Topic:
    """One generation, and the futures of those who watch it."""

    __slots__ = ("done", "frame", "serial", "waiters")

    def __init__(self) -> None:
        self.waiters: list[asyncio.Future[None]] = []
        self.frame, self.serial, self.done = b"data: {}\n\n", 0, False

    def tell(self, task: dict[str, Any], *, done: bool) -> None:
        """Encode once, and wake everybody."""
        frame = orjson.dumps({**task, "padding": _PADDING})
        self.frame = b"event: job\nid: %d\ndata: %b\n\n" % (self.serial, frame)
        self.serial, self.done = self.serial + 1, done
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class Floor:
    """The program: one session, one interval, and the topics that somebody may watch."""

    def __init__(self, session: aiohttp.ClientSession, *, upstream: str, interval_s: float) -> None:
        self._session = session
        self._upstream = upstream
        self._interval_s = interval_s
        self._topics: dict[str, Topic] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._numbers = count()

    async def generate(self, request: web.Request) -> web.Response:
        """Answer when the image is there, or at once where the caller wants to watch."""
        asked = orjson.loads(await request.read())
        if "Prefer" not in request.headers:
            task = await self._made(asked["prompt"])
            body = {"created": 0, "data": [{"url": url} for url in task["output"]]}
            return web.Response(body=orjson.dumps(body), content_type="application/json")
        job_id = f"job_{next(self._numbers)}"
        self._topics[job_id] = topic = Topic()
        running = asyncio.create_task(self._made(asked["prompt"], topic=topic))
        self._tasks.add(running)
        running.add_done_callback(self._tasks.discard)
        return web.Response(
            status=202, body=orjson.dumps({"id": job_id}), content_type="application/json"
        )

    async def watch(self, request: web.Request) -> web.StreamResponse:
        """Send the newest frame whenever there is one."""
        topic = self._topics[request.match_info["id"]]
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        loop, seen = asyncio.get_running_loop(), -1
        while True:
            if topic.serial != seen:
                seen = topic.serial
                await response.write(topic.frame)
            elif topic.done:
                return response
            else:
                waiter: asyncio.Future[None] = loop.create_future()
                topic.waiters.append(waiter)
                await waiter

    async def _made(self, prompt: str, *, topic: Topic | None = None) -> dict[str, Any]:
        """Submit one task and look at it until it has succeeded."""
        body = {"model": "gen4_image", "promptText": prompt, "ratio": "1920:1080"}
        async with self._session.post(
            f"{self._upstream}/v1/text_to_image",
            data=orjson.dumps(body),
            headers={"Content-Type": "application/json"},
        ) as response:
            task_id = orjson.loads(await response.read())["id"]
        loop = asyncio.get_running_loop()
        # The first look is drawn as Taxiway draws it: what is compared is the work, not the grid.
        due = loop.time() + self._interval_s * random.uniform(0.5, 1.0)
        while True:
            await asyncio.sleep(due - loop.time())
            due += self._interval_s
            async with self._session.get(f"{self._upstream}/v1/tasks/{task_id}") as response:
                task: dict[str, Any] = orjson.loads(await response.read())
            done = task["status"] not in ("PENDING", "THROTTLED", "RUNNING")
            if topic is not None:
                topic.tell(task, done=done)
            if done:
                return task


async def healthz(_request: web.Request) -> web.Response:
    """Answer that it is there."""
    return web.Response(text="ok")


async def serve(*, port: int, upstream: str, interval_s: float) -> None:
    """Serve until killed."""
    headers = {"Authorization": "Bearer any-key", "X-Runway-Version": "2024-11-06"}
    connector = aiohttp.TCPConnector(limit=256)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        floor = Floor(session, upstream=upstream, interval_s=interval_s)
        app = web.Application()
        app.add_routes(
            [
                web.post("/v1/images/generations", floor.generate),
                web.get("/v1/jobs/{id}/events", floor.watch),
                web.get("/healthz", healthz),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--interval", type=float, default=2.0)
    arguments = parser.parse_args()
    uvloop.run(
        serve(port=arguments.port, upstream=arguments.upstream, interval_s=arguments.interval)
    )
