"""Half an hour of it: `make soak`. A thousand jobs at once, viewers who come and go, five percent of faults.

What must stay flat is sampled every few seconds: memory, open files, series, and how long after Runway's end the
answers come. The samples, a table and a picture of them go to tests/bench/results.
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
import orjson
import uvloop
from tests.bench.crowd import Crowd
from tests.bench.figures import middle, percentile
from tests.bench.machine import Cores, allow_files, cores, cpu_s, memory
from tests.bench.processes import Running, running
from tests.bench.record import conditions
from tests.bench.subjects import SQLITE
from tests.bench.vendor import vendor

RESULTS = Path(__file__).with_name("results")

QUEUE_S, DURATION_S = 0.5, 29.5
TASK_S = QUEUE_S + DURATION_S

FAULTS = ("poll:502 p=0.05", "create:503 p=0.05")

EVERY_S = 5.0

#: The first minutes fill pools and caches, and are left out of every trend.
WARM_S = 300.0

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one look has found. Everything but the first four is of the time since the look before."""

    at_s: float
    rss_mib: float
    files: int
    series: int
    jobs: int
    streams: int
    share: float
    """Of its core, used by Taxiway."""
    answers: int
    lag_p50_s: float
    lag_p99_s: float


async def soak(*, minutes: float, size: int, at: Cores, folder: Path) -> tuple[list[Sample], Crowd]:
    """Run the service under the crowd; return the samples, and the crowd with what it has met."""
    samples: list[Sample] = []
    async with vendor(core=at.others, folder=folder) as sandbox, aiohttp.ClientSession() as session:
        await sandbox.reset(queue_s=QUEUE_S, duration_s=DURATION_S)
        for fault in FAULTS:
            await sandbox.fault(fault)
        program = SQLITE.program(upstream=sandbox.url, folder=folder)
        async with running(program, core=at.tested, folder=folder) as process:
            crowd = Crowd(process.port, size=size, model=SQLITE.model, task_s=TASK_S)
            loop = asyncio.get_running_loop()
            began_s, used_s, seen_s = loop.time(), cpu_s(process.pid), loop.time()
            async with crowd.asking():
                while loop.time() < began_s + 60 * minutes:
                    await asyncio.sleep(EVERY_S)
                    spent_s, seen_s = loop.time() - seen_s, loop.time()
                    now_used_s = cpu_s(process.pid)
                    share, used_s = (now_used_s - used_s) / spent_s, now_used_s
                    numbers = await _numbers(session, process)
                    samples.append(
                        _sample(crowd, process, numbers, at_s=seen_s - began_s, share=share)
                    )
                    _tell(samples)
    return samples, crowd


def _sample(
    crowd: Crowd, process: Running, numbers: dict[str, float], *, at_s: float, share: float
) -> Sample:
    lags_s, held = crowd.lags_s, memory(process.pid)
    crowd.lags_s = []
    return Sample(
        at_s=round(at_s, 1),
        rss_mib=round(held.rss_bytes / _MIB, 2),
        files=held.files,
        series=len(numbers),
        jobs=int(sum(n for name, n in numbers.items() if name.startswith(_JOBS))),
        streams=int(numbers["taxiway_sse_streams_open"]),
        share=round(share, 3),
        answers=len(lags_s),
        lag_p50_s=round(percentile(lags_s, 50), 3) if lags_s else 0.0,
        lag_p99_s=round(percentile(lags_s, 99), 3) if lags_s else 0.0,
    )


_JOBS = "taxiway_jobs_in_progress{"


