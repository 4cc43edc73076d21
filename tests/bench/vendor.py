"""The sandbox as a process, and what it knows afterwards: when each task was made, and how often it was polled."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from tests.bench.processes import Program, Running, environment, free_port, running

#: A task waits for half a second and runs for ten and a bit: 10.7 s, as in the published measurements.
QUEUE_S = 0.5
DURATION_S = 10.2
TASK_S = QUEUE_S + DURATION_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One task as the vendor saw it, in Unix seconds."""

    prompt: str
    created_at: float
    polls: int

    @property
    def ended_at(self) -> float:
        """When its image was there."""
        return self.created_at + TASK_S


class Vendor:
    """The sandbox, over its own routes."""

    def __init__(self, process: Running, session: aiohttp.ClientSession) -> None:
        self.pid = process.pid
        self.url = process.url
        self._session = session

    async def reset(self, **settings: object) -> None:
        """Forget everything, and go on with these settings instead of those of the start."""
        await self._ask("POST", "reset")
        await self._ask("POST", "settings", json={"pictures": "plain", **settings})

    async def fault(self, notation: str) -> None:
        """Put a fault in force, in the sandbox's own notation."""
        await self._ask("POST", "faults", json={"fault": notation})

    async def polls(self) -> int:
        """Return how many polls it has answered."""
        state = await self._ask("GET", "state")
        return int(state["polls"])

    async def state(self) -> dict[str, Any]:
        """Return its totals."""
        return await self._ask("GET", "state")

    async def made(self) -> Sequence[Made]:
        """Return every task since the last reset."""
        answer = await self._ask("GET", "tasks?limit=1000000")
        return [
            Made(prompt=task["prompt"], created_at=task["created_date"], polls=task["polls"])
            for task in answer["tasks"]
        ]

    async def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        async with self._session.request(method, f"{self.url}/sandbox/{path}", **more) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json() if response.status == 200 else {}
            return answer


@asynccontextmanager
async def vendor(*, core: int, folder: Path) -> AsyncIterator[Vendor]:
    """Run a sandbox on a core while the context lasts."""
    port = free_port()
    program = Program(
        command=[
            *(sys.executable, "-m", "taxiway", "sandbox", "--port", str(port)),
            *("--duration", str(DURATION_S), "--queue", str(QUEUE_S)),
            *("--balance", "1000000000"),
        ],
        port=port,
        health="/sandbox/settings",
        environ=environment(),
    )
    async with (
        running(program, core=core, folder=folder) as process,
        aiohttp.ClientSession() as session,
    ):
        yield Vendor(process, session)
