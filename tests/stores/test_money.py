"""What every store promises of the money of a key: what its jobs hold, cost and may cost."""

import asyncio
from dataclasses import replace

import pytest
from tests.stores.accounts import (
    MONDAY,
    PRICE,
    account,
    create,
    made,
    money,
    new_key,
    origin,
    tried,
)
from tests.stores.histories import (
    LIFE,
    SUBMITTED,
    SUBMITTING,
    Opener,
    event,
    history,
    new_job,
    recorded,
    shared,
)

from taxiway.errors import BudgetExceededError, InternalServerError
from taxiway.facts import Failed, Stopped
from taxiway.jobs import JobError, JobStatus, Part
from taxiway.origins import Existing
from taxiway.protocols import JobQuery
from taxiway.store import Store

pytestmark = pytest.mark.looptime(False)


class TestMoney:
    """What a job does to the account of its key."""

    async def test_a_new_job_reserves_its_price(self, store: Store) -> None:
        """With the job, what it may cost is held back."""
        await made(store, new_key())

        await create(store, new_job(1), new_job(2))

        assert (0, 2 * PRICE, 0) == await money(store)

    async def test_an_estimate_corrects_the_reservation(self, store: Store) -> None:
        """The provider's own estimate takes the place of the price list's."""
        await made(store, new_key())
        await create(store, job := new_job(1))

        await recorded(store, *history(job, SUBMITTING, SUBMITTED))

        assert (0, 60_000, 0) == await money(store)

    async def test_the_end_settles(self, store: Store) -> None:
        """An ended job has cost what was charged, and reserves nothing."""
        await made(store, new_key())
        await create(store, job := new_job(1))

        await recorded(store, *history(job, *LIFE))

        assert (50_000, 0, 50_000) == await money(store)

    @pytest.mark.parametrize(("credits", "spent"), [(0, 0), (3, 30_000), (None, 60_000)])
    async def test_a_failure_costs_what_was_charged(
        self,
        store: Store,
        credits: int | None,  # noqa: A002 - the trade's word
        spent: int,
    ) -> None:
        """A failed job has cost what was charged for it; where nobody knows, the last estimate."""
        await made(store, new_key())
        await create(store, job := new_job(1))
        error = JobError(code="provider_failed", message="No.")

        await recorded(
            store,
            *history(
                job,
                SUBMITTING,
                SUBMITTED,
                Failed(attempt=0, error=error, credits=credits, failure=None, again=False),
            ),
        )

        assert (spent, 0, spent) == await money(store)

    async def test_a_job_that_bought_nothing_costs_nothing(self, store: Store) -> None:
        """What was reserved for a job that ended in the queue is free again."""
        await made(store, new_key())
        await create(store, job := new_job(1))
        error = JobError(code="job_cancelled", message="It was cancelled.")

        await recorded(store, *history(job, Stopped(status=JobStatus.CANCELLED, error=error)))

        assert (0, 0, 0) == await money(store)

    async def test_all_at_once_is_the_same(self, store: Store) -> None:
        """A job whose whole life is one group of writes moves the account as one that takes its time."""
        await made(store, new_key())
        jobs = [new_job(number) for number in range(20)]

        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(store.create(event(job), origin=origin()))
                for each in history(job, *LIFE):
                    group.create_task(store.record(each))

        assert (20 * 50_000, 0, 20 * 50_000) == await money(store)

    async def test_a_repeated_creation_reserves_once(self, store: Store) -> None:
        """A caller whose answer was lost may create the very same job once more, at no cost."""
        await made(store, new_key(max_budget_microusd=PRICE))
        job = new_job(1)

        await create(store, job, job)

        assert (0, PRICE, 0) == await money(store)

    async def test_a_job_that_cannot_be_made_reserves_nothing(self, store: Store) -> None:
        """Another job under a known id is refused, and holds nothing back."""
        await made(store, new_key())
        await create(store, new_job(1))

        with pytest.raises(InternalServerError):
            await create(store, new_job(1, model="other"))

        assert (0, PRICE, 0) == await money(store)

    async def test_a_repeated_change_books_once(self, store: Store) -> None:
        """A change that comes twice moves the account once."""
        await made(store, new_key())
        await create(store, job := new_job(1))
        events = history(job, *LIFE)

        await recorded(store, *events, events[-1])

        assert (50_000, 0, 50_000) == await money(store)

    @shared
    async def test_who_takes_a_job_over_settles_it(
        self,
        store: Store,
        another: Opener,
    ) -> None:
        """A reservation goes with its job: whoever ends the job settles it."""
        await made(store, new_key())
        await create(store, job := new_job(1))
        first, *rest = history(job, *LIFE)
        await store.record(first)
        rival = await another()
        await store.release()

        (claimed,) = await rival.claim()
        await recorded(rival, *rest)

        assert job.id == claimed.id
        assert (50_000, 0, 50_000) == await money(rival)

    async def test_keys_do_not_mix(self, store: Store) -> None:
        """Every key pays for its own jobs; the master key's cost nobody's budget."""
        await made(store, new_key(1), new_key(2))

        await create(store, new_job(1), number=1)
        await store.create(event(new_job(3)))

        assert ((0, PRICE, 0), (0, 0, 0)) == (await money(store, 1), await money(store, 2))

    async def test_where_a_key_stands_is_known_here(self, store: Store) -> None:
        """After a step of a job, this process knows where its key stands, without asking."""
        await made(store, new_key(rpm_limit=5))
        await create(store, new_job(1), new_job(2))

        standing = store.standing("key_0001")

        assert standing is not None
        assert await account(store) == standing.account
        assert 2 == standing.recent.jobs

    async def test_when_it_was_used(self, store: Store) -> None:
        """An account says when its key made its last job."""
        await made(store, new_key())

        await create(store, new_job(7))

        assert 7.0 == (await account(store)).last_active_at


