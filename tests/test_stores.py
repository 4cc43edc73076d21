"""What every store promises. One contract, told once, kept by all of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from pathlib import Path

import pytest

from taxiway.deliveries import Delivery, DeliveryStatus, Endpoint, Outcome, Try
from taxiway.errors import (
    BadRequestError,
    InternalServerError,
    LeaseLostError,
    NotFoundError,
    StoreError,
)
from taxiway.events import Event, EventName
from taxiway.facts import Delivered, Fact, Output, Seen, Submitted, Submitting
from taxiway.jobs import GenerationRequest, Job, JobError, JobStatus, Part, Phase, Plan
from taxiway.ledger import Grouping, Usage
from taxiway.origins import NOBODY, Caller, Existing, Origin
from taxiway.protocols import CLAIM_MAX, JobQuery
from taxiway.signals import CancelWanted, Changed, Released, Resync, Signal, Ticked
from taxiway.store import Store, open_store
from taxiway.store.connections import Connections
from taxiway.store.memory import MemoryStore
from taxiway.store.owners import new_owner
from taxiway.store.shelf import Shelf
from taxiway.store.sql import SqlStore
from taxiway.store.sqlite.database import SqliteDatabase
from taxiway.store.tables import HEAD
from taxiway.transitions import accept, advance

pytestmark = pytest.mark.looptime(False)

PLAN = Plan(size="1920x1080", parts=(Part(images=1, credits=8),))

#: Opens one more store over the same jobs, as another process would. `lease_s` is how long it lasts.
Opener = Callable[..., Awaitable[Store]]

#: Stores that several processes can use at once.
shared = pytest.mark.parametrize("backend", ["memory", "postgres"], indirect=True)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of store."""
    return str(request.param)


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store."""
    if backend == "postgres":
        return str(request.getfixturevalue("postgres"))
    return {"memory": "memory://", "sqlite": f"sqlite+aiosqlite:///{tmp_path}/taxiway.db"}[backend]


@pytest.fixture
async def another(backend: str, url: str) -> AsyncIterator[Opener]:
    """What opens stores over the same jobs; they are closed at the end."""
    shelf = Shelf()
    opened: list[Store] = []

    async def open_another(*, lease_s: float = 60.0) -> Store:
        if backend == "memory":
            store: Store = MemoryStore(shelf=shelf, lease_s=lease_s)
        elif backend == "sqlite" and opened:
            store = beside(opened[0])
        else:
            store = await open_store(url, lease_s=lease_s)
        opened.append(store)
        return store

    yield open_another
    for store in reversed(opened):
        await store.close()


@pytest.fixture
async def store(another: Opener) -> Store:
    """An open, empty store."""
    return await another()


@pytest.fixture
async def rival(store: Store, another: Opener) -> Store:
    """Another process's store over the same jobs."""
    return await another()


def beside(store: Store) -> Store:
    """A second store on an open SQLite file, where the lock would let no other process in."""
    assert isinstance(store, SqlStore)
    assert isinstance(store._database, SqliteDatabase)
    owner = new_owner()
    database = SqliteDatabase(store._database._writer, owner=owner)
    resources = AsyncExitStack()
    resources.push_async_callback(database.reader.dispose)
    return SqlStore(database, owner=owner, resources=resources)


def new_job(number: int, *, model: str = "gen4-image", at: float | None = None) -> Job:
    """A queued job, created at second `number` unless told otherwise."""
    return accept(
        GenerationRequest(model=model, prompt=f"Lighthouse {number}."),
        PLAN,
        id=f"job_{number:04}",
        at=float(number) if at is None else at,
        deadline_at=1000.0,
    )


def later(job: Job, revision: int, status: JobStatus = JobStatus.IN_PROGRESS) -> Job:
    """The job at a later revision: running, or ended with the status."""
    if status is JobStatus.IN_PROGRESS:
        return replace(job, revision=revision, status=status, phase=Phase.RUNNING)
    error = None
    if status is JobStatus.FAILED:
        error = JobError(code="provider_failed", message="The provider failed.")
    return replace(job, revision=revision, status=status, phase=None, finished_at=99.0, error=error)


