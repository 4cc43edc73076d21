"""What every store promises of owners: one at a time, who may stop a job, and who takes it over."""

import asyncio

import pytest
from tests.stores.histories import (
    POPULATION,
    SUBMITTING,
    Opener,
    event,
    history,
    later,
    new_job,
    numbers,
    shared,
    stored,
    usage,
)

from taxiway.errors import LeaseLostError
from taxiway.jobs import JobStatus
from taxiway.protocols import CLAIM_MAX
from taxiway.store import Store

pytestmark = pytest.mark.looptime(False)


class TestOwnership:
    """Whose a job is."""

    async def test_another_process_cannot_write(self, store: Store, rival: Store) -> None:
        """A write by a process that does not own the job changes nothing, and says so to that caller alone."""
        job = new_job(1)
        await stored(store, job)

        outcomes = await asyncio.gather(
            rival.create(event(new_job(2))),
            rival.record(history(job, SUBMITTING)[0]),
            rival.record(event(later(new_job(2), 2))),
            return_exceptions=True,
        )

        assert [type(None), LeaseLostError, type(None)] == [type(outcome) for outcome in outcomes]
        assert "Job job_0001 belongs to another process now; nothing was written." == str(
            outcomes[1]
        )
        assert job == await store.get(job.id)
        assert [usage()] == list(await store.usage([]))

    async def test_released_jobs_are_taken_over(self, store: Store, rival: Store) -> None:
        """After a release another process claims what is unfinished, whole and oldest first."""
        await stored(store, *POPULATION)

        await store.release()

        assert [POPULATION[n - 1] for n in (1, 2, 6, 8)] == list(await rival.claim())
        assert [] == list(await rival.claim())

    async def test_a_former_owner_changes_nothing(self, store: Store, rival: Store) -> None:
        """Once a job is taken over, its new owner writes, and what the old one still writes is fenced off."""
        job = new_job(1)
        await stored(store, job)
        await store.release()
        await rival.claim()

        with pytest.raises(LeaseLostError):
            await store.record(event(later(job, 7, JobStatus.COMPLETED)))
        await rival.record(event(later(job, 2)))
        with pytest.raises(LeaseLostError):
            await store.record(event(later(job, 2)))

        assert later(job, 2) == await store.get(job.id)

    async def test_a_job_may_come_back(self, store: Store, rival: Store) -> None:
        """A job that was lost can be claimed again, and then its former owner may write as before."""
        job = new_job(1)
        await stored(store, job)
        await store.release()
        await rival.claim()
        await rival.record(event(later(job, 2)))
        await rival.release()

        lost = await store.renew()
        claimed = await store.claim()
        await store.record(event(later(job, 3)))

        assert [later(job, 2)] == list(claimed)
        assert lost <= {job.id}
        with pytest.raises(LeaseLostError):
            await rival.record(event(later(job, 4)))
        assert later(job, 3) == await rival.get(job.id)

    async def test_a_claim_is_bounded(self, store: Store, rival: Store) -> None:
        """One claim takes so many jobs and no more; the next takes the rest."""
        jobs = [new_job(n) for n in range(CLAIM_MAX + 3)]
        await asyncio.gather(*(store.create(event(job)) for job in jobs))
        await store.release()

        assert jobs[:CLAIM_MAX] == list(await rival.claim())
        assert jobs[CLAIM_MAX:] == list(await rival.claim())

    async def test_a_claim_that_is_cancelled_loses_nothing(
        self, store: Store, rival: Store
    ) -> None:
        """Jobs that were claimed by a call whose answer nobody waited for are handed out by the next one."""
        await stored(store, new_job(1), new_job(2))
        await store.release()
        call = asyncio.create_task(rival.claim())
        await asyncio.sleep(0.001)
        call.cancel()
        (outcome,) = await asyncio.gather(call, return_exceptions=True)
        claims = [[] if isinstance(outcome, BaseException) else outcome]
        await asyncio.sleep(0.1)
        claims += [await rival.claim(), await rival.claim()]

        assert [1, 2] == [n for claim in claims for n in numbers(claim)]
        await rival.record(event(later(new_job(1), 2)))

    async def test_a_lease_begins_with_the_store(self, store: Store) -> None:
        """An open store has a lease, a closed one has none."""
        alive = [store.lease_alive()]
        await store.close()

        assert [True, False] == [*alive, store.lease_alive()]

    @shared
    async def test_a_release_ends_the_lease(self, store: Store) -> None:
        """After a release there is no lease, until it is renewed."""
        await store.release()
        released = store.lease_alive()
        await store.renew()

        assert [False, True] == [released, store.lease_alive()]

    @shared
    async def test_without_a_lease_nothing_is_claimed(self, store: Store, rival: Store) -> None:
        """A process whose own lease has ended claims nothing before it is renewed."""
        await stored(store, new_job(1))
        await store.release()
        await rival.release()
        without = await rival.claim()
        await rival.renew()

        assert ([], [1]) == (numbers(without), numbers(await rival.claim()))

    @shared
    async def test_a_living_owner_keeps_its_jobs(self, store: Store, rival: Store) -> None:
        """While the owner's lease lasts, nobody else gets its jobs."""
        await stored(store, new_job(1))

        assert [] == list(await rival.claim())

    @shared
    async def test_a_dead_owner_loses_its_jobs(self, another: Opener) -> None:
        """When a lease has run out without a word, the jobs are free."""
        dead, living = await another(lease_s=0.2), await another()
        await stored(dead, new_job(1), later(new_job(2), 4, JobStatus.COMPLETED))
        await asyncio.sleep(0.3)

        assert not dead.lease_alive()
        assert [1] == numbers(await living.claim())

    @shared
    async def test_whether_an_owner_took_its_leave(self, another: Opener) -> None:
        """Jobs that were released and jobs of an owner who fell silent are claimed apart, as one asks."""
        silent, leaving = await another(lease_s=0.2), await another()
        living = await another()
        await stored(silent, new_job(1))
        await stored(leaving, new_job(2))
        await leaving.release()
        await asyncio.sleep(0.3)

        expired = await living.claim(released=False)
        released = await living.claim(expired=False)

        assert ([1], [2]) == (numbers(expired), numbers(released))

    @shared
    async def test_renewing_keeps_a_lease(self, another: Opener) -> None:
        """A lease that is renewed in time does not run out."""
        owner, other = await another(lease_s=4.0), await another()
        await stored(owner, new_job(1))
        for _ in range(3):
            await asyncio.sleep(1.5)
            assert frozenset() == await owner.renew()

        assert owner.lease_alive()
        assert [] == list(await other.claim())

    @shared
    async def test_a_late_renewal_tells_what_was_lost(self, another: Opener) -> None:
        """Who comes back after the lease has run out hears which of its jobs others have, and keeps the rest."""
        sleeper, other = await another(lease_s=0.2), await another()
        await stored(sleeper, new_job(1), later(new_job(2), 4, JobStatus.FAILED))
        await asyncio.sleep(0.3)
        await other.claim()
        await stored(sleeper, new_job(3))

        assert {"job_0001"} == await sleeper.renew()
        assert frozenset() == await sleeper.renew()
        await sleeper.record(event(later(new_job(3), 2)))
        with pytest.raises(LeaseLostError):
            await sleeper.record(event(later(new_job(1), 2)))

    @shared
    async def test_nothing_is_lost_that_nobody_took(self, another: Opener) -> None:
        """A lease that ran out while nobody looked costs nothing."""
        sleeper = await another(lease_s=0.1)
        await stored(sleeper, new_job(1))
        await asyncio.sleep(0.2)

        assert frozenset() == await sleeper.renew()
        await sleeper.record(event(later(new_job(1), 2)))

    @shared
    async def test_claims_at_once_do_not_meet(self, store: Store, another: Opener) -> None:
        """Processes that claim at the same time get each job once."""
        await asyncio.gather(*(store.create(event(new_job(n))) for n in range(100)))
        rivals = [await another() for _ in range(3)]
        await store.release()

        claims = await asyncio.gather(*(rival.claim() for rival in rivals))
        claims += [await rivals[0].claim()]

        assert list(range(100)) == sorted(n for claim in claims for n in numbers(claim))


