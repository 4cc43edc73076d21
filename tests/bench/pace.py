"""The pace of the machine: what the same piece of work costs from minute to minute, beside what is measured.

See `spin.py`, the process that does that work.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.machine import cpu_s
from tests.bench.spin import SHARED

from taxiway.cadence import every


@dataclass(frozen=True, slots=True, kw_only=True)
class Spun:
    """How often the work was done up to now, the CPU seconds of it, and those of its whole process."""

    count: float
    used_s: float
    process_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Reads how fast a core is."""

    pid: int
    file: Path

    def read(self) -> Spun:
        """Return where the work stands."""
        count, used_s = SHARED.unpack(self.file.read_bytes())
        return Spun(count=count, used_s=used_s, process_s=cpu_s(self.pid))

    def since(self, before: Spun) -> float:
        """Return the CPU milliseconds of a piece of work since then: more of them, a slower machine."""
        now = self.read()
        return (now.used_s - before.used_s) / (now.count - before.count) * 1e3


@asynccontextmanager
async def pacing(*, core: int, folder: Path) -> AsyncIterator[Pace]:
    """Work on a core, for 2 or 3 % of its time, while the context lasts."""
    file = folder / "pace"
    file.write_bytes(bytes(SHARED.size))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", str(Path(__file__).with_name("spin.py")), str(file)),
        stdin=asyncio.subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    pace = Pace(pid=process.pid, file=file)
    try:
        async with asyncio.timeout(10):
            async for _ in every(0.05):
                if pace.read().count:
                    break
        yield pace
    finally:
        process.terminate()
        await process.wait()