def event(job: Job) -> Event:
    return Event(job=job, at=job.created_at)


def history(job: Job, *facts: Fact, at: float = 10.0) -> list[Event]:
    """The events that facts make of a job, one a second."""
    events: list[Event] = []
    for i, fact in enumerate(facts):
        after = advance(job, fact, at=at + i)
        events.append(Event(job=after, before=job, fact=fact, at=at + i))
        job = after
    return events


#: A generation for 8 credits by the price list, 6 by the provider's estimate, and 5 in the end.
SUBMITTING = Submitting(attempt=0, part=0, deployment="d1", provider="runwayml", model="gen4_image")
SUBMITTED = Submitted(attempt=0, upstream_id="task-1", credits=6)
RUNNING = Seen(attempt=0, phase=Phase.RUNNING, progress=0.25)
DELIVERED = Delivered(
    attempt=0,
    outputs=(Output(url="https://example.com/1.png", size=None, content_type="image/png"),),
    credits=5,
)
LIFE = (SUBMITTING, SUBMITTED, RUNNING, DELIVERED)


def usage(*group: str, **numbers: int) -> Usage:
    """A row of the books; what is not named is 0, and the money is that of the credits."""
    names = [field.name for field in fields(Usage) if field.name != "group"]
    money = {
        f"{kind}_microusd": numbers.get(f"{kind}_credits", 0) * 10_000
        for kind in ("charged", "estimated", "reserved")
    }
    numbers = money | numbers
    return Usage(group=group, **{**dict.fromkeys(names, 0), **numbers})


#: One generation as it is booked when it has ended.
ONE = {"jobs": 1, "attempts": 1, "tasks": 1, "charged_credits": 5}


async def stored(store: Store, *jobs: Job, origin: Origin = NOBODY) -> None:
    """Create jobs, and bring those with a later revision to it."""
    for job in jobs:
        first = replace(
            job, revision=1, status=JobStatus.QUEUED, phase=Phase.QUEUED, finished_at=None
        )
        await store.create(event(replace(first, error=None)), origin=origin)
        if job.revision > 1:
            await store.record(event(job))


async def recorded(store: Store, *events: Event) -> None:
    """Record events, one after the other."""
    for each in events:
        await store.record(each)


def numbers(jobs: Sequence[Job]) -> list[int]:
    """The numbers of jobs."""
    return [int(job.id.removeprefix("job_")) for job in jobs]


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


#: Four models' worth of jobs in every state. Two share a second, so that the id must decide.
POPULATION = [
    new_job(1),
    later(new_job(2), 2),
    later(new_job(3), 4, JobStatus.COMPLETED),
    later(new_job(4), 4, JobStatus.FAILED),
    later(new_job(5, model="other"), 4, JobStatus.CANCELLED),
    new_job(6, model="other", at=5.0),
    later(new_job(7, model="other"), 4, JobStatus.FAILED),
    later(new_job(8), 3),
]


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


def asked(
    *, scope: str = "", key: str | None = None, fingerprint: str = "f", caller: Caller
) -> Origin:
    """Who asked for a job."""
    return Origin(scope=scope, key_hash=key, fingerprint=fingerprint, caller=caller)


KEYED = asked(key="k", caller=Caller.WAITING)


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


class Ear:
    """Hears signals, and waits for them."""

    def __init__(self) -> None:
        self.heard: list[Signal] = []
        self._more = asyncio.Event()

    def hear(self, signal: Signal) -> None:
        self.heard.append(signal)
        self._more.set()

    async def hears(self, *signals: Signal) -> None:
        """Return when all of these were heard."""
        async with asyncio.timeout(10):
            while not set(signals) <= set(self.heard):
                self._more.clear()
                await self._more.wait()


@pytest.fixture
async def ear(rival: Store) -> Ear:
    """What the rival hears, from when it can hear."""
    ear = Ear()
    rival.signals(ear.hear)
    await ear.hears(Resync())
    ear.heard.clear()
    return ear