class TestStopping:
    """Asking a job to stop, from anywhere."""

    async def test_the_owner_finds_the_request(self, store: Store, rival: Store) -> None:
        """A request by any process is found by the owner, once, and by nobody else."""
        await stored(store, new_job(1), new_job(2), new_job(3))
        await rival.request_cancel("job_0003")
        await rival.request_cancel("job_0002")
        await store.request_cancel("job_0002")

        assert ["job_0002", "job_0003"] == list(await store.cancel_requests())
        assert [] == list(await rival.cancel_requests())

    async def test_only_the_unfinished_can_stop(self, store: Store) -> None:
        """Asking what has ended, or what never was, to stop does nothing; a job that ends needs it no more."""
        await stored(store, new_job(1), later(new_job(2), 4, JobStatus.COMPLETED))
        for job_id in ("job_0001", "job_0002", "job_9"):
            await store.request_cancel(job_id)
        found = await store.cancel_requests()
        await store.record(event(later(new_job(1), 2, JobStatus.CANCELLED)))

        assert (["job_0001"], []) == (list(found), list(await store.cancel_requests()))

    async def test_a_new_owner_inherits_the_request(self, store: Store, rival: Store) -> None:
        """A request goes with the job when it is taken over."""
        await stored(store, new_job(1))
        await store.request_cancel("job_0001")
        await store.release()
        await rival.claim()

        assert ["job_0001"] == list(await rival.cancel_requests())
