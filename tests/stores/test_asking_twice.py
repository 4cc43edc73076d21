"""What every store promises to those who ask again: by a key, as an SDK does by itself, or with an id in hand."""

import asyncio
from dataclasses import replace

import pytest
from tests.stores.histories import KEYED, asked, event, later, new_job, numbers, stored

from taxiway.jobs import Job, JobStatus
from taxiway.origins import Caller, Existing, Origin
from taxiway.protocols import JobQuery
from taxiway.store import Store

pytestmark = pytest.mark.looptime(False)


class TestKeys:
    """One key, one job."""

    async def test_a_key_makes_one_job(self, store: Store, rival: Store) -> None:
        """A second job with the same key is not stored; the first one is named, to every process."""
        outcomes = [
            await store.create(event(new_job(1)), origin=KEYED),
            await store.create(event(new_job(2)), origin=KEYED),
            await rival.create(event(new_job(3)), origin=replace(KEYED, fingerprint="other")),
        ]

        first = Existing(job_id="job_0001", fingerprint="f")
        assert [None, first, first] == outcomes
        assert [new_job(1)] == list(await store.list(JobQuery()))

    async def test_callers_at_once_share_a_job(self, store: Store, rival: Store) -> None:
        """Of many who use a key in the same moment, at several processes, one makes the job and all get it."""
        outcomes = await asyncio.gather(
            *(store.create(event(new_job(n)), origin=KEYED) for n in range(20)),
            *(rival.create(event(new_job(n)), origin=KEYED) for n in range(20, 40)),
        )

        (job,) = await store.list(JobQuery())
        expected = [None if n == numbers([job])[0] else job.id for n in range(40)]
        assert expected == [outcome and outcome.job_id for outcome in outcomes]

    async def test_many_keys_at_once(self, store: Store, rival: Store) -> None:
        """Two processes that take the same keys in opposite order wait for nobody's end but the other's commit."""
        keys = [replace(KEYED, key_hash=f"k{n}") for n in range(50)]
        outcomes = await asyncio.gather(
            *(store.create(event(new_job(n)), origin=keys[n]) for n in range(50)),
            *(rival.create(event(new_job(99 - n)), origin=keys[49 - n]) for n in range(50)),
        )

        assert 50 == sum(outcome is None for outcome in outcomes)
        assert 50 == len(await store.list(JobQuery(limit=100)))

    async def test_a_scope_has_its_own_keys(self, store: Store) -> None:
        """The same key of two API keys means two jobs."""
        outcomes = [
            await store.create(event(new_job(n)), origin=replace(KEYED, scope=scope))
            for n, scope in enumerate(("key_a", "key_b"))
        ]

        assert [None, None] == outcomes
        assert Existing(job_id="job_0001", fingerprint="f") == await store.known("k", scope="key_b")

    async def test_a_repeat_meets_itself(self, store: Store) -> None:
        """A caller whose answer was lost may create the very same job with its key once more."""
        outcomes = [await store.create(event(new_job(1)), origin=KEYED) for _ in range(2)]

        assert [None, None] == outcomes

    async def test_a_key_is_known(self, store: Store) -> None:
        """What a key has made can be asked before anything is made."""
        before = await store.known("k", scope="")
        await store.create(event(new_job(1)), origin=KEYED)

        expected = (None, Existing(job_id="job_0001", fingerprint="f"))
        assert expected == (before, await store.known("k", scope=""))