@shared
class TestSignals:
    """What one process hears of another."""

    async def test_changes_are_told(self, store: Store, ear: Ear) -> None:
        """Each committed revision after the first is told, and what was refused is not."""
        job = new_job(1)
        await stored(store, job)
        await recorded(store, *history(job, SUBMITTING, SUBMITTED))
        await store.record(event(later(job, 2)))
        await store.record(event(later(job, 5)))

        await ear.hears(Changed(job_id=job.id, revision=5))
        assert [Changed(job_id=job.id, revision=n) for n in (2, 3, 5)] == ear.heard

    async def test_a_crowd_is_told(self, store: Store, ear: Ear) -> None:
        """Hundreds of changes at once, more than one message can hold, are heard, every one."""
        jobs = [new_job(n) for n in range(400)]
        await asyncio.gather(*(store.create(event(job)) for job in jobs))
        await asyncio.gather(*(store.record(event(later(job, 2))) for job in jobs))

        await ear.hears(*(Changed(job_id=job.id, revision=2) for job in jobs))
        assert 400 == len(ear.heard)

    async def test_ticks_are_told(self, store: Store, ear: Ear) -> None:
        """A tick is told with what it takes to make the same of a copy of the job."""
        job = new_job(1)
        await stored(store, job)
        *before, tick = history(job, SUBMITTING, SUBMITTED, RUNNING, replace(RUNNING, progress=0.5))
        await recorded(store, *before)
        store.tell(tick)

        told = Ticked(job_id=job.id, revision=4, attempt=0, progress=0.5, at=13.0)
        await ear.hears(told)
        copy = await store.get(job.id)
        assert copy is not None
        seen = Seen(attempt=0, phase=copy.attempts[0].phase, progress=told.progress)
        assert tick.job == advance(copy, seen, at=told.at)

    async def test_what_is_no_tick_is_not_told(self, store: Store, ear: Ear) -> None:
        """A revision is told by its commit, not by whoever calls."""
        job = new_job(1)
        await stored(store, job)
        (submitting,) = history(job, SUBMITTING)
        store.tell(submitting)
        await store.record(submitting)

        await ear.hears(Changed(job_id=job.id, revision=2))
        assert [Changed(job_id=job.id, revision=2)] == ear.heard

    async def test_a_release_is_told(self, store: Store, ear: Ear) -> None:
        """Whoever lets go of its jobs says so."""
        await store.release()

        await ear.hears(Released())

    async def test_a_close_is_a_release(self, store: Store, ear: Ear, rival: Store) -> None:
        """A store that is closed lets go of its jobs, which can be claimed at once."""
        await stored(store, new_job(1))
        await store.close()

        await ear.hears(Released())
        assert [1] == numbers(await rival.claim())

    async def test_a_wish_to_stop_is_told(self, store: Store, ear: Ear, rival: Store) -> None:
        """A request to stop reaches the owner."""
        await stored(rival, new_job(1))
        await store.request_cancel("job_0001")

        await ear.hears(CancelWanted(job_id="job_0001"))

    async def test_nobody_hears_itself(self, store: Store, ear: Ear, rival: Store) -> None:
        """What a process does itself it is not told."""
        await stored(rival, later(new_job(1), 2), new_job(2))
        await rival.request_cancel("job_0001")
        await stored(store, later(new_job(3), 2))

        await ear.hears(Changed(job_id="job_0003", revision=2))
        assert [Changed(job_id="job_0003", revision=2)] == ear.heard


