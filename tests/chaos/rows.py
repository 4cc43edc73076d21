"""What is done to Taxiway, a row of the table each."""

import asyncio
import random
import resource
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGCONT, SIGSTOP, SIGTERM

from tests.chaos.account import Account, take
from tests.chaos.callers import Crowd, Wish
from tests.chaos.forge import Forge
from tests.chaos.ground import LEASE_S, Ground, Replica, ground
from tests.databases import Postgres

from taxiway.cadence import every

#: What Runway does to the rows under load: answers that are lost, late, cut off, refused, or nonsense.
WEATHER = (
    "create:cut p=0.02 seed=1",
    "create:503 p=0.02 seed=2",
    "create:429 body=throttle retry_after=1 p=0.02 seed=3",
    "create:slow delay=0.4 p=0.1 seed=4",
    "poll:502 p=0.05 seed=5",
    "poll:truncated p=0.03 seed=6",
    "poll:cut p=0.03 seed=7",
    "poll:slow delay=1 p=0.03 seed=8",
    "output:half p=0.05 seed=9",
    "output:slow delay=0.5 p=0.1 seed=10",
    "fail:INTERNAL p=0.03 seed=11",
)


#: How much longer a commit takes under load, so that kills meet commits half-way.
SLOW_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of it all."""

    every: int = 1
    """Every so many moments of a life are killed at."""
    jobs: int = 120
    kills: int = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: on which store, in which words, and what is done."""

    store: str
    what: str
    do: Callable[[Ground, Crowd, Size], Awaitable[None]]


async def run(
    row: Row, *, forge: Forge, folder: Path, size: Size, postgres: Postgres | None = None
) -> tuple[Account, list[str]]:
    """Do what a row says and let everybody settle; return the account, and a sentence for every broken promise."""
    async with (
        ground(forge, folder=folder, postgres=postgres) as made,
        Crowd(made, seed=len(row.what)) as crowd,
    ):
        await row.do(made, crowd, size)
        await made.weather()
        await asyncio.gather(*(up(replica) for replica in made.replicas))
        await crowd.settle()
        return await take(made, crowd)


async def up(replica: Replica, **environ: str) -> None:
    """Have a replica run and be ready."""
    replica.note_death()
    if not replica.running:
        await replica.begin(**environ)
    await replica.ready()


# Killed at every await


async def every_await_of_a_new_life(ground: Ground, crowd: Crowd, size: Size) -> None:
    """Kill the owner of a new job at each moment of its life, and go on with the next process."""
    owner, others = ground.replicas[0], ground.replicas[1:]
    await asyncio.gather(*(up(other) for other in others))
    moments = await moments_of(ground, crowd, owner, life="new")
    for moment in moments[:: size.every]:
        await owner.begin(CHAOS_LIFE="new", CHAOS_MOMENT=moment)
        await _dead(ground, owner, crowd.wish(at=owner))


async def every_await_of_a_second_life(ground: Ground, crowd: Crowd, size: Size) -> None:
    """Kill the one who has taken a job over at each moment of that, job after job."""
    first, heir = ground.replicas[0], ground.replicas[-1]
    # It must not be over before its new owner is there.
    takes_s = 0.5 if first is heir else LEASE_S * 2.2
    diary = ground.folder / "moments"
    await _orphan(crowd, first, takes_s=takes_s)
    await heir.begin(CHAOS_LIFE="adopted", CHAOS_MOMENTS=str(diary))
    await crowd.settle()
    await heir.kill()
    for moment in read_moments(diary)[:: size.every]:
        await _orphan(crowd, first, takes_s=takes_s)
        await heir.begin(CHAOS_LIFE="adopted", CHAOS_MOMENT=moment)
        await _dead(ground, heir, crowd.wishes[-1])


async def _orphan(crowd: Crowd, owner: Replica, *, takes_s: float) -> None:
    """Leave a job behind whose Runway task is bought, and whose owner is dead."""
    await up(owner)
    wish = crowd.wish(f"[[slow:{takes_s}]]", at=owner)
    async for _ in every(0.02):
        if any(seen.upstream_ids for seen in wish.seen):
            break
    await owner.kill()


async def _dead(ground: Ground, owner: Replica, wish: Wish) -> None:
    """Return when a process has ended itself, or else has brought a wish to its end and was killed then."""
    async for _ in every(0.02):
        if wish.ended or not owner.running:
            break
    ground.moments += 1
    ground.reached += not owner.running
    await owner.kill()


async def moments_of(ground: Ground, crowd: Crowd, owner: Replica, *, life: str) -> Sequence[str]:
    """Return every moment of an undisturbed life."""
    diary = ground.folder / "moments"
    await up(owner, CHAOS_LIFE=life, CHAOS_MOMENTS=str(diary))
    crowd.wish(at=owner)
    await crowd.settle()
    await owner.kill()
    return read_moments(diary)


def read_moments(diary: Path) -> Sequence[str]:
    """Return the moments that were written down."""
    return diary.read_text().splitlines()


# Killed at random


async def under_load(ground: Ground, crowd: Crowd, size: Size) -> None:
    """Kill one process after the other while callers come in all manners, in bad weather."""
    await ground.weather(*WEATHER)
    await ground.change_runway(jitter=0.5)
    for wire in ground.wires:
        wire.delay_s = SLOW_S / 2
    for replica in ground.replicas:
        replica.environ["CHAOS_DISK_S"] = str(SLOW_S)
    await asyncio.gather(*(up(replica) for replica in ground.replicas))
    storm = asyncio.create_task(_storm(ground, size.kills))
    await crowd.wish_many(size.jobs, over_s=size.kills * 1.2)
    await storm


