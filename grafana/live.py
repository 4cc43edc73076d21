"""A service that has something to show: it runs on a local Runway, is asked for images, and Prometheus watches.

    python grafana/live.py [--prometheus PATH] [--rate 3] [--minutes 10] [--folder FOLDER]

Prints one line of JSON with the addresses as soon as everything is up, and goes on until it is killed, its
standard input ends, or the minutes are over. The callers behave like people: most are content, some are refused
by moderation, give up, come back, or send nonsense; and Runway has its moods.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from taxiway.sandbox import Sandbox, SandboxSettings

RULES = Path(__file__).parent.parent / "deploy" / "monitoring" / "rules.yaml"

#: The models on offer, and how often each is asked for.
MODELS = {"gen4_image": 6, "gpt_image_2": 3, "gemini_2.5_flash": 2}

#: What is the matter with a task (see the sandbox's notation), and how often. Each is met once at the beginning.
MOODS = {
    "": 60.0,
    "[[slow:9]]": 6.0,
    "[[fail:SAFETY.INPUT.TEXT]]": 3.0,
    "[[fail:SAFETY.OUTPUT.IMAGE]]": 1.0,
    "[[fail:INTERNAL; cost:full]]": 0.3,
    "[[create:429 per_task=1 times=1 retry_after=1]]": 2.0,
    "[[create:503 times=1]]": 1.0,
    "[[poll:502 times=2]]": 4.0,
    "[[create:cut times=1]]": 0.05,
}

SCENES = (
    "a red fox in the snow",
    "a lighthouse at dusk",
    "a harbour in the rain",
    "an old observatory",
)


class Callers:
    """Those who ask for images. One client session serves them all."""

    def __init__(self, client: aiohttp.ClientSession, *, seed: int = 7) -> None:
        self._client = client
        self._draw = random.Random(seed)  # noqa: S311 - the same run each time
        self._unmet = [*MOODS]
        self._ways = {
            self._watch: 8,
            self._wait: 3,
            self._stream: 3,
            self._inline: 1,
            self._cancel: 1,
            self._repeat: 1,
            self._nonsense: 2,
            self._look_around: 4,
        }

    async def one(self) -> None:
        """Behave like one of them. What goes wrong on the way is part of the show."""
        way = self._draw.choices([*self._ways], [*self._ways.values()])[0]
        with suppress(aiohttp.ClientError, TimeoutError, KeyError):
            async with asyncio.timeout(60):
                await way()

    def _request(self, **more: object) -> dict[str, object]:
        model = self._draw.choices([*MODELS], [*MODELS.values()])[0]
        drawn = self._draw.choices([*MOODS], [*MOODS.values()])[0]
        mood = self._unmet.pop(0) if self._unmet else drawn
        prompt = f"{self._draw.choice(SCENES)} {self._draw.random():.6f} {mood}".strip()
        return {"model": model, "prompt": prompt, **more}

    async def _submit(self, **headers: str) -> str:
        headers = {"Prefer": "respond-async", **headers}
        body = self._request()
        async with self._client.post(
            "/v1/images/generations", json=body, headers=headers
        ) as response:
            job: dict[str, str] = await response.json()
            return job["id"]

    async def _watch(self) -> None:
        """Ask and come back: see some events, lose the connection, see the rest."""
        trace = (
            f"00-{self._draw.getrandbits(128) | 1:032x}-{self._draw.getrandbits(64) | 1:016x}-01"
        )
        job = await self._submit(traceparent=trace)
        last = await self._events(job, most=self._draw.choice((3, 100)))
        if last is not None:
            await self._events(job, most=100, cursor=last)

    async def _events(self, job: str, *, most: int, cursor: str | None = None) -> str | None:
        """Read events until the stream ends, or `most`; return the last id where it was left early."""
        headers = {} if cursor is None else {"Last-Event-ID": cursor}
        seen = None
        async with self._client.get(f"/v1/jobs/{job}/events", headers=headers) as response:
            async for line in response.content:
                if line.startswith(b"id:"):
                    seen = line[3:].strip().decode()
                most -= line.startswith(b"data:")
                if most <= 0:
                    return seen
        return None

    async def _wait(self) -> None:
        await self._post(self._request())

    async def _stream(self) -> None:
        await self._post(self._request(stream=True))

    async def _inline(self) -> None:
        await self._post(self._request(response_format="b64_json"))

    async def _cancel(self) -> None:
        job = await self._submit()
        await asyncio.sleep(self._draw.uniform(0, 3))
        async with self._client.post(f"/v1/jobs/{job}/cancel") as response:
            await response.read()

    async def _repeat(self) -> None:
        """Send the same request twice, as clients do that saw no answer."""
        body = self._request()
        key = f"{self._draw.getrandbits(64):x}"
        headers = {"Prefer": "respond-async", "Idempotency-Key": key}
        for _ in range(2):
            async with self._client.post(
                "/v1/images/generations", json=body, headers=headers
            ) as response:
                await response.read()

    async def _nonsense(self) -> None:
        await self._post({"model": self._draw.choice(("gen4_image", "dall-e-9")), "size": "7x7"})

    async def _look_around(self) -> None:
        for path in ("/v1/jobs?limit=5", "/v1/models", "/v1/nothing", "/readyz"):
            async with self._client.get(path) as response:
                await response.read()

    async def _post(self, body: dict[str, object]) -> None:
        async with self._client.post("/v1/images/generations", json=body) as response:
            await response.read()


@asynccontextmanager
async def program(*command: str, folder: Path, log: str, **environ: str) -> AsyncIterator[None]:
    """Run a program while the context lasts. What it says goes into a file of the folder."""
    with (folder / log).open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=said, stderr=said, cwd=folder, env={**os.environ, **environ}
        )
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            except TimeoutError:
                process.kill()


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def answers(url: str, *, with_text: str = "", within_s: float = 60.0) -> None:
    """Return when an address answers 200, with a text in the answer. Raises `TimeoutError`."""
    async with asyncio.timeout(within_s), aiohttp.ClientSession() as client:
        while True:
            with suppress(aiohttp.ClientError):
                async with client.get(url) as response:
                    if response.status == 200 and with_text in await response.text():
                        return
            await asyncio.sleep(0.1)


def configure(folder: Path, *, runway: str, service: str) -> None:
    """Write the configuration of the service, and that of Prometheus."""
    deployments = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"runwayml/{name}",
                "api_key": "key_of_the_show",
                "api_base": runway,
            },
        }
        for name in MODELS
    ]
    limits = {"max_budget": 10_000, "budget_duration": "1mo"}  # far off: it is there to be shown
    served = {"model_list": deployments, "litellm_settings": limits}
    (folder / "config.yaml").write_text(json.dumps(served))
    scrape = {"job_name": "taxiway", "static_configs": [{"targets": [service.split("//")[1]]}]}
    often = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    document = {"global": often, "rule_files": [str(RULES)], "scrape_configs": [scrape]}
    (folder / "prometheus.yaml").write_text(json.dumps(document))


async def show(folder: Path, *, prometheus: str | None, rate: float) -> None:
    """Put everything up, say where, and drive load for ever."""
    runway = SandboxSettings(
        pictures="plain",
        duration_s=4.0,
        jitter=0.5,
        balance=200_000,
        concurrency={"gen4_image": 8, "gpt_image_2": 4},
        daily_quota={"gen4_image": 20_000},
    )
    port, watcher = free_port(), free_port()
    service, prometheus_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{watcher}"
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(runway))
        configure(folder, runway=sandbox.url, service=service)
        serve = (
            *(sys.executable, "-m", "taxiway", "serve", "--config", "config.yaml"),
            *("--port", str(port)),
        )
        retention = {"TAXIWAY_JOB_RETENTION_DAYS": "30"}  # so that it has something to tell of, too
        await stack.enter_async_context(
            program(*serve, folder=folder, log="taxiway.log", **retention)
        )
        await answers(f"{service}/readyz")
        if prometheus is not None:
            watch = (
                *(prometheus, "--config.file=prometheus.yaml", "--storage.tsdb.path=data"),
                *(f"--web.listen-address=127.0.0.1:{watcher}", "--log.level=warn"),
                "--enable-feature=exemplar-storage",
            )
            await stack.enter_async_context(program(*watch, folder=folder, log="prometheus.log"))
            # Not before it has seen the zeros: what is counted from 1 on is no increase.
            await answers(f"{prometheus_url}/api/v1/query?query=up", with_text='"1"')
        where = {"service": service, "runway": sandbox.url, "prometheus": prometheus_url}
        sys.stdout.write(json.dumps(where) + "\n")
        sys.stdout.flush()
        await drive(service, rate=rate)


async def drive(service: str, *, rate: float) -> None:
    """Let `rate` callers a second come, more and fewer as the minutes pass, for ever."""
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(service, connector=connector) as client,
        asyncio.TaskGroup() as group,
    ):
        callers = Callers(client)
        waves = random.Random(3)  # noqa: S311 - the same run each time
        pace = rate
        while True:
            group.create_task(callers.one())
            pace = min(rate * 1.8, max(rate * 0.4, pace * waves.uniform(0.93, 1.075)))
            await asyncio.sleep(1 / pace)


async def input_ended() -> None:
    """Return when whoever started this has closed its standard input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()


async def run(given: argparse.Namespace) -> None:
    """Show until the time is over or nobody looks any more."""
    with TemporaryDirectory() as scratch:
        folder = Path(given.folder or scratch)
        showing = asyncio.create_task(show(folder, prometheus=given.prometheus, rate=given.rate))
        waiting = {showing}
        if given.minutes is None:
            waiting.add(asyncio.create_task(input_ended()))
        await asyncio.wait(
            waiting,
            timeout=None if given.minutes is None else given.minutes * 60,
            return_when=asyncio.FIRST_COMPLETED,
        )
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing


def main() -> None:
    """Read the command line and show."""
    parser = argparse.ArgumentParser(description="A service that has something to show.")
    parser.add_argument("--prometheus", help="the program; without it nobody watches")
    parser.add_argument("--rate", type=float, default=3.0, help="callers per second")
    parser.add_argument("--minutes", type=float, help="how long; else until the input ends")
    parser.add_argument("--folder", help="where everything is kept; else nowhere")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
