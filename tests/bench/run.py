"""The bench: `make bench`. Taxiway beside the floor, in one run, in turns.

The program under test has a core to itself, with all its threads. On the other one are the sandbox, the load, and
a PostgreSQL where there is one. Nothing leaves the loopback interface, and nothing is left behind.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop
from rich.console import Console
from tests.bench.machine import Cores, allow_files, cores
from tests.bench.pace import Pace, pacing
from tests.bench.postgresql import Database, database
from tests.bench.processes import running
from tests.bench.record import Record, conditions
from tests.bench.starting import start
from tests.bench.streaming import Crowd, streams
from tests.bench.subjects import (
    FLOOR,
    KEEPING,
    LITELLM,
    SQLITE,
    Subject,
    litellm_python,
    postgres,
)
from tests.bench.table import over_budget, tables
from tests.bench.vendor import Vendor, vendor
from tests.bench.waves import warm, wave
from tests.test_docs import write

#: The run whose table stands in the README.
LATEST = "latest"

RESULTS = Path(__file__).with_name("results")

#: LiteLLM serves six at a time: three turns of six say as much about it as a thousand.
_LITELLM_COUNT = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run measures."""

    only: str = "floor,sqlite,postgres,keeping,litellm"
    main: int = 4_000
    repeats: int = 3
    starts: int = 3
    streams: int = 3
    growth: Sequence[int] = (250, 1_000, 8_000)
    crowd: Crowd = field(default_factory=Crowd)


#: Three minutes instead of ten: enough to see what a change has done.
QUICK = Plan(
    only="floor,sqlite,postgres",
    repeats=1,
    starts=1,
    streams=1,
    growth=(1_000,),
    crowd=Crowd(jobs=50, viewers=1_000, idle=1_000, watched=500, seconds=4.0),
)


class Bench:
    """One run. Owns nothing but what it has measured so far."""

    def __init__(self, plan: Plan, *, at: Cores, folder: Path, console: Console) -> None:
        self._plan = plan
        self._cores = at
        self._folder = folder
        self._console = console
        self._numbers = iter(range(1_000_000))
        self.record = Record(conditions=conditions(), main=plan.main)

    async def run(self, wanted: Sequence[str]) -> None:
        """Measure the programs that are wanted and available, in turns."""
        other = self._cores.others
        async with (
            vendor(core=other, folder=self._folder) as sandbox,
            database(core=other, folder=self._folder / "postgres") as server,
            pacing(core=self._cores.tested, folder=self._folder) as pace,
        ):
            subjects = [each for each in _available(server) if each.key in wanted]
            await self._all_starts(subjects, sandbox, pace)
            await self._all_waves(subjects, sandbox, pace, server)
            await self._all_streams(subjects, sandbox, pace)

    async def _all_starts(self, subjects: Sequence[Subject], sandbox: Vendor, pace: Pace) -> None:
        for turn in range(1 + self._plan.starts):
            for subject in subjects:
                if subject.starts(turn):
                    await self._start(subject, sandbox, pace, turn)

    async def _all_waves(
        self, subjects: Sequence[Subject], sandbox: Vendor, pace: Pace, server: Database | None
    ) -> None:
        for repeat in range(self._plan.repeats):
            for subject in subjects:
                if subject.repeats or repeat == 0:
                    await self._waves(subject, sandbox, pace, [self._main(subject)], server)
        for subject in subjects:
            if subject.grows:
                await self._waves(subject, sandbox, pace, self._plan.growth, server)

    async def _all_streams(self, subjects: Sequence[Subject], sandbox: Vendor, pace: Pace) -> None:
        for turn in range(self._plan.streams):
            for subject in subjects:
                if subject.grows:
                    await self._streams(subject, sandbox, pace, turn)

    def _main(self, subject: Subject) -> int:
        return _LITELLM_COUNT if subject is LITELLM else self._plan.main

    async def _start(self, subject: Subject, sandbox: Vendor, pace: Pace, turn: int) -> None:
        times = subject.boots if turn else 1
        self._say(f"{subject.name}: {1 + times} starts")
        found = await start(
            subject,
            upstream=sandbox.url,
            cores=self._cores,
            pace=pace,
            folder=self._fresh(),
            new=subject.new(turn),
            times=times,
        )
        if turn:
            self.record.starts.setdefault(subject.name, []).append(found)

    async def _waves(
        self,
        subject: Subject,
        sandbox: Vendor,
        pace: Pace,
        sizes: Sequence[int],
        server: Database | None,
    ) -> None:
        folder = self._fresh()
        folder.mkdir()
        program = subject.program(upstream=sandbox.url, folder=folder)
        async with running(program, core=self._cores.tested, folder=folder) as process:
            await warm(process.port, sandbox, model=subject.model)
            for size in sizes:
                self._say(f"{subject.name}: {size:,} generations")
                found = await wave(
                    process,
                    sandbox,
                    model=subject.model,
                    count=size,
                    cores=self._cores,
                    pace=pace,
                    database=server if subject.database else None,
                )
                self.record.waves.setdefault(subject.name, []).append(found)
                self._say(
                    f"    {found.cpu_ms:.2f} ms each at a pace of {found.pace_ms:.2f}, p99"
                    f" {found.lag_p99_s:.2f} s, lost {found.lost},"
                    f" others had {found.foreign_share:.0%} of the core"
                )

    async def _streams(self, subject: Subject, sandbox: Vendor, pace: Pace, turn: int) -> None:
        self._say(f"{subject.name}: {self._plan.crowd.viewers:,} viewers")
        # What a stream or a job holds is the same each time; what an event costs is not.
        before = self.record.streams[subject.name][0] if turn else None
        found = await streams(
            subject,
            sandbox,
            crowd=self._plan.crowd,
            cores=self._cores,
            pace=pace,
            folder=self._fresh(),
            before=before,
        )
        self.record.streams.setdefault(subject.name, []).append(found)
        self._say(f"    {found.event_us:.1f} µs per event at {found.events_per_s:,.0f} a second")

    def _fresh(self) -> Path:
        """Return a folder that does not exist yet: every program begins with an empty database."""
        return self._folder / f"run-{next(self._numbers)}"

    def _say(self, text: str) -> None:
        self._console.print(text)


