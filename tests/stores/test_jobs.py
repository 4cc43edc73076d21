"""What every store promises of one job: it is created, changed and read."""

import asyncio

import pytest
from tests.stores.histories import event, later, new_job, stored

from taxiway.errors import InternalServerError, NotFoundError
from taxiway.jobs import JobStatus
from taxiway.protocols import JobQuery
from taxiway.store import Store

pytestmark = pytest.mark.looptime(False)


class TestJobs:
    """Creating, changing, reading one job."""

    async def test_a_created_job_is_there(self, store: Store) -> None:
        """A job that was created is read back whole."""
        job = new_job(1)

        await store.create(event(job))

        assert job == await store.get("job_0001")

    async def test_an_unknown_job_is_none(self, store: Store) -> None:
        """A job that was never created is None."""
        assert await store.get("job_0001") is None

    async def test_a_recorded_change_is_there(self, store: Store) -> None:
        """After a change is recorded, the job is read as it is after it."""
        job = new_job(1)
        await stored(store, job)

        await store.record(event(later(job, 2)))

        assert later(job, 2) == await store.get(job.id)

    async def test_old_news_changes_nothing(self, store: Store) -> None:
        """A revision that is older than the stored one is passed over, without an error."""
        job = new_job(1)
        await stored(store, later(job, 3))

        await store.record(event(later(job, 2)))

        assert later(job, 3) == await store.get(job.id)

    async def test_the_same_revision_changes_nothing(self, store: Store) -> None:
        """Two jobs of one revision cannot both be right: the one that came first stands."""
        job = new_job(1)
        await stored(store, later(job, 2))

        await store.record(event(later(job, 2, JobStatus.CANCELLED)))

        assert later(job, 2) == await store.get(job.id)

    async def test_what_has_gone_on_is_found(self, store: Store) -> None:
        """`newer` returns the jobs that have a later revision than the caller knows, of any number asked for."""
        jobs = [new_job(number) for number in range(1200)]
        await asyncio.gather(*(store.create(event(job)) for job in jobs))
        moved = [later(job, revision=3) for job in (jobs[0], jobs[600], jobs[1199])]
        await asyncio.gather(*(store.record(event(job)) for job in moved))

        known = {job.id: 1 for job in jobs} | {moved[0].id: 3, "job_unknown": 1}
        newer = await store.newer(known)

        assert moved[1:] == sorted(newer, key=lambda job: job.id)
        assert [] == list(await store.newer({}))

    async def test_creating_a_job_again_is_a_repeat(self, store: Store) -> None:
        """A caller whose answer was lost may create the very same job once more."""
        job = new_job(1)
        await store.create(event(job))

        await store.create(event(job))

        assert [job] == list(await store.list(JobQuery()))

    async def test_two_jobs_cannot_share_an_id(self, store: Store) -> None:
        """Creating another job under a known id is refused, and the first one stays."""
        job = new_job(1)
        await store.create(event(job))

        with pytest.raises(InternalServerError, match=r"^There is another job job_0001 already\.$"):
            await store.create(event(new_job(1, model="other")))
        assert job == await store.get(job.id)

    async def test_a_job_must_be_created_first(self, store: Store) -> None:
        """A change of a job that is not there is refused, rather than lost in silence."""
        with pytest.raises(NotFoundError, match=r"^There is no job job_0001 to change\.$"):
            await store.record(event(later(new_job(1), 2)))
        assert await store.get("job_0001") is None
