"""What every store promises of the books, and of what is forgotten."""

import asyncio
from dataclasses import replace

import pytest
from tests.stores.histories import (
    KEYED,
    LIFE,
    ONE,
    event,
    history,
    later,
    new_job,
    recorded,
    stored,
    usage,
)

from taxiway.errors import LeaseLostError
from taxiway.jobs import JobStatus
from taxiway.ledger import Grouping, Usage
from taxiway.origins import Origin
from taxiway.protocols import JobQuery
from taxiway.store import Store

pytestmark = pytest.mark.looptime(False)


class TestBooks:
    """The ledger."""

    async def test_a_generation_is_booked(self, store: Store) -> None:
        """A reservation by the price list, corrected to the provider's estimate, gives way to what was charged."""
        job = new_job(1)
        await stored(store, job)
        shown = []
        for each in history(job, *LIFE):
            await store.record(each)
            shown += await store.usage([])

        assert [
            usage(reserved_credits=8),
            usage(reserved_credits=6),
            usage(reserved_credits=6),
            usage(**ONE),
        ] == shown
        assert (50_000, 0) == (shown[-1].spent_microusd, shown[-1].reserved_microusd)

    async def test_a_repeat_books_nothing(self, store: Store) -> None:
        """An event that is recorded twice is booked once."""
        job = new_job(1)
        await stored(store, job)

        for each in history(job, *LIFE):
            await recorded(store, each, each)

        assert [usage(**ONE)] == list(await store.usage([]))

    async def test_what_was_overtaken_is_booked(self, store: Store) -> None:
        """An event whose write failed and that a later one overtook is booked with the later one."""
        job = new_job(1)
        await stored(store, job)
        submitting, submitted, running, delivered = history(job, *LIFE)

        await recorded(store, running, submitted, submitting)
        reserved = await store.usage([])
        await store.record(delivered)

        assert [usage(reserved_credits=6)] == list(reserved)
        assert [usage(**ONE)] == list(await store.usage([]))

    async def test_a_new_owner_goes_on_with_the_books(self, store: Store, rival: Store) -> None:
        """What a former owner has reserved is settled by the new one, whatever the former one still writes."""
        job = new_job(1)
        await stored(store, job, origin=Origin(scope="key_a"))
        submitting, submitted, running, delivered = history(job, *LIFE)
        await recorded(store, submitting, submitted)
        await store.release()
        await rival.claim()
        await recorded(rival, running, delivered)
        with pytest.raises(LeaseLostError):
            await store.record(delivered)

        assert [usage("key_a", **ONE)] == list(await store.usage([Grouping.KEY]))

    @pytest.mark.parametrize(
        ("by", "expected"),
        [
            pytest.param([Grouping.MODEL], [("gen4-image", 2), ("other", 1)], id="model"),
            pytest.param([Grouping.KEY], [("key_a", 2), ("key_b", 1)], id="key"),
            pytest.param([Grouping.DAY], [("1970-01-01", 2), ("1970-01-02", 1)], id="day"),
            pytest.param([Grouping.UPSTREAM_MODEL], [("gen4_image", 3)], id="upstream model"),
            pytest.param([Grouping.DEPLOYMENT], [("d1", 3)], id="deployment"),
            pytest.param(
                [Grouping.DAY, Grouping.MODEL],
                [
                    ("1970-01-01", "gen4-image", 1),
                    ("1970-01-01", "other", 1),
                    ("1970-01-02", "gen4-image", 1),
                ],
                id="two at once",
            ),
        ],
    )
    async def test_usage_is_added_up(
        self, store: Store, by: list[Grouping], expected: list[tuple[str, int]]
    ) -> None:
        """Usage is added up by what is asked for, and sorted by it."""
        for job, scope, at in (
            (new_job(1), "key_a", 10.0),
            (new_job(2), "key_b", 86_400.0),
            (new_job(3, model="other"), "key_a", 86_390.0),
        ):
            await stored(store, job, origin=Origin(scope=scope))
            await recorded(store, *history(job, *LIFE, at=at))

        assert [
            usage(*group, jobs=n, attempts=n, tasks=n, charged_credits=5 * n)
            for *group, n in expected
        ] == list(await store.usage(by))

    @pytest.mark.parametrize(
        ("bounds", "expected"),
        [
            pytest.param({"until": 10.0}, usage(), id="before the first"),
            pytest.param({"until": 11.0}, usage(reserved_credits=8), id="the reservation"),
            pytest.param(
                {"since": 11.0, "until": 12.0}, usage(reserved_credits=-2), id="the estimate"
            ),
            pytest.param({"since": 13.0}, usage(reserved_credits=-6, **ONE), id="the charge"),
            pytest.param({"since": 14.0}, usage(), id="after the last"),
            pytest.param({"scope": "key_a"}, usage(**ONE), id="the scope"),
            pytest.param({"scope": "key_b"}, usage(), id="another scope"),
        ],
    )
    async def test_usage_is_bounded(
        self, store: Store, bounds: dict[str, float | str], expected: Usage
    ) -> None:
        """Usage holds the entries of the time and the scope that are asked for."""
        await stored(store, new_job(1), origin=Origin(scope="key_a"))
        await recorded(store, *history(new_job(1), *LIFE))

        assert [expected] == list(await store.usage([], **bounds))

    async def test_an_empty_ledger_adds_up_to_nothing(self, store: Store) -> None:
        """Without an entry there is no group, and one row of zeros where no group was asked for."""
        assert ([], [usage()]) == (
            list(await store.usage([Grouping.MODEL])),
            list(await store.usage([])),
        )


class TestForgetting:
    """Deleting what is old."""

    async def test_old_jobs_are_forgotten(self, store: Store) -> None:
        """What ended before a date is deleted, with its key; the rest, and the books, stay."""
        old, new, running = new_job(1), new_job(2), new_job(3)
        await store.create(event(old), origin=KEYED)
        await store.create(event(new), origin=replace(KEYED, key_hash="k2"))
        await store.create(event(running), origin=replace(KEYED, key_hash="k3"))
        for job, at in ((old, 10.0), (new, 100.0)):
            await recorded(store, *history(job, *LIFE, at=at))
        before = await store.usage([])

        forgotten = await store.forget(50.0)

        assert 1 == forgotten
        assert [running.id, new.id] == [job.id for job in await store.list(JobQuery())]
        keys = [await store.known(key, scope="") for key in ("k", "k2", "k3")]
        assert [None, new.id, running.id] == [known and known.job_id for known in keys]
        assert before == await store.usage([])
        assert 0 == await store.forget(50.0)

    async def test_many_are_forgotten(self, store: Store) -> None:
        """However many there are, one call forgets them all."""
        ended = [later(new_job(n), 2, JobStatus.CANCELLED) for n in range(60)] * 9
        jobs = [replace(job, id=f"job_{n:04}") for n, job in enumerate(ended)]
        await asyncio.gather(*(store.create(event(job)) for job in jobs))

        assert (540, []) == (await store.forget(100.0), list(await store.list(JobQuery())))