async def _numbers(session: aiohttp.ClientSession, process: Running) -> dict[str, float]:
    """Return every series of the service."""
    async with session.get(f"{process.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(number) for name, number in pairs}


def _tell(samples: Sequence[Sample]) -> None:
    if len(samples) % 12 == 0:
        print(samples[-1], flush=True)  # noqa: T201


def page(samples: Sequence[Sample], outcomes: dict[str, int], facts: dict[str, object]) -> str:
    """Return the table: a tenth of the time in each row, and what became of everybody."""
    told = ", ".join(f"{name} {value}" for name, value in facts.items() if value)
    size = -(-len(samples) // 10)
    rows = [_row(samples[start : start + size]) for start in range(0, len(samples), size)]
    return "\n".join(
        [
            f"Tasks of {TASK_S:.0f} s, faults {' and '.join(f'`{fault}`' for fault in FAULTS)}; {told}.",
            "",
            "| until, min | RSS, MiB | files | series | jobs | streams | core, % | answers | p50, s | p99, s |",
            "| --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
            *rows,
            "",
            f"After the first {WARM_S / 60:.0f} minutes memory grew by {trend(samples):+.1f} MiB an hour. "
            "What became of the requests: "
            + ", ".join(f"{name} {number:,}" for name, number in sorted(outcomes.items()))
            + ".",
            "",
        ]
    )


def trend(samples: Sequence[Sample]) -> float:
    """Return by how many MiB an hour memory grows, once it is warm: the slope of the least squares."""
    warm = [sample for sample in samples if sample.at_s > WARM_S] or samples
    mean_at = sum(each.at_s for each in warm) / len(warm)
    mean_rss = sum(each.rss_mib for each in warm) / len(warm)
    above = sum((each.at_s - mean_at) * (each.rss_mib - mean_rss) for each in warm)
    below = sum((each.at_s - mean_at) ** 2 for each in warm)
    return above / below * 3600 if below else 0.0


def _row(some: Sequence[Sample]) -> str:
    cells = [
        f"{some[-1].at_s / 60:.0f}",
        f"{middle([each.rss_mib for each in some]):.1f}",
        f"{middle([each.files for each in some]):,.0f}",
        f"{max(each.series for each in some):,}",
        f"{middle([each.jobs for each in some]):,.0f}",
        f"{middle([each.streams for each in some]):,.0f}",
        f"{middle([each.share for each in some]) * 100:.0f}",
        f"{sum(each.answers for each in some):,}",
        f"{middle([each.lag_p50_s for each in some]):.2f}",
        f"{middle([each.lag_p99_s for each in some]):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def draw(samples: Sequence[Sample], path: Path) -> None:
    """Draw what must stay flat."""
    from matplotlib.figure import Figure

    minutes = [each.at_s / 60 for each in samples]
    figure = Figure(figsize=(8, 8.5), layout="constrained")
    lines = {
        "RSS, MiB": [[each.rss_mib for each in samples]],
        "lag p50 and p99, s": [
            [each.lag_p50_s for each in samples],
            [each.lag_p99_s for each in samples],
        ],
        "open files": [[each.files for each in samples]],
        "series": [[each.series for each in samples]],
        "jobs and streams": [[each.jobs for each in samples], [each.streams for each in samples]],
    }
    axes = figure.subplots(len(lines), 1, sharex=True)
    for axis, (label, curves) in zip(axes, lines.items(), strict=True):
        for curve in curves:
            axis.plot(minutes, curve, linewidth=0.9)
        axis.set_ylabel(label)
        axis.set_ylim(0, 1.15 * max(max(curve) for curve in curves))
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("minutes")
    figure.savefig(path, dpi=80)


def main() -> None:
    """Run the soak, and keep what it has found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--jobs", type=int, default=1_000, help="how many are under way at once")
    parser.add_argument("--name", default="soak", help="of the files in tests/bench/results")
    asked = parser.parse_args()
    facts, at = conditions(), cores()
    allow_files()
    os.sched_setaffinity(0, {at.others})
    with tempfile.TemporaryDirectory(prefix="taxiway-soak-") as folder:
        samples, crowd = uvloop.run(
            soak(minutes=asked.minutes, size=asked.jobs, at=at, folder=Path(folder))
        )
    RESULTS.mkdir(parents=True, exist_ok=True)
    outcomes = dict(crowd.outcomes)
    kept = {"conditions": facts, "outcomes": outcomes, "samples": [asdict(s) for s in samples]}
    (RESULTS / f"{asked.name}.json").write_bytes(orjson.dumps(kept))
    (RESULTS / f"{asked.name}.md").write_text(page(samples, outcomes, facts))
    draw(samples, RESULTS / f"{asked.name}.png")


if __name__ == "__main__":
    main()
