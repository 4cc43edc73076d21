"""What every store promises of webhooks: each is in the outbox until it is delivered or given up."""

import asyncio
from dataclasses import replace

import pytest
from tests.stores.histories import later, new_job, stored

from taxiway.deliveries import Delivery, DeliveryStatus, Endpoint, Outcome, Try
from taxiway.errors import LeaseLostError
from taxiway.events import Event, EventName
from taxiway.jobs import JobStatus
from taxiway.store import Store

pytestmark = pytest.mark.looptime(False)


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
