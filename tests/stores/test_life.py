"""How a store is opened, looked at and closed."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from tests.stores.histories import event, later, new_job, stored

from taxiway.errors import BadRequestError, StoreError
from taxiway.protocols import JobQuery
from taxiway.store import Store, open_store
from taxiway.store.connections import Connections
from taxiway.store.sql import SqlStore
from taxiway.store.tables import HEAD

pytestmark = pytest.mark.looptime(False)


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
