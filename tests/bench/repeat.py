"""Several runs in one go, and how far they agree: `make bench RUNS=3`.

A figure of one machine on one day says little; its ratio to the floor's, measured beside it, should come out the
same each time. README's table is then drawn from all runs, and `agreement.md` has each ratio of each run.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence

from rich.console import Console
from tests.bench.figures import middle, spread
from tests.bench.record import Record
from tests.bench.run import LATEST, RESULTS
from tests.bench.subjects import FLOOR
from tests.bench.table import LINES, Line, over_budget, tables
from tests.test_docs import write

#: How far a ratio of one run may be from the median of all.
AGREE = 0.15


def agreement(records: Sequence[Record]) -> str:
    """Return the table of the ratios to the floor, run by run."""
    rows = [["ratio to the floor", "program", *_runs(records), "apart"]]
    rows.append(["---", "---", *["--:"] * (len(records) + 1)])
    names = [name for name in records[0].waves if name != FLOOR.name]
    for line in LINES:
        for name in names:
            found = [_ratio(line, record, name) for record in records]
            ratios = [ratio for ratio in found if ratio is not None]
            if line.ratio and len(ratios) == len(records):
                apart = f"{spread(ratios):.0%} {'✓' if spread(ratios) <= AGREE else '✗'}"
                rows.append([line.label, name, *(f"{ratio:.2f}" for ratio in ratios), apart])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def pooled(records: Sequence[Record]) -> Record:
    """Return what all runs have measured, as if it had been one."""
    whole = Record(conditions=records[0].conditions, main=records[0].main)
    for record in records:
        for name, waves in record.waves.items():
            whole.waves.setdefault(name, []).extend(waves)
        for name, starts in record.starts.items():
            whole.starts.setdefault(name, []).extend(starts)
        for name, streams in record.streams.items():
            whole.streams.setdefault(name, []).extend(streams)
    return whole


def publish(names: Sequence[str], console: Console) -> None:
    """Pool runs that are kept already, write the page, and draw README's table from it."""
    records = [Record.load(RESULTS / f"{name}.json") for name in names]
    whole = pooled(records)
    page = tables(whole)
    console.print(page, markup=False)
    console.print(agreement(records), markup=False)
    (RESULTS / "agreement.md").write_text(agreement(records))
    for path in whole.save(RESULTS, name=LATEST, table=page):
        console.print(f"kept in {path}", markup=False)
    write()
    for miss in over_budget(whole):
        console.print(f"over budget: {miss}", markup=False)


def main() -> None:
    """Run the bench several times, each in a process of its own, and publish what they have in common."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.repeat", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--publish-only", action="store_true", help="of runs that are kept already")
    asked = parser.parse_args()
    names = [f"run-{number}" for number in range(1, asked.runs + 1)]
    if not asked.publish_only:
        for name in names:
            command = [sys.executable, "-m", "tests.bench.run", "--repeats", "2", "--name", name]
            # How cost grows with their number is told once; a thousand are always measured, for a poll's cost.
            growth = [] if name == names[0] else ["--growth", "1000"]
            subprocess.run([*command, *growth], check=True)
    publish(names, Console(highlight=False, soft_wrap=True))


def _ratio(line: Line, record: Record, name: str) -> float | None:
    own, floor = line.find(record, name), line.find(record, FLOOR.name)
    return middle(own) / middle(floor) if own and floor and middle(floor) else None


def _runs(records: Sequence[Record]) -> list[str]:
    return [f"run {number}" for number in range(1, len(records) + 1)]


if __name__ == "__main__":
    main()
