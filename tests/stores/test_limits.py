"""What every store promises of how much a key may do at once, and that keys know nothing of each other."""

import asyncio

import pytest
from tests.stores.accounts import create, made, new_key, tried
from tests.stores.histories import LIFE, Opener, history, new_job, recorded, shared

from taxiway.errors import AuthenticationError, BadRequestError, RateLimitError
from taxiway.protocols import JobQuery
from taxiway.store import Store

pytestmark = pytest.mark.looptime(False)


class TestLimits:
    """How fast, and whether at all."""

    async def test_so_many_a_minute(self, store: Store) -> None:
        """One more than `rpm_limit` within 60 seconds is refused, and hears when there is room again."""
        await made(store, new_key(rpm_limit=2))
        await create(store, new_job(1, at=100.0), new_job(2, at=130.0))

        with pytest.raises(RateLimitError) as refused:
            await create(store, new_job(3, at=159.0))
        await create(store, new_job(4, at=160.0))
        with pytest.raises(RateLimitError) as again:
            await create(store, new_job(5, at=161.0))

        assert ["rate_limit_exceeded", 1.0, 29.0] == [
            refused.value.code,
            refused.value.retry_after_s,
            again.value.retry_after_s,
        ]

    async def test_a_burst_is_counted_one_by_one(self, store: Store) -> None:
        """Of many jobs at the same moment exactly `rpm_limit` are made."""
        await made(store, new_key(rpm_limit=7))

        answers = await tried(store, *(new_job(number, at=50.0) for number in range(30)))

        assert (7, 23) == (answers.count("made"), answers.count("rate_limit_exceeded"))

    @shared
    async def test_replicas_count_together(self, store: Store, another: Opener) -> None:
        """What one process lets in counts for the others."""
        rival = await another()
        await made(store, new_key(rpm_limit=7))

        answers = await asyncio.gather(
            tried(store, *(new_job(number, at=50.0) for number in range(20))),
            tried(rival, *(new_job(number, at=50.0) for number in range(20, 40))),
        )

        assert 7 == sum(each.count("made") for each in answers)

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"blocked": True}, "key_blocked"),
            ({"expires_at": 5.0}, "expired_key"),
            ({"deleted_at": 4.0}, "invalid_api_key"),
        ],
    )
    async def test_a_key_that_opens_nothing_makes_nothing(
        self, store: Store, fields: dict[str, object], code: str
    ) -> None:
        """Who was let in a moment ago by a key that is blocked, expired or deleted by now gets no job."""
        await made(store, new_key(**fields))

        with pytest.raises(AuthenticationError) as refused:
            await create(store, new_job(5))

        assert code == refused.value.code
        assert await store.get("job_0005") is None


class TestIsolation:
    """One key's jobs among everybody's."""

    async def test_a_list_of_ones_own(self, store: Store) -> None:
        """A key's list has its own jobs only; without a key it has everybody's."""
        await create(store, new_job(1), new_job(3), number=1)
        await create(store, new_job(2), number=2)

        own = await store.list(JobQuery(scope="key_0001"))

        assert ["job_0003", "job_0001"] == [job.id for job in own]
        assert 3 == len(await store.list(JobQuery()))

    async def test_anothers_job_is_no_place_to_go_on_from(self, store: Store) -> None:
        """A page cannot begin after another key's job: for this key there is none."""
        await create(store, new_job(1), number=1)
        await create(store, new_job(2), number=2)

        with pytest.raises(BadRequestError, match="`after` names no job"):
            await store.list(JobQuery(scope="key_0001", after="job_0002"))


class TestSeats:
    """How many jobs of a key are under way."""

    async def test_there_are_so_many(self, store: Store) -> None:
        """As many jobs as the limit says have a seat; whoever has one is told so again."""
        await made(store, new_key(1), new_key(2))
        await create(store, new_job(1), new_job(2), new_job(3), number=1)
        await create(store, new_job(4), number=2)

        taken = [
            await store.take_seat(f"job_{number:04}", scope=scope, limit=2)
            for number, scope in (
                (1, "key_0001"),
                (2, "key_0001"),
                (3, "key_0001"),
                (1, "key_0001"),
                (4, "key_0002"),
            )
        ]

        assert [True, True, False, True, True] == taken

    async def test_a_seat_is_free_when_its_job_has_ended(self, store: Store) -> None:
        """It belongs to a job until its end, whatever the job does meanwhile."""
        await made(store, new_key())
        await create(store, job := new_job(1), new_job(2))
        await store.take_seat(job.id, scope="key_0001", limit=1)
        *before, last = history(job, *LIFE)
        await recorded(store, *before)

        full = await store.take_seat("job_0002", scope="key_0001", limit=1)
        await store.record(last)

        assert (False, True) == (
            full,
            await store.take_seat("job_0002", scope="key_0001", limit=1),
        )

    @shared
    async def test_replicas_share_them(self, store: Store, another: Opener) -> None:
        """Of jobs that two processes let go at once, as many go as the limit says."""
        rival = await another()
        await made(store, new_key())
        for number in range(20):
            await create(store if number % 2 else rival, new_job(number))

        taken = await asyncio.gather(
            *(
                (store if number % 2 else rival).take_seat(
                    f"job_{number:04}", scope="key_0001", limit=5
                )
                for number in range(20)
            )
        )

        assert 5 == sum(taken)
