"""A server that goes away, for a moment or for good: jobs wait, and none is lost."""

import asyncio
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.postgres.servers import (
    LATE_ANSWER,
    OWNER,
    Opener,
    cut_off,
    event,
    new_job,
    running,
    server_down,
    until_it_works,
    until_there,
)

from taxiway.errors import StoreError
from taxiway.facts import Submitted, Submitting
from taxiway.jobs import Job
from taxiway.ledger import Grouping
from taxiway.origins import Caller, Origin
from taxiway.protocols import JobQuery
from taxiway.store import Store
from taxiway.transitions import advance

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.looptime(False)


class TestOutages:
    """A server that goes away and comes back."""

    async def test_everything_fails_soon_and_works_again(
        self, store: Store, postgres_server: Any
    ) -> None:
        """While the server is down every call says so within seconds; afterwards the same calls succeed."""
        job = new_job(1)
        await store.create(event(job))
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: store.create(event(new_job(2))),
            lambda: store.record(event(running(job))),
            lambda: store.get(job.id),
            lambda: store.list(JobQuery()),
            store.unfinished,
            lambda: store.forget(0.5),
            store.renew,
            store.claim,
            lambda: store.request_cancel(job.id),
            store.cancel_requests,
            lambda: store.known("k", scope=""),
            lambda: store.departed(job.id),
            lambda: store.promised(job.id),
            lambda: store.is_promised(job.id),
            lambda: store.join_retry(scope="", fingerprint="f", count=1, since=0.0),
            lambda: store.usage([Grouping.DAY]),
            store.ping,
            store.release,
        ]
        async with server_down(postgres_server), asyncio.timeout(20):
            failed = await asyncio.gather(*(call() for call in calls), return_exceptions=True)

        for call in calls:
            await call()

        assert {StoreError} == {type(outcome) for outcome in failed}
        assert [running(job), new_job(2)] == list(await store.unfinished())

    async def test_a_crowd_survives_a_restart(self, store: Store, postgres_server: Any) -> None:
        """Callers who repeat what failed lose nothing: every job is at its last revision, and none is double."""
        jobs = [new_job(n) for n in range(200)]

        async def live(job: Job) -> None:
            await until_it_works(lambda: store.create(event(job)))
            for revision in range(2, 6):
                await until_it_works(lambda n=revision: store.record(event(running(job, n))))

        crowd = asyncio.gather(*(live(job) for job in jobs))
        await asyncio.sleep(0.02)
        async with server_down(postgres_server):
            pass
        await crowd

        assert [running(job, 5) for job in jobs] == list(await store.unfinished())

    async def test_connections_are_made_anew(self, store: Store, psql: Any) -> None:
        """After all connections were cut, reads notice nothing, and so does the write after the first."""
        await store.create(event(new_job(1)))
        await asyncio.gather(*(store.get("job_0001") for _ in range(10)))
        await cut_off(psql)
        await asyncio.sleep(0.05)

        read = await asyncio.gather(*(store.get("job_0001") for _ in range(10)))
        await store.record(event(running(new_job(1))))

        assert [new_job(1)] * 10 == read

    async def test_a_read_that_is_cancelled_costs_nothing(self, store: Store) -> None:
        """Readers who leave in the middle do not use up the connections."""
        await store.create(event(new_job(1)))
        for _ in range(20):
            read = asyncio.create_task(store.get("job_0001"))
            await asyncio.sleep(0.001)
            read.cancel()
            await asyncio.wait({read})

        assert new_job(1) == await store.get("job_0001")

    async def test_a_silent_server_holds_nobody_up(self, hasty: Store, psql: Any) -> None:
        """A server that does not answer in time has failed, for reading and for writing; then all is as before."""
        job = new_job(1)
        await hasty.create(event(job))
        async with psql.transaction():
            await psql.execute("LOCK TABLE jobs")
            async with asyncio.timeout(20):
                outcomes = await asyncio.gather(
                    *(hasty.get(job.id) for _ in range(8)),
                    hasty.record(event(running(job))),
                    hasty.departed(job.id),
                    return_exceptions=True,
                )

        assert {StoreError} == {type(outcome) for outcome in outcomes}
        await hasty.record(event(running(job)))
        assert running(job) == await hasty.get(job.id)

    async def test_a_stopped_server_holds_nobody_up(
        self, hasty: Store, psql: Any, postgres_server: Any
    ) -> None:
        """A server whose processes stand still is down too, and closing does not wait for it."""
        await asyncio.gather(*(hasty.create(event(new_job(n))) for n in range(3)))
        rows = await psql.fetch(
            "SELECT pid FROM pg_stat_activity WHERE application_name = $1", f"taxiway {hasty.owner}"
        )
        pids = [str(row["pid"]) for row in rows]
        subprocess.run(["kill", "-STOP", *pids], check=True)  # noqa: ASYNC221 - no time to lose
        try:
            async with asyncio.timeout(30):
                outcomes = await asyncio.gather(
                    *(hasty.get("job_0001") for _ in range(5)),
                    hasty.record(event(running(new_job(1)))),
                    return_exceptions=True,
                )
                await hasty.close()
        finally:
            subprocess.run(["kill", "-CONT", *pids], check=True)  # noqa: ASYNC221 - as above

        assert StoreError is type(outcomes[-1])
        assert any(isinstance(outcome, StoreError) for outcome in outcomes)

    async def test_a_job_nobody_was_promised_is_taken_back(self, hasty: Store, psql: Any) -> None:
        """A new job whose commit was not confirmed, so that its caller was sent away, does not stay behind."""
        await psql.execute(LATE_ANSWER)
        origin = Origin(key_hash="k")
        with pytest.raises(StoreError, match=r"^The store did not take the write: no answer in"):
            await hasty.create(event(new_job(1)), origin=origin)
        left = await until_there(hasty, "job_0001")

        await hasty.create(event(new_job(2)), origin=origin)

        assert new_job(1) == left
        assert [new_job(2)] == list(await hasty.list(JobQuery()))

    async def test_a_job_that_comes_late_is_taken_back_too(self, hasty: Store, psql: Any) -> None:
        """A commit that comes about long after it was given up leaves nothing behind either, and makes no key."""
        await psql.execute(LATE_ANSWER)
        origin = Origin(key_hash="k", fingerprint="f", caller=Caller.WAITING)
        with pytest.raises(StoreError):
            await hasty.create(event(new_job(1)), origin=origin)
        await hasty.create(event(new_job(2)))
        await until_there(hasty, "job_0001")

        known = await hasty.known("k", scope="")
        joined = await hasty.join_retry(scope="", fingerprint="f", count=1, since=0.0)

        assert (None, None) == (known, joined)
        assert [new_job(2)] == list(await hasty.list(JobQuery()))

    @pytest.mark.parametrize("overtaken", [False, True], ids=["repeated", "overtaken"])
    async def test_an_unconfirmed_change_is_booked_once(
        self, hasty: Store, psql: Any, overtaken: bool
    ) -> None:
        """A change that was committed though nobody heard of it is not booked again with what follows it."""
        job = new_job(1)
        buying = Submitting(attempt=0, part=0, deployment="d", provider="runwayml", model="m")
        submitting = advance(job, buying, at=2.0)
        submitted = advance(submitting, Submitted(attempt=0, upstream_id="t", credits=8), at=3.0)
        await hasty.create(event(job))
        await psql.execute(LATE_ANSWER.replace("AFTER INSERT", "AFTER UPDATE"))
        with pytest.raises(StoreError):
            await hasty.record(event(submitting))
        async with psql.transaction():
            await psql.execute("LOCK TABLE jobs")  # until the commit has come about
            await psql.execute("DROP TRIGGER late ON jobs")

        for after in [submitted] if overtaken else [submitting, submitted]:
            await until_it_works(partial(hasty.record, event(after)))

        (usage,) = await hasty.usage([])
        assert (submitted, 8) == (await hasty.get(job.id), usage.reserved_credits)

    async def test_who_asks_again_gets_the_job(self, hasty: Store, psql: Any) -> None:
        """A caller who repeats a creation whose commit was not confirmed has the job, and owns it."""
        await psql.execute(LATE_ANSWER)
        with pytest.raises(StoreError):
            await hasty.create(event(new_job(1)))
        await until_there(hasty, "job_0001")
        await psql.execute("DROP TRIGGER late ON jobs")

        await hasty.create(event(new_job(1)))
        await hasty.record(event(running(new_job(1))))

        assert [running(new_job(1))] == list(await hasty.list(JobQuery()))

    async def test_what_was_claimed_is_found_again(self, another: Opener, psql: Any) -> None:
        """Jobs of a claim that was committed though its answer was lost are handed out by the next claim."""
        dead, living = await another(lease_s=0.1), await another(answer_s=1.0)
        await dead.create(event(new_job(1)))
        await living.create(event(new_job(2)))
        await asyncio.sleep(0.2)
        await psql.execute(LATE_ANSWER.replace("AFTER INSERT", "AFTER UPDATE"))
        with pytest.raises(StoreError, match="no answer in time"):
            await living.claim()
        async with asyncio.timeout(20):
            while dead.owner == await psql.fetchval(OWNER):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        await psql.execute("DROP TRIGGER late ON jobs")

        assert [new_job(1)] == list(await living.claim())
        await living.record(event(running(new_job(1))))
        await living.record(event(running(new_job(2))))
