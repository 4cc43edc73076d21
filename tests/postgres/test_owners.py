"""Several replicas on one database: who owns a job, and who is told."""

import asyncio
import signal
import sys
from typing import Any

import pytest
from tests.postgres.servers import (
    Opener,
    cut_off,
    event,
    heard_some,
    new_job,
    running,
    server_down,
    tick_of,
    until_it_works,
)

from taxiway.facts import Submitted, Submitting
from taxiway.jobs import Job
from taxiway.signals import CancelWanted, Changed, Placed, Released, Resync, Signal, Ticked
from taxiway.store import Store
from taxiway.store.postgres import signals
from taxiway.transitions import advance

pytestmark = [pytest.mark.looptime(False), pytest.mark.quiet]


class TestReplicas:
    """What only several processes see."""

    async def test_the_dead_are_buried(self, another: Opener, psql: Any) -> None:
        """A replica that is gone and has left nothing behind is forgotten by the next claim."""
        dead, living = await another(lease_s=0.1), await another()
        await dead.create(event(new_job(1)))
        await asyncio.sleep(0.2)
        claimed = await living.claim()

        rows = await psql.fetch("SELECT id FROM replicas")
        assert ([new_job(1)], [living.owner]) == (list(claimed), [row["id"] for row in rows])

    async def test_who_was_buried_comes_back(self, another: Opener) -> None:
        """A process that was taken for dead hears what it has lost, and lives on."""
        sleeper, other = await another(lease_s=1.0), await another()
        await sleeper.create(event(new_job(1)))
        await asyncio.sleep(1.1)
        await other.claim()

        assert {"job_0001"} == await sleeper.renew()
        await sleeper.create(event(new_job(2)))
        assert [] == list(await other.claim())

    async def test_a_release_is_the_last_word(self, another: Opener) -> None:
        """A renewal that is under way when the lease is released does not bring it back."""
        leaving, other = await another(), await another()
        await leaving.create(event(new_job(1)))

        await asyncio.gather(leaving.renew(), leaving.release())

        assert not leaving.lease_alive()
        assert [new_job(1)] == list(await other.claim())

    async def test_a_lease_waits_for_no_reader(self, store: Store, psql: Any) -> None:
        """While every reader waits for the database, the lease is renewed and let go of as ever."""
        async with psql.transaction():
            await psql.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
            readers = [asyncio.create_task(store.get("job_1")) for _ in range(20)]
            await asyncio.sleep(0.2)
            async with asyncio.timeout(2):
                lost = await store.renew()
                await store.release()
            waiting = [reader.done() for reader in readers]

        assert (frozenset(), [False] * 20) == (lost, waiting)
        assert [None] * 20 == await asyncio.gather(*readers)

    async def test_jobs_without_an_owner_are_claimed(self, store: Store, psql: Any) -> None:
        """A job whose owner nobody knows belongs to whoever comes first."""
        for number, owner in ((1, None), (2, "r_unheard_of")):
            await store.create(event(new_job(number)))
            await psql.execute(
                "UPDATE jobs SET owner = $1 WHERE id = $2", owner, f"job_000{number}"
            )

        assert [new_job(1), new_job(2)] == list(await store.claim())

    async def test_what_cannot_be_read_is_left_to_others(self, another: Opener, psql: Any) -> None:
        """A job that only another release can read stays where it is, is told of once, and stops nothing."""
        notes: list[tuple[str, object]] = []
        old = await another()
        new = await another(note=lambda name, **fields: notes.append((name, fields["job_id"])))
        for number in (1, 2):
            await old.create(event(new_job(number)))
        await psql.execute("UPDATE jobs SET document = '\\x7b' WHERE id = 'job_0001'")
        await old.release()

        claims = [await new.claim(), await new.claim()]

        assert [[new_job(2)], []] == [list(claim) for claim in claims]
        assert [("store.unreadable", "job_0001")] == notes
        owner = await psql.fetchval("SELECT owner FROM jobs WHERE id = 'job_0001'")
        assert old.owner == owner

    async def test_a_frozen_process_is_fenced_off(self, postgres: str, another: Opener) -> None:
        """A process that is stopped, loses its job and wakes up again can write nothing more to it."""
        frozen = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SLEEPER, postgres, stdout=asyncio.subprocess.PIPE
        )
        assert frozen.stdout is not None
        try:
            assert b"ready\n" == await frozen.stdout.readline()
            frozen.send_signal(signal.SIGSTOP)
            other = await another()
            claimed = await until_claimed(other)
            await other.record(event(running(claimed, 2)))
            frozen.send_signal(signal.SIGCONT)
            async with asyncio.timeout(20):
                said = await frozen.stdout.readline()
        finally:
            frozen.kill()
            await frozen.wait()

        assert b"fenced off, lease run out, lost job_0001\n" == said
        assert running(claimed, 2) == await other.get("job_0001")


