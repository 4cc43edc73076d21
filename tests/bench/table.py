"""The tables: every figure beside the floor's, and beside its budget."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.bench.figures import middle, spread
from tests.bench.record import Record
from tests.bench.starting import Start
from tests.bench.streaming import Streams
from tests.bench.subjects import FLOOR
from tests.bench.waves import Wave

Values = Sequence[float]

_T = TypeVar("_T", Wave, Start, Streams)

#: Judges a program's figure against the floor's.
Judge = Callable[[float, float], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure: what it is, where it is found, how it is written, and what it may be."""

    label: str
    find: Callable[[Record, str], Values]
    digits: int = 1
    budget: str = ""
    judge: Judge | None = None
    ratio: bool = True


def _wave(
    get: Callable[[Wave], float | None], *, size: int | None = None, paced: bool = False
) -> Callable[..., Values]:
    def find(record: Record, name: str) -> Values:
        waves = record.of_size(name, size or record.main) or record.waves.get(name, [])[-1:]
        return _values(record, waves, get, paced=paced)

    return find


def _start(get: Callable[[Start], float | None], *, paced: bool = False) -> Callable[..., Values]:
    return lambda record, name: _values(record, record.starts.get(name, ()), get, paced=paced)


def _stream(get: Callable[[Streams], float], *, paced: bool = False) -> Callable[..., Values]:
    return lambda record, name: _values(record, record.streams.get(name, ()), get, paced=paced)


def _values(
    record: Record, found: Iterable[_T], get: Callable[[_T], float | None], *, paced: bool
) -> Values:
    """Return what was measured; `paced` is told as if all had run at the pace of the middle."""
    return [
        value * (record.pace_ms / each.pace_ms if paced else 1.0)
        for each in found
        if (value := get(each)) is not None
    ]


def _at_most(limit: float) -> Judge:
    return lambda own, _: own <= limit


LINES = (
    Line(
        label="CPU per generation, ms",
        find=_wave(lambda wave: wave.cpu_ms, paced=True),
        digits=2,
        budget="≤ 1.5 x floor",
        judge=lambda own, floor: own <= 1.5 * floor,
    ),
    Line(
        label="CPU per poll, µs",
        find=_wave(lambda wave: wave.poll_us, size=1_000, paced=True),
        digits=0,
    ),
    Line(
        label="generations in flight",
        find=_wave(lambda wave: wave.in_flight),
        digits=0,
        budget="≥ 4,000",
        judge=lambda own, _: own >= 4_000,
        ratio=False,
    ),
    Line(
        label="late, lost or bought twice",
        find=_wave(lambda wave: wave.late + wave.lost + wave.bought_twice),
        digits=0,
        budget="0",
        judge=_at_most(0),
        ratio=False,
    ),
    Line(
        label="Runway's end to the answer, p50, s",
        find=_wave(lambda wave: wave.lag_p50_s),
        digits=2,
    ),
    Line(
        label="Runway's end to the answer, p99, s",
        find=_wave(lambda wave: wave.lag_p99_s),
        digits=2,
        budget="≤ floor + 0.25",
        judge=lambda own, floor: own <= floor + 0.25,
    ),
    Line(
        label="`/healthz` under this load, p99, ms",
        find=_wave(lambda wave: wave.healthz_p99_ms),
        budget="≤ 50",
        judge=_at_most(50),
        # Seven of the worst milliseconds of one program beside seven of another's: by chance, and no ratio.
        ratio=False,
    ),
    Line(
        label="memory per job with its viewer, KiB",
        find=_stream(lambda streams: streams.job_kib),
        budget="≤ 32",
        judge=_at_most(32),
    ),
    Line(
        label="CPU per event and viewer, µs",
        find=_stream(lambda streams: streams.event_us, paced=True),
        budget="≤ 25",
        judge=_at_most(25),
    ),
    Line(
        label="memory per idle stream, KiB",
        find=_stream(lambda streams: streams.idle_kib),
        budget="≤ 14",
        judge=_at_most(14),
    ),
    Line(
        label="memory of an idle service, MB",
        find=_start(lambda start: start.idle_mb),
        digits=0,
        budget="≤ 90",
        judge=_at_most(90),
    ),
    Line(
        label="boot to the first healthy answer, s",
        find=_start(lambda start: start.boot_s, paced=True),
        digits=2,
        budget="≤ 1.5",
        judge=_at_most(1.5),
    ),
    Line(
        label="the same, making its database, s",
        find=_start(lambda start: start.first_boot_s, paced=True),
        digits=2,
    ),
    Line(
        label="import of the package, s",
        find=_start(lambda start: start.import_s),
        digits=3,
        budget="≤ 0.3",
        judge=_at_most(0.3),
        ratio=False,
    ),
    Line(
        label="share of its core, %",
        find=_wave(lambda wave: wave.tested_share * 100, paced=True),
        digits=0,
    ),
    Line(
        label="a piece of work beside it, ms",
        find=_wave(lambda wave: wave.pace_ms),
        digits=2,
        ratio=False,
    ),
    Line(
        label="others on its core, %",
        find=_wave(lambda wave: wave.foreign_share * 100),
        digits=0,
        ratio=False,
    ),
    Line(
        label="sandbox's share of the other core, %",
        find=_wave(lambda wave: wave.vendor_share * 100),
        digits=0,
        ratio=False,
    ),
    Line(
        label="load's share of the other core, %",
        find=_wave(lambda wave: wave.load_share * 100),
        digits=0,
        ratio=False,
    ),
    Line(
        label="database's share of the other core, %",
        find=_wave(lambda wave: wave.database_share * 100),
        digits=0,
        ratio=False,
    ),
)


