"""What every store promises of many jobs: lists, and crowds that write at once."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.stores.histories import POPULATION, event, later, new_job, stored

from taxiway.errors import BadRequestError, InternalServerError, NotFoundError
from taxiway.jobs import Job, JobStatus, Phase
from taxiway.protocols import JobQuery
from taxiway.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.looptime(False)


class TestLists:
    """Reading many jobs."""

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            pytest.param(JobQuery(), [8, 7, 6, 5, 4, 3, 2, 1], id="all, newest first"),
            pytest.param(JobQuery(limit=3), [8, 7, 6], id="the first page"),
            pytest.param(JobQuery(limit=3, after="job_0006"), [5, 4, 3], id="the next page"),
            pytest.param(JobQuery(after="job_0001"), [], id="after the last"),
            pytest.param(JobQuery(limit=0), [], id="none"),
            pytest.param(JobQuery(statuses=frozenset({JobStatus.FAILED})), [7, 4], id="failed"),
            pytest.param(
                JobQuery(statuses=frozenset({JobStatus.QUEUED, JobStatus.IN_PROGRESS})),
                [8, 6, 2, 1],
                id="unfinished",
            ),
            pytest.param(JobQuery(model="other"), [7, 6, 5], id="of one model"),
            pytest.param(JobQuery(model="unheard-of"), [], id="of no model"),
            pytest.param(JobQuery(since=5.0), [8, 7, 6, 5], id="since a date, inclusive"),
            pytest.param(JobQuery(error="provider_failed"), [7, 4], id="with an error"),
            pytest.param(
                JobQuery(error="provider_failed", model="other", since=2.0, after="job_0008"),
                [7],
                id="all at once",
            ),
        ],
    )
    async def test_a_query_selects(
        self, store: Store, query: JobQuery, expected: list[int]
    ) -> None:
        """A list holds what was asked for, newest first, and of two of one date the later id first."""
        await stored(store, *POPULATION)

        assert [POPULATION[n - 1] for n in expected] == list(await store.list(query))

    async def test_pages_join_without_a_gap(self, store: Store) -> None:
        """Following the cursor shows every job once, whatever is created meanwhile."""
        await stored(store, *POPULATION)
        shown: list[Job] = []
        page: Sequence[Job] = await store.list(JobQuery(limit=3))
        while page:
            shown += page
            await store.create(event(new_job(100 + len(shown))))
            page = await store.list(JobQuery(limit=3, after=shown[-1].id))

        assert POPULATION[::-1] == shown

    async def test_an_unknown_cursor_is_named(self, store: Store) -> None:
        """A page after a job that does not exist is an error that names the field."""
        with pytest.raises(BadRequestError, match=r"^`after` names no job: job_9$") as caught:
            await store.list(JobQuery(after="job_9"))
        assert "after" == caught.value.param

    async def test_the_unfinished_are_found(self, store: Store) -> None:
        """Everything that has not ended is found after a restart, oldest first."""
        await stored(store, *POPULATION)

        assert [POPULATION[n - 1] for n in (1, 2, 6, 8)] == list(await store.unfinished())

    async def test_the_backlog_is_counted(self, store: Store) -> None:
        """By phase: how many jobs have not ended, and when the oldest of them was accepted."""
        nothing = await store.backlog()
        await stored(store, *POPULATION)
        expected: dict[Phase, tuple[int, float]] = {}
        for job in (POPULATION[n - 1] for n in (8, 6, 2, 1)):
            assert job.phase is not None
            count, _ = expected.get(job.phase, (0, 0.0))
            expected[job.phase] = (count + 1, job.created_at)

        assert ({}, expected) == (nothing, await store.backlog())


class TestCrowds:
    """Many callers at once."""

    async def test_two_thousand_at_once(self, store: Store) -> None:
        """Two thousand changes asked for at once are all committed, and the last of each job stands."""
        jobs = [new_job(n) for n in range(500)]
        await asyncio.gather(*(store.create(event(job)) for job in jobs))

        await asyncio.gather(
            *(
                store.record(event(later(job, revision)))
                for revision in (2, 3, 4, 5)
                for job in jobs
            )
        )

        assert [later(job, 5) for job in jobs] == list(await store.unfinished())

    async def test_callers_go_on_in_their_order(self, store: Store) -> None:
        """Of callers who wait together, the first to call is the first to go on."""
        done: list[int] = []

        async def create(number: int) -> None:
            await store.create(event(new_job(number)))
            done.append(number)

        await asyncio.gather(*(create(number) for number in range(50)))

        assert list(range(50)) == done

    async def test_revisions_that_wait_together_leave_the_last(self, store: Store) -> None:
        """A job may be created and changed in one breath, and an old revision among them does no harm."""
        job = new_job(1)

        await asyncio.gather(
            store.create(event(job)),
            store.record(event(later(job, 2))),
            store.record(event(later(job, 4, JobStatus.COMPLETED))),
            store.record(event(later(job, 3))),
        )

        assert later(job, 4, JobStatus.COMPLETED) == await store.get(job.id)

    async def test_one_refusal_is_one_callers(self, store: Store) -> None:
        """A caller whose change is refused does not take down those who were committed with it."""
        job = new_job(1)

        outcomes = await asyncio.gather(
            store.create(event(job)),
            store.record(event(later(new_job(2), 2))),
            store.create(event(new_job(1, model="other"))),
            store.create(event(new_job(3))),
            return_exceptions=True,
        )

        assert [type(None), NotFoundError, InternalServerError, type(None)] == [
            type(outcome) for outcome in outcomes
        ]
        assert [new_job(3), job] == list(await store.list(JobQuery()))

    async def test_a_caller_who_leaves_disturbs_nobody(self, store: Store) -> None:
        """Cancelling a call that waits takes nothing back, and the callers beside it go on."""
        calls = [asyncio.create_task(store.create(event(new_job(n)))) for n in range(10)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()

        outcomes = await asyncio.gather(*calls, return_exceptions=True)

        assert [None] * 5 == outcomes[1::2]
        await store.create(event(new_job(10)))
        assert list(range(11)) == [int(job.created_at) for job in await store.unfinished()]
