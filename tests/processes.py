"""The real program in a process of its own, for the chapters that kill it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
from tests.ports import free_port

from taxiway.cadence import every
from taxiway.sandbox import Sandbox

MODEL = "runwayml/gen4_image"
GENERATIONS = "/v1/images/generations"

#: How the service is started where nothing else is said.
TAXIWAY = ("-m", "taxiway")

#: How long a start may take on a machine that has other things to do.
START_S = 60.0


async def until(holds: Callable[[], bool], *, within_s: float = START_S) -> None:
    """Return when something holds that nobody tells of. Raises `TimeoutError`."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


def posts(sandbox: Sandbox) -> int:
    """Return how often a task was asked for, answered or not."""
    return sum(record.path == "/v1/text_to_image" for record in sandbox.requests)


class Service:
    """The service in a process of its own, at the same address after every start."""

    def __init__(
        self,
        *,
        folder: Path,
        database: str,
        runway: str,
        name: str = "service",
        program: Sequence[str] = TAXIWAY,
        environ: Mapping[str, str] | None = None,
        **knobs: object,
    ) -> None:
        port = free_port()
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self.process: asyncio.subprocess.Process | None = None
        self.command = [sys.executable, *program, "serve", "--port", str(port)]
        self.environ = {
            **{key: text for key, text in os.environ.items() if "TAXIWAY" not in key},
            "RUNWAYML_API_SECRET": "key_of_the_tests",
            "RUNWAYML_API_BASE": runway,
            "TAXIWAY_DATABASE_URL": database,
            "TAXIWAY_POLL_INTERVAL_S": "0.2",
            **{f"TAXIWAY_{key.upper()}": str(value) for key, value in knobs.items()},
            **(environ or {}),
        }
        self._folder = folder
        self._log = folder / f"{name}.log"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.returncode is None

    async def start(self, **environ: str) -> None:
        """Start it, with some more variables this once, and return when it is ready for requests."""
        await self.begin(**environ)
        await self.ready()

    async def begin(self, **environ: str) -> None:
        """Start it, and return at once."""
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                env={**self.environ, **environ},
                cwd=self._folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Return when it is ready for requests; it must not end before."""
        assert self.process is not None
        async with asyncio.timeout(START_S), aiohttp.ClientSession() as session:
            while await self.readiness(session) != 200:
                assert self.process.returncode is None, self.log()[-2000:]
                await asyncio.sleep(0.05)

    async def readiness(self, session: aiohttp.ClientSession) -> int:
        """Return the status of its readiness probe, 0 where nobody answers."""
        with suppress(aiohttp.ClientError):
            async with session.get(f"{self.url}/readyz") as response:
                return response.status
        return 0

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; one that is gone does not hear it."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        """End it, and return its exit code."""
        if self.process is None:
            return 0
        if self.process.returncode is None:
            self.send(how)
        return await self.process.wait()

    async def gone(self, *, within_s: float = 20.0) -> int:
        """Return its exit code when it has ended by itself."""
        assert self.process is not None
        async with asyncio.timeout(within_s):
            return await self.process.wait()

    def log(self) -> str:
        """Return everything it has written."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


@asynccontextmanager
async def caller(service: Service) -> AsyncIterator[aiohttp.ClientSession]:
    """Lend a session that speaks to a service."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(service.url, connector=connector) as session:
        yield session


async def ask(
    session: aiohttp.ClientSession,
    prompt: str,
    *,
    headers: Mapping[str, str] | None = None,
    **fields: Any,
) -> str:
    """Ask for an image without waiting for it; return the job's id."""
    async with session.post(
        GENERATIONS,
        json={"model": MODEL, "prompt": prompt, **fields},
        headers={"Prefer": "respond-async", **(headers or {})},
    ) as response:
        assert response.status == 202, await response.text()
        return str((await response.json())["id"])


async def job_of(session: aiohttp.ClientSession, job_id: str) -> Any:
    """Return a job as it stands."""
    async with session.get(f"/v1/jobs/{job_id}") as response:
        return await response.json()


async def ended(session: aiohttp.ClientSession, job_id: str, *, within_s: float = 30.0) -> Any:
    """Return a job after its end."""
    async with asyncio.timeout(within_s):
        async for _ in every(0.1, first_s=0.0):
            if (job := await job_of(session, job_id))["finished_at"] is not None:
                break
    return job


async def events(
    session: aiohttp.ClientSession, job_id: str, *, last_event_id: str | None = None
) -> AsyncIterator[tuple[str, str]]:
    """Yield the name and the id of every event of a job, until the stream ends or breaks.

    A tick has no id of its own, and is yielded with an empty one.
    """
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    async with session.get(f"/v1/jobs/{job_id}/events", headers=headers) as response:
        name = number = ""
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("id: "):
                number = line[4:]
            elif not line and name:
                yield name, number
                name = number = ""
