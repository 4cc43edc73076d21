"""A wave: callers, evenly spread over a ramp, who each wait for an image; and what it took to serve them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.callers import Caller, ask, unix_offset_s
from tests.bench.figures import percentile
from tests.bench.machine import Cores, cpu_s, read
from tests.bench.pace import Pace
from tests.bench.postgresql import Database
from tests.bench.processes import Running
from tests.bench.vendor import TASK_S, Made, Vendor

#: How fast a wave rises: four thousand are under way when the first of them ends.
CALLERS_PER_S = 400

#: Requests that warm a program up.
_WARM = 20

#: Two looks of two seconds: whoever was answered later than this was forgotten for a while.
LATE_S = 4.0

#: How long after the last image the last answer is awaited; beyond it, it counts as lost. LiteLLM serves eighteen
#: in three turns, the last of which ends half a minute after it was asked for.
_PATIENCE_S = 45.0

#: Polls alone are measured between the last submission and the first end, if there is time enough.
_SETTLE_S, _WINDOW_MIN_S = 1.0, 3.0

#: Of fewer polls than this, what the program does besides would be told as theirs: LiteLLM's six make some thirty.
_POLLS_MIN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """What one wave came to."""

    count: int
    in_flight: int
    """The most tasks that were under way at the vendor at once."""
    cpu_ms: float
    """CPU of the program for each generation."""
    poll_us: float | None
    """CPU of the program for each poll, while it did nothing else."""
    polls: float
    """Polls of each generation."""
    lag_p50_s: float
    """From the vendor's end of a task to the caller's answer."""
    lag_p99_s: float
    lost: int
    late: int
    bought_twice: int
    healthz_p99_ms: float
    tested_share: float
    """Of its core, used by the program."""
    vendor_share: float
    """Of the other core, used by the sandbox."""
    database_share: float
    """Of the other core, used by the database server, where there is one."""
    load_share: float
    """Of the other core, used by the load generator."""
    foreign_share: float
    """Of the program's core, used by anybody else: what disturbs the measurement."""
    pace_ms: float
    """What the same piece of work took meanwhile."""


async def wave(
    subject: Running,
    vendor: Vendor,
    *,
    model: str,
    count: int,
    cores: Cores,
    pace: Pace,
    database: Database | None = None,
) -> Wave:
    """Send a wave through a program that is up, and wait until all is answered or lost."""
    await vendor.reset()
    ramp_s = max(1.0, count / CALLERS_PER_S)
    database_s = database.cpu_s() if database else 0.0
    loop = asyncio.get_running_loop()
    own_pid = os.getpid()
    began_s, before = loop.time(), read(subject.pid, core=cores.tested)
    spun = pace.read()
    vendor_s, load_s = cpu_s(vendor.pid), cpu_s(own_pid)
    window = asyncio.create_task(_poll_us(subject, vendor, ramp_s=ramp_s))
    async with probing(subject.port, core=cores.others) as probed_s:
        callers = await _answered(subject.port, model=model, count=count, ramp_s=ramp_s)
    spent_s, after = loop.time() - began_s, read(subject.pid, core=cores.tested)
    vendor_s, load_s = cpu_s(vendor.pid) - vendor_s, cpu_s(own_pid) - load_s
    made = await vendor.made()
    lags_s = _lags_s(callers, made, offset_s=unix_offset_s())
    used_s = after.cpu_s - before.cpu_s
    spun_s = pace.read().process_s - spun.process_s
    foreign_s = after.core_busy_s - before.core_busy_s - used_s - spun_s
    return Wave(
        count=count,
        in_flight=_in_flight(made),
        cpu_ms=used_s / count * 1e3,
        poll_us=await window,
        polls=sum(task.polls for task in made) / count,
        lag_p50_s=percentile(lags_s, 50),
        lag_p99_s=percentile(lags_s, 99),
        lost=count - len(lags_s),
        late=sum(lag_s > LATE_S for lag_s in lags_s),
        bought_twice=len(made) - len({task.prompt for task in made}),
        healthz_p99_ms=percentile(probed_s, 99) * 1e3,
        tested_share=used_s / spent_s,
        vendor_share=vendor_s / spent_s,
        load_share=load_s / spent_s,
        database_share=(database.cpu_s() - database_s) / spent_s if database else 0.0,
        foreign_share=max(0.0, foreign_s / spent_s),
        pace_ms=pace.since(spun),
    )


async def warm(port: int, vendor: Vendor, *, model: str) -> None:
    """Let a program load what it loads at its first request."""
    await vendor.reset(queue_s=0, duration_s=0.5)
    await _answered(port, model=model, count=_WARM, ramp_s=0.5)


@asynccontextmanager
async def probing(port: int, *, core: int, path: str = "/healthz") -> AsyncIterator[list[float]]:
    """Probe a program while the context lasts; afterwards the list holds how long each answer took."""
    took_s: list[float] = []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", str(Path(__file__).with_name("probe.py")), str(port), path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield took_s
        told, _ = await asyncio.wait_for(process.communicate(b""), timeout=15)
        took_s.extend(json.loads(told))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _answered(port: int, *, model: str, count: int, ramp_s: float) -> Sequence[Caller]:
    """Let everybody ask in turn; return when all are answered, or their patience has ended."""
    loop = asyncio.get_running_loop()
    began_s, asking = loop.time(), []
    for number in range(count):
        await asyncio.sleep(began_s + ramp_s * number / count - loop.time())
        asking.append(asyncio.create_task(ask(port, f"fox {number}", model=model)))
    reached = [
        each
        for each in await asyncio.gather(*asking, return_exceptions=True)
        if isinstance(each, Caller)
    ]
    if reached:
        await asyncio.wait([each.done for each in reached], timeout=TASK_S + _PATIENCE_S)
    for caller in reached:
        caller.hang_up()
    return reached


async def _poll_us(subject: Running, vendor: Vendor, *, ramp_s: float) -> float | None:
    """Return the CPU of a poll, in microseconds, measured while there is nothing but polls; None for too few."""
    from_s, to_s = ramp_s + _SETTLE_S, TASK_S - _SETTLE_S
    if to_s - from_s < _WINDOW_MIN_S:
        return None
    await asyncio.sleep(from_s)
    cpu_before_s, before = cpu_s(subject.pid), await vendor.polls()
    await asyncio.sleep(to_s - from_s)
    used_s, polls = cpu_s(subject.pid) - cpu_before_s, await vendor.polls() - before
    return used_s / polls * 1e6 if polls >= _POLLS_MIN else None


def _lags_s(callers: Sequence[Caller], made: Sequence[Made], *, offset_s: float) -> list[float]:
    """Return how long after the vendor's end each good answer came. Answers are matched by their requests."""
    ended_at = {task.prompt: task.ended_at for task in made}
    return [
        caller.answered_at_s + offset_s - ended_at[caller.prompt]
        for caller in callers
        if caller.status == 200 and caller.prompt in ended_at
    ]


def _in_flight(made: Sequence[Made]) -> int:
    """Return the most tasks that were under way at once."""
    steps = [(task.created_at, 1) for task in made] + [(task.ended_at, -1) for task in made]
    now = most = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most