class TestRetries:
    """Retries that bear no key."""

    async def join(self, store: Store, count: int = 1, *, scope: str = "") -> str | None:
        return await store.join_retry(scope=scope, fingerprint="f", count=count, since=2.0)

    async def test_a_retry_joins_the_running_job(self, store: Store) -> None:
        """A retry gets the job of its first attempt, whose connection may look alive; and only one retry does."""
        await stored(store, new_job(2), origin=asked(caller=Caller.WAITING))

        assert ["job_0002", None] == [await self.join(store), await self.join(store)]

    async def test_a_second_retry_joins_too(self, store: Store) -> None:
        """The next retry of the same caller has a higher number and gets the job again."""
        await stored(store, new_job(2), origin=asked(caller=Caller.WAITING))

        joined = [await self.join(store, 1), await self.join(store, 2), await self.join(store, 1)]

        assert ["job_0002", "job_0002", None] == joined

    async def test_who_left_without_an_answer_gets_it(self, store: Store) -> None:
        """A finished job is replayed to a retry if its caller had left, and not while it is being answered."""
        await stored(store, new_job(2), origin=asked(caller=Caller.WAITING))
        await store.record(event(later(new_job(2), 3, JobStatus.COMPLETED)))
        before = await self.join(store)
        await store.departed("job_0002")

        assert (None, "job_0002") == (before, await self.join(store))

    async def test_joining_is_waiting(self, store: Store) -> None:
        """A retry that leaves in its turn is noticed like the first caller."""
        await stored(store, new_job(2), origin=asked(caller=Caller.WAITING))
        await self.join(store)
        await store.record(event(later(new_job(2), 3, JobStatus.COMPLETED)))
        answered = await self.join(store, 2)
        await store.departed("job_0002")

        assert (None, "job_0002") == (answered, await self.join(store, 2))

    async def test_a_dead_owner_answers_nobody(self, store: Store, rival: Store) -> None:
        """A job that ended when its owner did is replayed, although its caller was never seen to leave."""
        await stored(store, new_job(2), origin=asked(caller=Caller.WAITING))
        await store.record(event(later(new_job(2), 3, JobStatus.COMPLETED)))
        await store.release()

        assert "job_0002" == await self.join(rival)

    async def test_a_takeover_cuts_who_waited(self, store: Store, rival: Store) -> None:
        """Whoever waited at an owner that is gone got no answer, though the new owner has finished the job."""
        await stored(store, new_job(2), origin=asked(caller=Caller.WAITING))
        await store.release()
        (job,) = await rival.claim()
        await rival.record(event(later(job, 2, JobStatus.COMPLETED)))

        assert "job_0002" == await self.join(rival)

    async def test_each_retry_gets_a_job_of_its_own(self, store: Store, rival: Store) -> None:
        """Identical calls that all lost their answer each get one back: who left first, then the oldest."""
        await stored(store, *map(new_job, (4, 3, 2)), origin=asked(caller=Caller.WAITING))
        await store.departed("job_0004")

        first = await self.join(store)
        others = await asyncio.gather(self.join(store), self.join(rival), self.join(rival))

        assert "job_0004" == first
        assert {"job_0002", "job_0003", None} == set(others)

    async def test_the_older_comes_first(self, store: Store) -> None:
        """Of two whose callers still wait, the older job is joined."""
        await stored(store, *map(new_job, (3, 2)), origin=asked(caller=Caller.WAITING))

        assert "job_0002" == await self.join(store)

    @pytest.mark.parametrize(
        ("job", "origin"),
        [
            pytest.param(new_job(2), asked(caller=Caller.ANSWERED), id="nobody waited"),
            pytest.param(new_job(1), asked(caller=Caller.WAITING), id="too old"),
            pytest.param(new_job(2), asked(scope="b", caller=Caller.WAITING), id="another key"),
            pytest.param(
                new_job(2), asked(fingerprint="g", caller=Caller.WAITING), id="another request"
            ),
            pytest.param(
                new_job(2), replace(KEYED, fingerprint=None), id="a request without a fingerprint"
            ),
        ],
    )
    async def test_other_jobs_are_not_joined(self, store: Store, job: Job, origin: Origin) -> None:
        """A retry joins no job that is not provably its own."""
        await stored(store, job, origin=origin)

        assert await self.join(store) is None

    async def test_only_who_waits_can_leave(self, store: Store) -> None:
        """Leaving means nothing for a caller who has the job's id, or for a job that is not there."""
        await stored(store, new_job(2), origin=asked(caller=Caller.ANSWERED))
        await store.departed("job_0002")
        await store.departed("job_9")

        assert await self.join(store) is None

    async def test_who_was_promised_the_job_may_have_missed_it(self, store: Store) -> None:
        """An answer with the job's id may be lost like any other: while the job is under way, a retry joins it."""
        await stored(store, new_job(2), origin=asked(caller=Caller.WAITING))
        await store.promised("job_0002")
        joined = [await self.join(store), await self.join(store)]
        await store.record(event(later(new_job(2), 3, JobStatus.COMPLETED)))

        assert ["job_0002", None] == joined
        assert await self.join(store, 2) is None


class TestPromises:
    """Who was answered with a job's id."""

    @pytest.mark.parametrize(
        ("caller", "promised"),
        [(Caller.WAITING, False), (Caller.LEFT, False), (Caller.ANSWERED, True)],
    )
    async def test_who_did_not_wait_was_promised_the_job(
        self, store: Store, caller: Caller, promised: bool
    ) -> None:
        """The row of a job says from its beginning whether its id is somebody's answer."""
        await stored(store, new_job(2), origin=asked(caller=caller))

        assert promised is await store.is_promised("job_0002")

    async def test_a_promise_is_kept_everywhere_and_for_good(
        self, store: Store, rival: Store
    ) -> None:
        """Neither who leaves or joins afterwards nor a new owner changes it, and every replica knows of it."""
        await stored(store, new_job(2), origin=asked(caller=Caller.WAITING))
        await rival.promised("job_0002")
        seen = [await store.is_promised("job_0002")]

        await store.departed("job_0002")
        await store.join_retry(scope="", fingerprint="f", count=1, since=2.0)
        await store.departed("job_0002")
        await store.release()
        await rival.claim()

        assert [True, True] == [*seen, await rival.is_promised("job_0002")]

    async def test_a_promise_takes_nothing_back(self, store: Store) -> None:
        """A job whose first caller has the id already is joined by no retry afterwards either."""
        await stored(store, new_job(2), origin=asked(caller=Caller.ANSWERED))
        await store.promised("job_0002")

        joined = await store.join_retry(scope="", fingerprint="f", count=1, since=2.0)
        assert (None, True) == (joined, await store.is_promised("job_0002"))

    async def test_a_job_that_is_not_there_was_promised_to_nobody(self, store: Store) -> None:
        """Nor does promising it make one."""
        await store.promised("job_9")

        assert (False, None) == (await store.is_promised("job_9"), await store.get("job_9"))