class TestLife:
    """Opening, measuring, closing."""

    async def test_it_says_what_it_is(self, store: Store, backend: str) -> None:
        """A store names its backend and the version of its schema."""
        expected = {
            "memory": ("memory", ""),
            "sqlite": ("sqlite", HEAD),
            "postgres": ("postgresql", HEAD),
        }

        assert expected[backend] == (store.backend, store.schema_version)

    async def test_it_answers(self, store: Store) -> None:
        """A ping returns while the store works."""
        await store.ping()

    async def test_it_says_what_its_connections_do(self, store: Store) -> None:
        """With all of them lent a read waits; who leaves waits no more, and what is given back lies idle."""
        if not isinstance(store, SqlStore):
            assert Connections() == store.connections()
            return
        async with AsyncExitStack() as lent:
            for _ in range(4):
                await lent.enter_async_context(store._database.reading())
            full = store.connections()
            reads = [asyncio.create_task(store.get("job_0001")) for _ in range(3)]
            await asyncio.sleep(0.05)
            crowded = store.connections()
            reads[0].cancel()
            await asyncio.wait(reads[:1])
            one_left = store.connections()
        await asyncio.gather(*reads[1:])

        assert Connections(used=4) == full
        assert Connections(used=4, waiting=3) == crowded
        assert Connections(used=4, waiting=2) == one_left
        assert Connections(idle=4) == store.connections()

    async def test_closing_commits_what_waits(self, store: Store) -> None:
        """Callers who wait when the store is closed are committed first."""
        calls = [asyncio.create_task(store.create(event(new_job(n)))) for n in range(100)]
        await asyncio.sleep(0)

        await store.close()

        assert [None] * 100 == await asyncio.gather(*calls)

    async def test_a_closed_store_takes_nothing(self, store: Store) -> None:
        """After the close every call is refused at once, and closing again is fine."""
        await store.close()
        await store.close()
        job = new_job(1)
        calls = [
            store.create(event(job)),
            store.record(event(later(job, 2))),
            store.get(job.id),
            store.newer({job.id: 1}),
            store.list(JobQuery()),
            store.unfinished(),
            store.forget(1.0),
            store.renew(),
            store.claim(),
            store.release(),
            store.request_cancel(job.id),
            store.cancel_requests(),
            store.known("key", scope=""),
            store.departed(job.id),
            store.promised(job.id),
            store.is_promised(job.id),
            store.join_retry(scope="", fingerprint="f", count=1, since=0.0),
            store.usage([]),
            store.outbox.take(now=0.0, lease_s=1.0, limit=1),
            store.outbox.of_job(job.id),
            store.outbox.redeliver(job.id, 0, now=0.0),
            store.outbox.pending(),
            store.ping(),
        ]

        outcomes = await asyncio.gather(*calls, return_exceptions=True)

        assert [(StoreError, "The store is closed.")] * len(calls) == [
            (type(outcome), str(outcome)) for outcome in outcomes
        ]

    async def test_durations_are_reported(self, url: str) -> None:
        """Whoever asked to know is told every operation, the failed ones too, and how long it took."""
        told: list[tuple[str, float]] = []
        store = await open_store(
            url, observe=lambda name, duration_s: told.append((name, duration_s))
        )
        job = new_job(1)
        await stored(store, later(job, 2))
        await store.get(job.id)
        await store.unfinished()
        await store.ping()
        with pytest.raises(BadRequestError):
            await store.list(JobQuery(after="job_9"))
        await store.close()

        names = [name for name, _ in told if name != "commit"]
        assert ["create", "record", "get", "unfinished", "ping", "list"] == names
        assert all(0 <= duration_s < 60 for _, duration_s in told)

    async def test_names_are_never_used_again(self, store: Store, rival: Store) -> None:
        """Every opening has a name of its own in the database."""
        assert store.owner.startswith("r_")
        assert store.owner != rival.owner


MINE = Endpoint(source="request", url="https://mine.example/hook?key=1", secret="whsec_mine")
OURS = Endpoint(source="settings", url="https://ours.example:8443/hook")