async def _storm(ground: Ground, kills: int) -> None:
    dice = random.Random(kills)
    for number in range(kills):
        victim = ground.replicas[number % len(ground.replicas)]
        await asyncio.sleep(dice.uniform(0.2, 1.2))
        if number % 8 == 7:
            assert await victim.kill(SIGTERM) == 0
        else:
            await victim.kill()
        await asyncio.sleep(dice.uniform(0, 0.3))
        await up(victim)


async def cut_off(ground: Ground, crowd: Crowd, size: Size) -> None:
    """Freeze one replica after the other, or cut it off from the database, for longer than its lease."""
    await ground.change_runway(jitter=0.5)
    await asyncio.gather(*(up(replica) for replica in ground.replicas))
    times = max(2, size.kills // 3)
    asking = asyncio.create_task(crowd.wish_many(size.jobs // 2, over_s=times * LEASE_S * 3))
    for number in range(times):
        victim, wire = ground.replicas[number % 2], ground.wires[number % 2]
        await asyncio.sleep(LEASE_S)
        if number % 4 < 2:
            victim.send(SIGSTOP)
            await asyncio.sleep(LEASE_S * 2)
            # When it wakes up, its jobs are somebody else's.
            victim.send(SIGCONT)
        else:
            wire.cut()
            await asyncio.sleep(LEASE_S * 2)
            await ground.replicas[1 - number % 2].kill()
            wire.mend()
            await up(ground.replicas[1 - number % 2])
    await asking


async def wrong_clocks(ground: Ground, crowd: Crowd, size: Size) -> None:
    """Set the clock two minutes on or back at every start, and let it jump by an hour back and forth."""
    await asyncio.gather(*(_up_at(replica, n) for n, replica in enumerate(ground.replicas)))
    kills = size.kills // 2
    asking = asyncio.create_task(crowd.wish_many(size.jobs // 2, over_s=kills * 1.2))
    for number in range(kills):
        victim = ground.replicas[number % len(ground.replicas)]
        await asyncio.sleep(0.7)
        await victim.kill()
        await _up_at(victim, number + 1)
    await asking


async def _up_at(replica: Replica, number: int) -> None:
    await up(replica, CHAOS_CLOCK_S=str((-120, 120)[number % 2]), CHAOS_SWING_S="3600")


async def a_full_disk(ground: Ground, crowd: Crowd, size: Size) -> None:
    """Let the disk be full for a second and more, again and again; kill the process while it is, sometimes."""
    (owner,) = ground.replicas
    await up(owner)
    times = max(2, size.kills // 2)
    asking = asyncio.create_task(crowd.wish_many(size.jobs // 2, over_s=times * 2.0))
    for number in range(times):
        await asyncio.sleep(0.7)
        _fill_up(owner, full=True)
        await asyncio.sleep(1.2)
        if number % 2:
            await owner.kill()
            await up(owner)
        else:
            _fill_up(owner, full=False)
    await asking


def _fill_up(owner: Replica, *, full: bool) -> None:
    """Let no file of a process grow beyond a page: the kernel refuses, as on a full disk."""
    assert owner.process is not None
    _, hard = resource.prlimit(owner.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(owner.process.pid, resource.RLIMIT_FSIZE, (4096 if full else hard, hard))


async def a_restarted_database(ground: Ground, crowd: Crowd, size: Size) -> None:
    """Stop PostgreSQL or let it crash, again and again; kill a replica while it is away."""
    assert ground.postgres is not None
    await asyncio.gather(*(up(replica) for replica in ground.replicas))
    times = max(2, size.kills // 3)
    asking = asyncio.create_task(crowd.wish_many(size.jobs // 2, over_s=times * 4.0))
    for number in range(times):
        await asyncio.sleep(1.0)
        await asyncio.to_thread(ground.postgres.crash if number % 2 else ground.postgres.stop)
        victim = ground.replicas[number % 2]
        await asyncio.sleep(0.5)
        if number % 2:
            await victim.kill()
        await asyncio.to_thread(ground.postgres.start)
        await up(victim)
    await asking


SQLITE = "SQLite, one process"
POSTGRESQL = "PostgreSQL, two replicas"


def rows() -> Sequence[Row]:
    """Return every row, in the order of the table."""
    new = Row(
        store=SQLITE,
        what="the owner of a new job killed at every `await` of its life",
        do=every_await_of_a_new_life,
    )
    second = Row(
        store=SQLITE,
        what="killed, and its successor killed at every `await` of going on with the job",
        do=every_await_of_a_second_life,
    )
    load = Row(
        store=SQLITE,
        what="killed at random under load; Runway's answers lost, late, cut off, refused",
        do=under_load,
    )
    clocks = Row(
        store=SQLITE,
        what="clock two minutes wrong at every start, jumping by an hour; killed under load",
        do=wrong_clocks,
    )
    return (
        new,
        second,
        load,
        Row(
            store=SQLITE,
            what="disk full again and again under load; killed meanwhile",
            do=a_full_disk,
        ),
        clocks,
        *(replace(row, store=POSTGRESQL) for row in (new, second)),
        replace(load, store=POSTGRESQL, what=f"in turn {load.what}"),
        Row(
            store=POSTGRESQL,
            what="one frozen or cut off from the database for longer than its lease; the other killed meanwhile",
            do=cut_off,
        ),
        Row(
            store=POSTGRESQL,
            what="PostgreSQL stopped or crashed under load; replicas killed meanwhile",
            do=a_restarted_database,
        ),
        replace(clocks, store=POSTGRESQL),
    )
