"""What every store promises of virtual keys, and of the money of their jobs."""

import asyncio
from dataclasses import replace

import pytest
from tests import test_stores
from tests.test_stores import (
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

from taxiway.errors import (
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
    InternalServerError,
    RateLimitError,
    StoreError,
    TaxiwayError,
)
from taxiway.facts import Failed, Stopped
from taxiway.jobs import Job, JobError, JobStatus, Part
from taxiway.key_store import KeyQuery
from taxiway.keys import Account, Key, KeyStatus, changed, opened
from taxiway.origins import Existing, Origin
from taxiway.protocols import JobQuery
from taxiway.signals import KeyChanged, Signal
from taxiway.store import Store

pytestmark = pytest.mark.looptime(False)

# The stores of the general contract are the stores of this chapter.
backend = test_stores.backend
url = test_stores.url
another = test_stores.another
store = test_stores.store

#: What one job of `new_job` costs by the price list.
PRICE = 80_000

#: Midnight of a Monday that begins a month: 1 January 2024.
MONDAY = 1_704_067_200.0


def new_key(number: int = 1, **fields: object) -> Key:
    """A key without limits, made at second `number`."""
    at = float(number)
    return Key(
        id=f"key_{number:04}",
        name=f"sk-...{number:04}",
        created_at=at,
        updated_at=at,
        **fields,  # type: ignore[arg-type]
    )


async def made(store: Store, *made_keys: Key, at: float = 0.0) -> None:
    """Keep keys, whose secrets have their ids for digests."""
    for key in made_keys:
        await store.add_key(opened(key, at=at), digest=key.id.encode())


async def account(store: Store, number: int = 1) -> Account:
    """A key's account."""
    found = await store.get_key(f"key_{number:04}")
    assert found is not None
    return found


async def money(store: Store, number: int = 1) -> tuple[int, int, int]:
    """What a key has spent, reserved, and spent altogether."""
    found = await account(store, number)
    return found.spent_microusd, found.reserved_microusd, found.total_microusd


def origin(number: int = 1, **fields: str) -> Origin:
    return Origin(scope=f"key_{number:04}", **fields)  # type: ignore[arg-type]


async def create(store: Store, *jobs: Job, number: int = 1) -> None:
    """Create jobs of a key."""
    for job in jobs:
        await store.create(event(job), origin=origin(number))


async def tried(store: Store, *jobs: Job) -> list[str]:
    """Create jobs of one key at once; return how it went with each."""
    answers = await asyncio.gather(
        *(store.create(event(job), origin=origin()) for job in jobs), return_exceptions=True
    )
    return [answer.code if isinstance(answer, TaxiwayError) else "made" for answer in answers]


class TestKeys:
    """Keeping, finding, changing and listing keys."""

    async def test_a_key_is_found_by_its_secret(self, store: Store) -> None:
        """The digest of a secret leads to the key, whole, with everything it may do."""
        key = new_key(
            alias="ann",
            models=("gen4", "runwayml/*"),
            max_budget_microusd=1_000_000,
            budget_duration="1d",
            rpm_limit=3,
            max_parallel_requests=2,
            expires_at=5e9,
            metadata={"team": {"name": "blue"}},
            tags=("a", "b"),
            user_id="u",
            team_id="t",
        )
        await store.add_key(opened(key, at=MONDAY), digest=b"1")

        assert Account(key=key, resets_at=MONDAY + 86_400) == await store.key_of(b"1")

    async def test_another_secret_finds_nothing(self, store: Store) -> None:
        """A digest that no key has leads nowhere; nor does an id that none has."""
        await made(store, new_key())

        assert (None, None) == (await store.key_of(b"2"), await store.get_key("key_2"))

    async def test_a_secret_is_used_once(self, store: Store) -> None:
        """Two keys cannot have one secret."""
        await store.add_key(opened(new_key(1), at=0), digest=b"1")

        with pytest.raises(BadRequestError, match="`key` must be one that was never used here"):
            await store.add_key(opened(new_key(2), at=0), digest=b"1")
        assert await store.get_key("key_0002") is None

    async def test_an_alias_is_used_once(self, store: Store) -> None:
        """Two keys cannot have one label, whether it is given at the beginning or later."""
        await made(store, new_key(1, alias="ann"), new_key(2, alias="bob"))

        with pytest.raises(BadRequestError, match="'ann' is taken") as refused:
            await made(store, new_key(3, alias="ann"))
        with pytest.raises(BadRequestError, match="'ann' is taken"):
            await store.change_key(
                "key_0002", lambda a: replace(a, key=replace(a.key, alias="ann"))
            )
        assert "key_alias" == refused.value.param
        assert "bob" == (await account(store, 2)).key.alias

    async def test_the_alias_of_a_deleted_key_is_free(self, store: Store) -> None:
        """A deleted key stays, and its label is given to the next one."""
        await made(store, new_key(1, alias="ann"))
        await store.change_key("key_0001", lambda a: replace(a, key=replace(a.key, deleted_at=5.0)))

        await made(store, new_key(2, alias="ann"))

        assert ("ann", "ann") == tuple(
            [(await account(store, number)).key.alias for number in (1, 2)]
        )

    async def test_a_change_keeps_what_is_spent(self, store: Store) -> None:
        """A change of a key leaves alone what its jobs do meanwhile."""
        await made(store, new_key())
        await create(store, new_job(1))

        after = await store.change_key(
            "key_0001", lambda a: changed(a, replace(a.key, blocked=True), at=9.0)
        )

        assert after == await account(store)
        assert (True, PRICE) == (after.key.blocked, after.reserved_microusd)

    async def test_a_refused_change_changes_nothing(self, store: Store) -> None:
        """What the change itself raises comes out, and the key is as it was."""
        await made(store, new_key())

        def refuse(_: Account) -> Account:
            raise BadRequestError("No.")

        with pytest.raises(BadRequestError, match=r"^No\.$"):
            await store.change_key("key_0001", refuse)
        assert new_key() == (await account(store)).key

    async def test_no_key_no_change(self, store: Store) -> None:
        """Changing a key that is not there is None."""
        assert await store.change_key("key_0001", lambda a: a) is None

    @shared
    async def test_the_others_hear_of_a_change(self, store: Store, another: Opener) -> None:
        """Every other replica hears which key was changed."""
        rival = await another()
        heard: asyncio.Queue[Signal] = asyncio.Queue()
        rival.signals(heard.put_nowait)
        await made(store, new_key())
        async with asyncio.timeout(20):
            await heard.get()  # Resync
            await store.change_key("key_0001", lambda a: a)

            assert KeyChanged(key_id="key_0001") == await heard.get()

    async def test_a_seed_never_changes(self, store: Store, another: Opener) -> None:
        """Random bytes are drawn once for a name, whoever asks for them."""
        rival = await another()

        seeds = await asyncio.gather(store.seed("a"), rival.seed("a"), store.seed("b"))

        assert (32, seeds[0]) == (len(seeds[0]), seeds[1])
        assert seeds[0] != seeds[2]

    async def test_a_closed_store_keeps_no_keys(self, store: Store) -> None:
        """After the end every call is refused."""
        await store.close()

        with pytest.raises(StoreError):
            await store.get_key("key_0001")


class TestList:
    """The list of keys."""

    @pytest.fixture(autouse=True)
    async def population(self, store: Store) -> None:
        """Five keys, one in each state and one more."""
        await made(
            store,
            new_key(1, alias="Ann_1", user_id="u"),
            new_key(2, alias="bob", blocked=True, team_id="t"),
            new_key(3, expires_at=50.0),
            new_key(4, alias="ann%2", deleted_at=5.0),
            new_key(5, alias="annxy", user_id="u", expires_at=200.0),
        )

    @pytest.mark.parametrize(
        ("query", "numbers"),
        [
            pytest.param({}, [5, 3, 2, 1], id="newest first, without the deleted"),
            pytest.param({"descending": False}, [1, 2, 3, 5], id="oldest first"),
            pytest.param({"sort_by": "key_alias"}, [2, 5, 1, 3], id="by alias downwards"),
            pytest.param(
                {"sort_by": "key_alias", "descending": False}, [1, 5, 2, 3], id="by alias"
            ),
            pytest.param({"status": KeyStatus.ACTIVE}, [5, 1], id="active"),
            pytest.param({"status": KeyStatus.BLOCKED}, [2], id="blocked"),
            pytest.param({"status": KeyStatus.EXPIRED}, [3], id="expired"),
            pytest.param({"status": KeyStatus.DELETED}, [4], id="deleted"),
            pytest.param({"user_id": "u"}, [5, 1], id="a user's"),
            pytest.param({"team_id": "t"}, [2], id="a team's"),
            pytest.param({"alias": "bob"}, [2], id="an alias"),
            pytest.param({"id": "key_0003"}, [3], id="an id"),
            pytest.param({"search": "ANN"}, [5, 1], id="a part of the alias"),
            pytest.param({"search": "n_"}, [1], id="a part that SQL would take for a pattern"),
            pytest.param({"search": "0003"}, [3], id="a part of the name"),
        ],
    )
    async def test_who_is_on_it(
        self, store: Store, query: dict[str, object], numbers: list[int]
    ) -> None:
        """A list has the keys that are asked for, in the order that is asked for, and says how many they are."""
        found, total = await store.list_keys(KeyQuery(**query), now=100.0)  # type: ignore[arg-type]

        assert numbers == [int(each.key.id[4:]) for each in found]
        assert len(numbers) == total

    async def test_page_by_page(self, store: Store) -> None:
        """A page has so many keys from some place on, and the total counts all pages."""
        found, total = await store.list_keys(KeyQuery(limit=2, offset=1), now=100.0)

        assert (["key_0003", "key_0002"], 4) == ([each.key.id for each in found], total)

    async def test_by_what_was_spent(self, store: Store) -> None:
        """The dearest key comes first where the list is asked for by spend."""
        await create(store, job := new_job(1), number=1)
        await recorded(store, *history(job, *LIFE))

        found, _ = await store.list_keys(KeyQuery(sort_by="spend"), now=100.0)

        assert "key_0001" == found[0].key.id


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