class TestOutbox:
    """Whom to tell of a job's end: kept with the end itself, and taken by one process at a time."""

    async def ended(self, store: Store, *numbers: int, at: float = 99.0) -> None:
        """End some jobs of which two endpoints are told, each a second after the one before."""
        for i, number in enumerate(numbers):
            job = later(new_job(number), 2, JobStatus.COMPLETED)
            await stored(store, replace(job, revision=1))
            await store.record(Event(job=job, at=at + i), endpoints=(MINE, OURS))

    async def test_a_delivery_is_kept_with_the_end_of_its_job(self, store: Store) -> None:
        """One for each endpoint, due at once, by their order; before that there is none."""
        await stored(store, later(new_job(2), 2))
        await self.ended(store, 1)
        kept = await store.outbox.of_job("job_0001")

        assert [
            Delivery(
                job_id="job_0001",
                number=number,
                revision=2,
                event=EventName.COMPLETED,
                endpoint=endpoint,
                created_at=99.0,
                due_at=99.0,
            )
            for number, endpoint in enumerate((MINE, OURS))
        ] == list(kept)
        assert ["evt_0001_2"] * 2 == [each.webhook_id for each in kept]
        assert ["mine.example", "ours.example:8443"] == [each.host for each in kept]
        assert "whsec_mine" not in repr(kept)
        assert [] == list(await store.outbox.of_job("job_0002"))
        assert 2 == await store.outbox.pending()

    async def test_an_end_that_is_recorded_twice_is_told_once(self, store: Store) -> None:
        """A write whose answer was lost is repeated, and changes nothing."""
        await self.ended(store, 1)
        job = later(new_job(1), 2, JobStatus.COMPLETED)
        await store.record(Event(job=job, at=100.0), endpoints=(MINE, OURS))

        assert 2 == await store.outbox.pending()

    async def test_who_does_not_own_a_job_tells_nobody(self, store: Store, rival: Store) -> None:
        """What changes nothing is not told either."""
        await stored(store, new_job(1))
        job = later(new_job(1), 2, JobStatus.COMPLETED)
        with pytest.raises(LeaseLostError):
            await rival.record(Event(job=job, at=99.0), endpoints=(MINE,))

        assert 0 == await store.outbox.pending()

    async def test_one_takes_it_and_nobody_else(self, store: Store, rival: Store) -> None:
        """For the time of a lease; if nothing is heard of it, it is due again, for anybody."""
        await self.ended(store, 1)
        first = await store.outbox.take(now=100.0, lease_s=60.0, limit=10)
        meanwhile = await rival.outbox.take(now=159.0, lease_s=60.0, limit=10)
        after = await rival.outbox.take(now=160.0, lease_s=60.0, limit=10)

        assert [0, 1] == [each.number for each in first]
        assert {DeliveryStatus.SENDING} == {each.status for each in first}
        assert ([], [0, 1]) == (list(meanwhile), [each.number for each in after])

    async def test_many_that_take_at_once_share(self, store: Store, rival: Store) -> None:
        """Each delivery is taken once."""
        await self.ended(store, *range(1, 11))
        takes = [s.outbox.take(now=200.0, lease_s=60.0, limit=4) for s in (store, rival) * 4]
        taken = [each for page in await asyncio.gather(*takes) for each in page]
        while rest := await store.outbox.take(now=200.0, lease_s=60.0, limit=4):
            taken += rest

        assert 20 == len(taken) == len({(each.job_id, each.number) for each in taken})

    async def test_what_is_due_longest_comes_first(self, store: Store) -> None:
        """So many at a time, and none that is not due, nor one to a host that is busy."""
        await self.ended(store, 2, 1, 3)
        early = await store.outbox.take(now=98.0, lease_s=60.0, limit=9)
        first = await store.outbox.take(now=200.0, lease_s=60.0, limit=2, without=["mine.example"])
        rest = await store.outbox.take(now=200.0, lease_s=60.0, limit=9)

        assert [] == list(early)
        assert [("job_0002", 1), ("job_0001", 1)] == [(d.job_id, d.number) for d in first]
        assert {("job_0002", 0), ("job_0001", 0), ("job_0003", 0), ("job_0003", 1)} == {
            (d.job_id, d.number) for d in rest
        }

    async def test_however_many_hosts_are_busy(self, store: Store) -> None:
        """Every look names those of its moment: none of them is taken, and all of them when they are free."""
        await self.ended(store, 1)
        none = ["a.example", "mine.example", "ours.example:8443"]
        looks = [
            await store.outbox.take(now=200.0, lease_s=60.0, limit=9, without=without)
            for without in (none, none[:2], none[:1], [])
        ]

        assert [[], [1], [0], []] == [[each.number for each in look] for look in looks]

    async def test_a_try_is_written_down(self, store: Store) -> None:
        """Each try is kept, with when the next one is due, and the count goes on from there."""
        await self.ended(store, 1)
        one = Try(at=100.0, outcome=Outcome.HTTP_ERROR, code=500, duration_s=0.5)
        two = Try(at=106.0, outcome=Outcome.DELIVERED, code=204, duration_s=0.25)
        first, _ = await store.outbox.take(now=100.0, lease_s=60.0, limit=9)
        await store.outbox.settle(first, one, status=DeliveryStatus.PENDING, due_at=105.0)
        (second,) = await store.outbox.take(now=105.0, lease_s=60.0, limit=9)
        await store.outbox.settle(second, two, status=DeliveryStatus.DELIVERED, due_at=None)
        (kept, _) = await store.outbox.of_job("job_0001")

        assert (1, (one,)) == (second.tries, second.log)
        assert (DeliveryStatus.DELIVERED, None, 2, (one, two)) == (
            *(kept.status, kept.due_at),
            *(kept.tries, kept.log),
        )
        assert 1 == await store.outbox.pending()

    async def test_who_has_lost_it_has_no_say(self, store: Store, rival: Store) -> None:
        """What somebody else has taken since is theirs, whatever comes late."""
        await self.ended(store, 1)
        last = Try(at=100.0, outcome=Outcome.TIMEOUT, code=None, duration_s=20.0)
        late = await store.outbox.take(now=100.0, lease_s=1.0, limit=9)
        await rival.outbox.take(now=200.0, lease_s=60.0, limit=9)
        await store.outbox.settle(late[0], last, status=DeliveryStatus.FAILED, due_at=None)
        await store.outbox.give_back(late[1], now=201.0)
        kept = await store.outbox.of_job("job_0001")

        assert [(DeliveryStatus.SENDING, 260.0, 0)] * 2 == [
            (each.status, each.due_at, each.tries) for each in kept
        ]

    async def test_what_is_given_back_is_due_at_once(self, store: Store, rival: Store) -> None:
        """A process that stops leaves what it was sending to the others."""
        await self.ended(store, 1)
        for each in await store.outbox.take(now=100.0, lease_s=60.0, limit=9):
            await store.outbox.give_back(each, now=101.0)

        assert 2 == len(await rival.outbox.take(now=101.0, lease_s=60.0, limit=9))

    async def test_it_can_be_made_anew(self, store: Store) -> None:
        """Whatever became of it, with a fresh count and the same id; but not while it is being made."""
        await self.ended(store, 1)
        last = Try(at=100.0, outcome=Outcome.TIMEOUT, code=None, duration_s=20.0)
        first, _ = await store.outbox.take(now=100.0, lease_s=60.0, limit=9)
        await store.outbox.settle(first, last, status=DeliveryStatus.FAILED, due_at=None)
        again = await store.outbox.redeliver("job_0001", 0, now=130.0)
        busy = await store.outbox.redeliver("job_0001", 1, now=130.0)
        stuck = await store.outbox.redeliver("job_0001", 1, now=161.0)

        assert again is not None
        assert busy is not None
        assert stuck is not None
        assert (DeliveryStatus.PENDING, 130.0, 0, (last,)) == (
            *(again.status, again.due_at),
            *(again.tries, again.log),
        )
        assert again.webhook_id == first.webhook_id
        assert (DeliveryStatus.SENDING, 160.0) == (busy.status, busy.due_at)
        assert (DeliveryStatus.PENDING, 161.0) == (stuck.status, stuck.due_at)
        assert await store.outbox.redeliver("job_0001", 2, now=130.0) is None
        assert await store.outbox.redeliver("job_0009", 0, now=130.0) is None

    async def test_it_goes_with_its_job(self, store: Store) -> None:
        """A job that is forgotten is told to nobody any more."""
        await self.ended(store, 1, at=500.0)
        await store.forget(before=100.0)

        assert (0, []) == (
            await store.outbox.pending(),
            list(await store.outbox.of_job("job_0001")),
        )