class TestBudgets:
    """Refused before anything is bought."""

    async def test_a_hundred_at_once_buy_ten(self, store: Store) -> None:
        """Of a hundred jobs that come at once on a key worth ten, exactly ten are made."""
        await made(store, new_key(max_budget_microusd=10 * PRICE))

        answers = await tried(store, *(new_job(number) for number in range(100)))

        assert {"made": 10, "budget_exceeded": 90} == {
            each: answers.count(each) for each in set(answers)
        }
        assert 10 == len(await store.list(JobQuery(limit=100)))
        assert (0, 10 * PRICE, 0) == await money(store)

    @shared
    async def test_two_replicas_buy_ten(self, store: Store, another: Opener) -> None:
        """It is the same where two processes let them in."""
        rival = await another()
        await made(store, new_key(max_budget_microusd=10 * PRICE))

        answers = await asyncio.gather(
            tried(store, *(new_job(number) for number in range(50))),
            tried(rival, *(new_job(number) for number in range(50, 100))),
        )

        assert 10 == sum(each.count("made") for each in answers)
        assert (0, 10 * PRICE, 0) == await money(store)

    async def test_the_refusal_says_why(self, store: Store) -> None:
        """Who is refused hears what the budget is, what is spent, what is reserved and what was asked for."""
        await made(store, new_key(max_budget_microusd=200_000))
        await create(store, job := new_job(1), new_job(2))
        await recorded(store, *history(job, *LIFE))

        with pytest.raises(BudgetExceededError) as refused:
            await create(store, new_job(3))

        assert (
            "The budget of the API key is $0.20: $0.05 are spent, $0.08 are reserved for jobs under way, "
            "and this request may cost $0.08; nothing was bought."
        ) == refused.value.message
        assert await store.get("job_0003") is None

    async def test_what_is_settled_is_free_again(self, store: Store) -> None:
        """A job that costs less than it reserved leaves room for the next one."""
        await made(store, new_key(max_budget_microusd=PRICE + 50_000))
        await create(store, job := new_job(1))

        before = await tried(store, new_job(2))
        await recorded(store, *history(job, *LIFE))

        assert (["budget_exceeded"], ["made"]) == (before, await tried(store, new_job(3)))

    async def test_no_price_no_budget(self, store: Store) -> None:
        """A key with a budget cannot ask for what nobody knows the price of; a key without one can."""
        await made(store, new_key(1, max_budget_microusd=PRICE), new_key(2))
        unknown = replace(new_job(1), parts=(Part(images=1, credits=None),))

        assert ["budget_exceeded"] == await tried(store, unknown)
        await create(store, unknown, number=2)

    async def test_a_budget_of_nothing_buys_nothing(self, store: Store) -> None:
        """A budget of zero is a budget."""
        await made(store, new_key(max_budget_microusd=0))

        assert ["budget_exceeded"] == await tried(store, new_job(1))

    async def test_a_refused_job_leaves_its_idempotency_key_free(self, store: Store) -> None:
        """The key of a refused request is as good as new."""
        await made(store, new_key(max_budget_microusd=0))
        again = origin(key_hash="k", fingerprint="f")

        with pytest.raises(BudgetExceededError):
            await store.create(event(new_job(1)), origin=again)
        await store.change_key(
            "key_0001", lambda a: replace(a, key=replace(a.key, max_budget_microusd=None))
        )

        assert await store.create(event(new_job(2)), origin=again) is None

    async def test_a_replay_needs_no_budget(self, store: Store) -> None:
        """A request that was made before is answered with its job, however little is left."""
        await made(store, new_key(max_budget_microusd=PRICE))
        again = origin(key_hash="k", fingerprint="f")
        await store.create(event(new_job(1)), origin=again)

        existing = await store.create(event(new_job(2)), origin=again)

        assert Existing(job_id="job_0001", fingerprint="f") == existing
        assert (0, PRICE, 0) == await money(store)