def _available(server: Database | None) -> list[Subject]:
    found = [FLOOR, SQLITE]
    if server is not None:
        found.append(postgres(server.url))
    found.append(KEEPING)
    if litellm_python() is not None:
        found.append(LITELLM)
    return found


def main() -> None:
    """Run the bench, print its tables, and keep them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three minutes instead of ten")
    parser.add_argument("--repeats", type=int, help="how often the main wave is repeated")
    parser.add_argument(
        "--growth",
        type=lambda text: [int(size) for size in text.split(",")],
        help="other sizes of waves than the main one, by comma",
    )
    parser.add_argument(
        "--only",
        help="programs, by comma: floor, sqlite, postgres, keeping, litellm",
    )
    parser.add_argument(
        "--name",
        default=LATEST,
        help="of the files in tests/bench/results; README's table is drawn from latest",
    )
    asked = parser.parse_args()
    plan = _changed(QUICK if asked.quick else Plan(), asked)
    console = Console(highlight=False, soft_wrap=True)
    at = cores()
    allow_files()
    os.sched_setaffinity(0, {at.others})
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        bench = Bench(plan, at=at, folder=Path(folder), console=console)
        uvloop.run(bench.run((asked.only or plan.only).split(",")))
    page = tables(bench.record)
    console.print(page, markup=False)
    for path in bench.record.save(RESULTS, name=asked.name, table=page):
        console.print(f"kept in {path}", markup=False)
    if asked.name == LATEST:
        write()
    for miss in over_budget(bench.record):
        console.print(f"over budget: {miss}", markup=False)


def _changed(plan: Plan, asked: argparse.Namespace) -> Plan:
    changes = {"repeats": asked.repeats, "growth": asked.growth}
    return replace(plan, **{name: each for name, each in changes.items() if each is not None})


if __name__ == "__main__":
    main()
