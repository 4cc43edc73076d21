"""What the bench has found is told as it was found."""

from dataclasses import replace
from pathlib import Path

from tests.bench.record import Record
from tests.bench.repeat import agreement, pooled
from tests.bench.table import tables

RESULTS = Path(__file__).parent / "bench" / "results"


def test_the_published_table_is_drawn_from_the_published_numbers() -> None:
    """Nobody writes a figure by hand: the page of the last bench says what its numbers say."""
    record = Record.load(RESULTS / "latest.json")

    assert tables(record) == (RESULTS / "latest.md").read_text()


def test_runs_agree_where_their_ratios_do() -> None:
    """Runs of machines of different speed agree: what is compared is the ratio to the floor of the same run.

    So does a run whose machine slowed down for one program only: its pace was measured meanwhile.
    """
    record = Record.load(RESULTS / "latest.json")
    slower = Record.load(RESULTS / "latest.json")
    for name, waves in slower.waves.items():
        slower.waves[name] = [replace(wave, cpu_ms=2 * wave.cpu_ms) for wave in waves]
    odd = Record.load(RESULTS / "latest.json")
    name = "Taxiway, SQLite"
    odd.waves[name] = [replace(wave, cpu_ms=2 * wave.cpu_ms) for wave in odd.waves[name]]

    def verdict(*records: Record) -> str:
        rows = agreement(records).splitlines()
        [row] = [row for row in rows if row.startswith(f"| CPU per generation, ms | {name} |")]
        return row.rstrip(" |").rpartition("| ")[2]

    paced = Record.load(RESULTS / "latest.json")
    paced.waves[name] = [
        replace(wave, cpu_ms=2 * wave.cpu_ms, pace_ms=2 * wave.pace_ms)
        for wave in paced.waves[name]
    ]

    assert verdict(record, slower, record) == "0% ✓"
    assert verdict(record, paced, record) == "0% ✓"
    assert verdict(record, odd, record) == "100% ✗"
    assert len(pooled([record, odd]).waves[name]) == 2 * len(record.waves[name])