class TestPeriods:
    """Budgets that begin anew."""

    async def test_a_new_period_begins_with_nothing_spent(self, store: Store) -> None:
        """After midnight a day's budget is whole again, and the total goes on."""
        await made(store, new_key(max_budget_microusd=PRICE, budget_duration="1d"), at=MONDAY)
        await create(store, job := new_job(1, at=MONDAY + 86_399))
        await recorded(store, *history(job, *LIFE, at=MONDAY + 86_399))

        full = await tried(store, new_job(2, at=MONDAY + 86_399.5))
        fresh = await tried(store, new_job(3, at=MONDAY + 86_400))

        assert (["budget_exceeded"], ["made"]) == (full, fresh)
        assert (0, PRICE, 50_000) == await money(store)
        assert MONDAY + 2 * 86_400 == (await account(store)).resets_at

    async def test_a_job_counts_when_it_was_accepted(self, store: Store) -> None:
        """A job that ends after midnight is paid for by the day that let it in."""
        await made(store, new_key(max_budget_microusd=PRICE, budget_duration="1d"), at=MONDAY)
        await create(store, job := new_job(1, at=MONDAY + 86_390))

        assert ["made"] == await tried(store, new_job(2, at=MONDAY + 86_401))
        await recorded(store, *history(job, *LIFE, at=MONDAY + 86_402))

        assert (0, PRICE, 50_000) == await money(store)

    @shared
    async def test_it_does_so_at_the_next_owner_too(
        self,
        store: Store,
        another: Opener,
    ) -> None:
        """Whoever takes the job over knows which period it belongs to."""
        await made(store, new_key(budget_duration="1d"), at=MONDAY)
        await create(store, new_job(1, at=MONDAY + 86_399))
        await create(store, later := new_job(2, at=MONDAY + 86_401))
        rival = await another()
        await store.release()

        assert ["job_0001", "job_0002"] == [job.id for job in await rival.claim()]
        await recorded(rival, *history(new_job(1, at=MONDAY + 86_399), *LIFE, at=MONDAY + 86_500))
        assert (0, PRICE, 50_000) == await money(rival)
        await recorded(rival, *history(later, *LIFE, at=MONDAY + 86_500))
        assert (50_000, 0, 100_000) == await money(rival)