#: Another process: makes a job, says so, and after it was stopped for a while tries to go on.
SLEEPER = """
import asyncio, signal, sys
from dataclasses import replace
from taxiway.errors import LeaseLostError
from taxiway.events import Event
from taxiway.jobs import GenerationRequest, Part, Plan
from taxiway.store import open_store
from taxiway.transitions import accept

async def work() -> None:
    store = await open_store(sys.argv[1], lease_s=1.0)
    plan = Plan(size="1920x1080", parts=(Part(images=1, credits=8),))
    request = GenerationRequest(model="gen4-image", prompt="A lighthouse.")
    job = accept(request, plan, id="job_0001", at=1.0, deadline_at=1000.0)
    await store.create(Event(job=job, at=1.0))
    awake = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGCONT, awake.set)
    print("ready", flush=True)
    await awake.wait()
    alive, lost = store.lease_alive(), ",".join(await store.renew())
    try:
        await store.record(Event(job=replace(job, revision=9), at=2.0))
    except LeaseLostError:
        print("fenced off,", "alive" if alive else "lease run out,", "lost", lost, flush=True)

asyncio.run(work())
"""


async def until_claimed(store: Store) -> Job:
    """The first job that can be claimed."""
    async with asyncio.timeout(20):
        while True:
            for job in await store.claim():
                return job
            await asyncio.sleep(0.05)


class TestSignals:
    """LISTEN and NOTIFY."""

    async def test_it_hears_again_after_a_cut(self, another: Opener, psql: Any) -> None:
        """A listener whose connection was cut connects again, and says that it may have missed something."""
        teller, listener = await another(), await another()
        heard: list[Signal] = []
        listener.signals(heard.append)
        await heard_some(heard, Resync())
        await cut_off(psql)
        await heard_some(heard, Resync(), times=2)

        await until_it_works(teller.release)

        await heard_some(heard, Released())

    async def test_it_hears_again_after_a_restart(
        self, another: Opener, postgres_server: Any
    ) -> None:
        """A server that was down for a while is listened to again; the log has said so meanwhile."""
        notes: list[str] = []
        listener = await another(note=lambda name, **_: notes.append(name))
        heard: list[Signal] = []
        listener.signals(heard.append)
        await heard_some(heard, Resync())
        async with server_down(postgres_server):
            await asyncio.sleep(0.7)

        await heard_some(heard, Resync(), times=2)
        assert {"store.deaf"} == set(notes)

    async def test_other_peoples_words_are_ignored(self, another: Opener, psql: Any) -> None:
        """What somebody else sends on the channel disturbs nothing."""
        teller, listener = await another(), await another()
        heard: list[Signal] = []
        listener.signals(heard.append)
        await heard_some(heard, Resync())
        for words in ("", "hello", "changed r_x\njob_1", "changed r_x\njob_1 one", "later r_x\n1"):
            await psql.execute("SELECT pg_notify('taxiway', $1)", words)
        await teller.release()

        await heard_some(heard, Released())
        assert [Resync(), Released()] == heard

    async def test_the_newest_tick_is_enough(self, another: Opener) -> None:
        """Ticks of one attempt that wait together are one, the last."""
        teller, listener = await another(), await another()
        heard: list[Signal] = []
        listener.signals(heard.append)
        await heard_some(heard, Resync())
        job = new_job(1)
        for fact in (
            Submitting(attempt=0, part=0, deployment="d", provider="p", model="m"),
            Submitted(attempt=0, upstream_id="t", credits=6),
        ):
            job = advance(job, fact, at=2.0)
        for percent in range(1, 100):
            teller.tell(tick_of(job, percent / 100))

        await heard_some(heard, Ticked(job_id=job.id, revision=3, attempt=0, progress=0.99, at=9.0))
        assert 2 == len(heard)

    def test_payloads_are_short(self) -> None:
        """However much there is to tell, no payload is longer than PostgreSQL takes, and nothing is left out."""
        told = [Changed(job_id=f"job_{n:032}", revision=n) for n in range(1000)]
        told += [
            Ticked(job_id=f"job_{n:032}", revision=n, attempt=0, progress=n / 7, at=1.5 * n)
            for n in range(1000)
        ]

        told += [Placed(job_id="job_1", revision=1, position=7, at=2.5)]
        told += [CancelWanted(job_id="job_1"), Released()]

        payloads = signals.packed(told, sender="r_1")

        assert all(len(payload.encode()) < 8000 for payload in payloads)
        assert 20 > len(payloads)
        assert told == [s for p in payloads for s in signals.unpacked(p, listener="r_2")]
        assert [] == [s for p in payloads for s in signals.unpacked(p, listener="r_1")]
