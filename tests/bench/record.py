"""Everything a run has measured, and the file it is kept in."""

import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import orjson
from tests.bench.figures import middle
from tests.bench.starting import Start
from tests.bench.streaming import Streams
from tests.bench.waves import Wave

_T = TypeVar("_T")


@dataclass(slots=True, kw_only=True)
class Record:
    """What was measured, by the name of the program."""

    conditions: dict[str, Any]
    main: int
    """The size of the wave that is repeated, and that the budgets are about."""
    waves: dict[str, list[Wave]] = field(default_factory=dict)
    starts: dict[str, list[Start]] = field(default_factory=dict)
    streams: dict[str, list[Streams]] = field(default_factory=dict)

    @property
    def pace_ms(self) -> float:
        """What a piece of work took in the middle of all waves."""
        return middle([wave.pace_ms for waves in self.waves.values() for wave in waves])

    def of_size(self, name: str, count: int) -> list[Wave]:
        """Return the waves of one size that a program has served."""
        return [wave for wave in self.waves.get(name, ()) if wave.count == count]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what `save` has kept."""
        kept = orjson.loads(path.read_bytes())
        return cls(
            conditions=kept["conditions"],
            main=kept["main"],
            waves=_read(Wave, kept["waves"]),
            starts=_read(Start, kept["starts"]),
            streams=_read(Streams, kept["streams"]),
        )

    def save(self, folder: Path, *, name: str, table: str) -> list[Path]:
        """Write the numbers as JSON and the table as Markdown; return where."""
        folder.mkdir(parents=True, exist_ok=True)
        numbers, page = folder / f"{name}.json", folder / f"{name}.md"
        numbers.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))
        page.write_text(table)
        return [numbers, page]


def conditions() -> dict[str, Any]:
    """Return what a reader must know to compare this run with another."""
    return {
        "processor": _processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": _commit(),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def _read(kind: type[_T], kept: dict[str, list[dict[str, Any]]]) -> dict[str, list[_T]]:
    return {name: [kind(**each) for each in found] for name, found in kept.items()}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(
            command,
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
