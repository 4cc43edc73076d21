"""How long a program takes to be there, and what it weighs before anybody has asked it for anything."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import middle
from tests.bench.machine import Cores, family, memory
from tests.bench.pace import Pace
from tests.bench.processes import environment, running
from tests.bench.subjects import Subject, litellm_python

#: What a program's own users import.
_IMPORTS = {"taxiway": "import taxiway", "litellm": "import litellm"}

_TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What starts of one program in one folder came to."""

    first_boot_s: float | None
    """With nothing there yet: Taxiway makes its database first. None where there is something already."""
    boot_s: float
    """The median of the later ones."""
    idle_mb: float
    import_s: float | None
    """Of the package into a Python that has nothing loaded; None for the floor, which is no package."""
    pace_ms: float
    """What the same piece of work took meanwhile."""


async def start(
    subject: Subject,
    *,
    upstream: str,
    cores: Cores,
    pace: Pace,
    folder: Path,
    new: bool,
    times: int,
) -> Start:
    """Start a program and so many `times` again, and import its package once; `new` where it has no database."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    boots_s, idle_mb, spun = [], 0.0, pace.read()
    for turn in range(1 + times):
        program = subject.program(upstream=upstream, folder=folder)
        async with running(program, core=cores.tested, folder=folder) as process:
            boots_s.append(process.boot_s)
            if turn == times:
                await asyncio.sleep(1.0)
                idle_mb = sum(memory(pid).rss_bytes for pid in family(process.pid)) / 1e6
    pace_ms = pace.since(spun)
    return Start(
        first_boot_s=boots_s[0] if new else None,
        boot_s=middle(boots_s[1:]),
        idle_mb=idle_mb,
        import_s=await _import_s(subject.kind),
        pace_ms=pace_ms,
    )


async def _import_s(kind: str) -> float | None:
    if kind not in _IMPORTS:
        return None
    python = litellm_python() if kind == "litellm" else Path(sys.executable)
    command = [str(python), "-c", _TIMED.format(_IMPORTS[kind])]
    # Else LiteLLM asks the network for its list of prices, and waits for that.
    environ = environment(LITELLM_LOCAL_MODEL_COST_MAP="True")
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await asyncio.wait_for(process.communicate(), timeout=60)
    return float(told.split()[-1])