def tables(record: Record) -> str:
    """Return the page: the conditions, the figures against their budgets, and the growth."""
    facts = ", ".join(f"{name} {value}" for name, value in record.conditions.items() if value)
    return "\n".join(
        [
            f"A wave of {record.main:,} generations of 10.7 s; {facts}.",
            "Figures are medians of the repeats, ± the widest distance from it; x is the ratio to the floor.",
            "CPU and starts are told at the machine's median pace: each is scaled by the piece of work beside it.",
            "",
            *_figures(record),
            "",
            *_growth(record),
            "",
        ]
    )


def over_budget(record: Record) -> list[str]:
    """Return the budgets that a Taxiway of this run has missed."""
    return [
        f"{name}: {line.label}"
        for line in LINES
        for name in _names(record)
        if name.startswith("Taxiway") and _verdict(line, record, name) == " ✗"
    ]


def _figures(record: Record) -> list[str]:
    names = _names(record)
    rows = [["", *names, "budget"], ["---"] + ["--:"] * len(names) + ["---"]]
    rows += [
        [line.label, *(_cell(line, record, name) for name in names), line.budget or "-"]
        for line in LINES
    ]
    return [f"| {' | '.join(row)} |" for row in rows]


def _growth(record: Record) -> list[str]:
    rows = [
        [
            "generations",
            "program",
            "in flight",
            "CPU ms each",
            "polls each",
            "p99 s",
            "late",
            "lost",
        ],
        ["--:", "---", "--:", "--:", "--:", "--:", "--:", "--:"],
    ]
    rows += [
        _grown(record, name, waves)
        for size in sorted({wave.count for waves in record.waves.values() for wave in waves})
        for name in _names(record)
        if (waves := record.of_size(name, size))
    ]
    return [f"| {' | '.join(row)} |" for row in rows]


def _grown(record: Record, name: str, waves: Sequence[Wave]) -> list[str]:
    cpu_ms = _values(record, waves, lambda wave: wave.cpu_ms, paced=True)
    return [
        f"{waves[0].count:,}",
        name,
        f"{middle([wave.in_flight for wave in waves]):,.0f}",
        f"{middle(cpu_ms):.2f}",
        f"{middle([wave.polls for wave in waves]):.1f}",
        f"{middle([wave.lag_p99_s for wave in waves]):.2f}",
        str(sum(wave.late for wave in waves)),
        str(sum(wave.lost for wave in waves)),
    ]


def _cell(line: Line, record: Record, name: str) -> str:
    values = line.find(record, name)
    if not values:
        return "-"
    text = f"{middle(values):,.{line.digits}f}"
    if len(values) > 1 and spread(values) >= 0.005:
        text += f" ±{spread(values):.0%}"
    floor = line.find(record, FLOOR.name)
    if line.ratio and name != FLOOR.name and floor and middle(floor):
        text += f" ({middle(values) / middle(floor):.2f} x)"
    return text + _verdict(line, record, name)


def _verdict(line: Line, record: Record, name: str) -> str:
    values, floor = line.find(record, name), line.find(record, FLOOR.name)
    if line.judge is None or name == FLOOR.name or not values:
        return ""
    return " ✓" if line.judge(middle(values), middle(floor) if floor else 0.0) else " ✗"


def _names(record: Record) -> list[str]:
    return list(dict.fromkeys([*record.waves, *record.starts, *record.streams]))
