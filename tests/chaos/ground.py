"""Where it all happens: a local Runway, a database, and the replicas that are killed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
from tests.chaos.forge import Forge
from tests.chaos.wire import Wire, wire
from tests.databases import Postgres
from tests.processes import Service, free_port

#: An image takes half a second, so that a run of minutes sees hundreds of them.
DURATION_S, QUEUE_S = 0.35, 0.1

LEASE_S = 1.0


class Replica(Service):
    """A service that comes out of the forge, and counts how often it was killed."""

    def __init__(self, forge: Forge, **how: Any) -> None:
        super().__init__(**how)
        self._forge = forge
        self.kills = 0

    async def begin(self, **environ: str) -> None:
        """Start it, and return at once."""
        self.process = await self._forge.child(  # type: ignore[assignment]
            *self.command[3:],
            environ={**self.environ, **environ},
            folder=self._folder,
            log=self._log,
        )

    async def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        """End it, and return its exit code."""
        code = await super().kill(how)
        self.note_death()
        return code

    def note_death(self) -> None:
        """Count a death by SIGKILL, once."""
        if self.process is not None and self.process.returncode == -signal.SIGKILL:
            self.kills += 1
            self.process = None


class Ground:
    """One row's world: its own Runway, its own database, one replica or two."""

    def __init__(
        self,
        forge: Forge,
        *,
        folder: Path,
        databases: Sequence[str],
        runway: str,
        wires: Sequence[Wire],
        postgres: Postgres | None,
    ) -> None:
        self.runway = runway
        self.postgres = postgres
        self.wires = wires
        """Between the replicas and PostgreSQL, one each."""
        self.folder = folder
        self.moments = 0
        """How many moments of a life were to be died at."""
        self.reached = 0
        """How many of them came to pass: a life is not always the same."""
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self.replicas = [
            Replica(
                forge,
                folder=folder,
                database=database,
                runway=runway,
                name=f"replica-{number}",
                lease_s=LEASE_S,
                shutdown_budget_s=1,
                artifacts_url=f"file://{folder}/images",
                log_level="info",
            )
            for number, database in enumerate(databases)
        ]

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return sum(replica.kills for replica in self.replicas)

    async def tasks(self) -> list[dict[str, Any]]:
        """Return every task that Runway has made."""
        async with self.session.get(f"{self.runway}/sandbox/tasks?limit=1000000") as response:
            return list((await response.json())["tasks"])

    async def change_runway(self, **settings: object) -> None:
        """Change settings of the sandbox."""
        async with self.session.post(f"{self.runway}/sandbox/settings", json=settings) as response:
            assert response.status == 200, await response.text()

    async def close(self) -> None:
        """End the replicas."""
        for replica in self.replicas:
            replica.send(signal.SIGCONT)
            if replica.running:
                await replica.kill()
        await self.session.close()

    async def weather(self, *faults: str) -> None:
        """Let Runway have these faults from now on, and no others."""
        await self.session.delete(f"{self.runway}/sandbox/faults")
        for fault in faults:
            async with self.session.post(
                f"{self.runway}/sandbox/faults", json={"fault": fault}
            ) as response:
                assert response.status == 201, await response.text()


@asynccontextmanager
async def ground(
    forge: Forge, *, folder: Path, postgres: Postgres | None = None
) -> AsyncIterator[Ground]:
    """Lend a world: one replica on SQLite in the folder, or two on PostgreSQL. None of them is started yet."""
    await asyncio.to_thread(folder.mkdir)
    async with AsyncExitStack() as stack:
        databases, wires = [f"sqlite:///{folder}/jobs.db"], []
        if postgres is not None:
            name = postgres.create(like="current")
            stack.callback(postgres.drop, name)
            wires = [await stack.enter_async_context(wire(postgres.socket)) for _ in range(2)]
            databases = [each.url(name) for each in wires]
        runway = await stack.enter_async_context(_runway(forge, folder))
        made = Ground(
            forge,
            folder=folder,
            databases=databases,
            runway=runway,
            wires=wires,
            postgres=postgres,
        )
        stack.push_async_callback(made.close)
        # One colour is picture enough: drawing takes CPU that the replicas need.
        await made.change_runway(pictures="plain", progress_tick_s=0.1)
        yield made


@asynccontextmanager
async def _runway(forge: Forge, folder: Path) -> AsyncIterator[str]:
    """Lend the address of a local Runway in a process of its own, which outlives everybody."""
    port = free_port()
    sandbox = await forge.child(
        *("sandbox", "--port", str(port)),
        *("--duration", str(DURATION_S), "--queue", str(QUEUE_S)),
        environ={name: text for name, text in os.environ.items() if "TAXIWAY" not in name},
        folder=folder,
        log=folder / "runway.log",
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await _answers(url)
        yield url
    finally:
        sandbox.send_signal(signal.SIGTERM)
        await sandbox.wait()


async def _answers(url: str) -> None:
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            with suppress(aiohttp.ClientConnectionError):
                async with session.get(f"{url}/sandbox/state"):
                    return
            await asyncio.sleep(0.05)
