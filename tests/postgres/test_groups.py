"""Many writes in few statements."""

import asyncio
from typing import Any

import pytest
from tests.postgres.servers import Opener, event, new_job, running

from taxiway.errors import InternalServerError
from taxiway.events import Event
from taxiway.facts import Submitted, Submitting
from taxiway.store import Store
from taxiway.transitions import advance

pytestmark = pytest.mark.looptime(False)


class TestGroups:
    """A thousand rows in a handful of statements."""

    async def test_a_crowd_is_one_transaction(self, store: Store, psql: Any) -> None:
        """Hundreds of callers who wait together cost a few transactions, each of a few statements."""
        jobs = [new_job(n) for n in range(300)]
        await asyncio.gather(*(store.create(event(job)) for job in jobs))
        count = "SELECT count(DISTINCT xmin::text) FROM jobs"

        assert 3 >= await psql.fetchval(count)
        await asyncio.gather(*(store.record(event(running(job))) for job in jobs))
        assert 3 >= await psql.fetchval(count)

    async def test_rows_are_looked_up_in_the_index(self, another: Opener, psql: Any) -> None:
        """Also by statements that were planned while the table was empty, and a scan of it looked cheap."""
        store = await another()
        jobs = [new_job(n) for n in range(300)]
        for some in (*([job] for job in jobs[:8]), jobs[8:]):
            await asyncio.gather(*(store.create(event(job)) for job in some))
            await asyncio.gather(*(store.record(event(running(job))) for job in some))
        await store.close()  # its sessions tell what they have read as they end
        read = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'jobs'"
        await asyncio.sleep(0.5)

        assert 0 == await psql.fetchval(read)

    async def test_a_bad_row_is_its_callers_alone(self, store: Store) -> None:
        """A value that the database cannot hold is one caller's error; those beside it are committed."""
        outcomes = await asyncio.gather(
            store.create(event(new_job(1))),
            store.create(event(new_job(2, model="half a \ud83d character"))),
            store.create(event(new_job(3))),
            store.create(event(new_job(4, model="a \0 in it"))),
            store.request_cancel("a \0 in it"),
            store.create(event(new_job(5))),
            return_exceptions=True,
        )

        good, bad = type(None), InternalServerError
        assert [good, bad, good, bad, good, good] == [type(outcome) for outcome in outcomes]
        assert [new_job(1), new_job(3), new_job(5)] == list(await store.unfinished())

    async def test_a_strange_task_id_is_kept(self, store: Store, psql: Any) -> None:
        """Whatever a provider calls its task, the job and its books are stored."""
        job = new_job(1)
        await store.create(event(job))
        for fact in (
            Submitting(attempt=0, part=0, deployment="d", provider="p", model="m"),
            Submitted(attempt=0, upstream_id="a\0b\ud83dc", credits=6),
        ):
            after = advance(job, fact, at=2.0)
            await store.record(Event(job=after, before=job, fact=fact, at=2.0))
            job = after

        stored = await store.get(job.id)
        assert stored is not None
        assert 3 == stored.revision
        assert [None, "a\N{REPLACEMENT CHARACTER}b?c"] == [
            row[0] for row in await psql.fetch("SELECT upstream_id FROM ledger ORDER BY id")
        ]

    async def test_a_deadlock_is_nobodys_error(self, store: Store, psql: Any) -> None:
        """Where PostgreSQL ends our transaction to resolve a deadlock, the group is committed in another one."""
        jobs = [new_job(1), new_job(2)]
        await asyncio.gather(*(store.create(event(job)) for job in jobs))
        async with psql.transaction():
            await psql.execute("UPDATE jobs SET joined_retry = 0 WHERE id = 'job_0002'")
            group = asyncio.gather(*(store.record(event(running(job))) for job in jobs))
            await asyncio.sleep(0.05)
            await psql.execute("UPDATE jobs SET joined_retry = 0 WHERE id = 'job_0001'")
        await group

        assert [running(job) for job in jobs] == list(await store.unfinished())
