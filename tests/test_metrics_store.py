"""The store's own numbers: read in the background, and shown to whoever scrapes."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from taxiway.errors import StoreError
from taxiway.jobs import Phase
from taxiway.metrics import Metrics
from taxiway.protocols import Backlog
from taxiway.server.store_watch import BACKLOG_PERIOD_S, watch_backlog
from taxiway.store.connections import Connections

NOW = 1_000.0


class Store:
    """A store with a backlog, that can be out of reach."""

    def __init__(self) -> None:
        self.backlog: Backlog = {Phase.QUEUED: (3, NOW - 60.0), Phase.RUNNING: (2, NOW - 9.5)}
        self.reads = 0
        self.mood = "well"
        self.lent = Connections()

    async def read(self) -> Backlog:
        """Answer by mood."""
        self.reads += 1
        if self.mood == "refuses":
            raise StoreError("The store is out of reach.")
        if self.mood == "hangs":
            await asyncio.Event().wait()
        return self.backlog

    def connections(self) -> Connections:
        """What its connections do."""
        return self.lent


@pytest.fixture
def metrics() -> Metrics:
    """The numbers of a service."""
    return Metrics(["gen4"], version="1")


@pytest.fixture
def store() -> Store:
    """The store."""
    return Store()


def shown(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """What the page tells of the store, zeros left out."""
    body, _ = metrics.render(None)
    return {
        (sample.name.removeprefix("taxiway_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name.startswith(
            (
                *("taxiway_store_jobs", "taxiway_store_oldest", "taxiway_store_un"),
                *("taxiway_store_size", "taxiway_store_connections"),
            )
        )
        if sample.value
    }


async def watched(store: Store, metrics: Metrics, *, for_s: float, folder: Path) -> None:
    """Watch a store for some time."""
    files = {"database": folder / "a.db", "wal": folder / "a.db-wal"}
    watch = asyncio.create_task(
        watch_backlog(
            store.read,
            connections=store.connections,
            files=files,
            metrics=metrics,
            now=lambda: NOW,
        )
    )
    await asyncio.sleep(for_s)
    assert not watch.done()
    watch.cancel()
    await asyncio.wait([watch])


async def test_the_backlog_is_shown(store: Store, metrics: Metrics, tmp_path: Path) -> None:
    """At once, and every quarter of a minute: how many jobs are in each phase, and how old the oldest is."""
    await watched(store, metrics, for_s=BACKLOG_PERIOD_S * 2.5, folder=tmp_path)

    assert store.reads == 3
    assert shown(metrics) == {
        ("store_jobs", "queued"): 3,
        ("store_jobs", "running"): 2,
        ("store_oldest_job_age_seconds", "queued"): 60.0,
        ("store_oldest_job_age_seconds", "running"): 9.5,
    }


async def test_the_damaged_are_shown_apart(store: Store, metrics: Metrics, tmp_path: Path) -> None:
    """Jobs that nobody can read are in no phase, and have a number of their own."""
    store.backlog = {Phase.QUEUED: (3, NOW - 60.0), None: (2, NOW - 90.0)}
    await watched(store, metrics, for_s=1.0, folder=tmp_path)

    assert shown(metrics) == {
        ("store_jobs", "queued"): 3,
        ("store_oldest_job_age_seconds", "queued"): 60.0,
        ("store_unreadable_jobs",): 2,
    }


async def test_the_files_are_measured(store: Store, metrics: Metrics, tmp_path: Path) -> None:
    """Those that are there; the log of a database may be absent."""
    store.backlog = {}
    (tmp_path / "a.db").write_bytes(b"x" * 4_096)
    await watched(store, metrics, for_s=1.0, folder=tmp_path)

    assert shown(metrics) == {("store_size_bytes", "database"): 4_096}


async def test_the_connections_are_shown(store: Store, metrics: Metrics, tmp_path: Path) -> None:
    """How many are in use and how many are idle, and how many calls wait, at the moment of the look."""
    store.backlog, store.lent = {}, Connections(used=3, idle=1, waiting=2)
    await watched(store, metrics, for_s=1.0, folder=tmp_path)

    assert shown(metrics) == {
        ("store_connections", "used"): 3,
        ("store_connections", "idle"): 1,
        ("store_connections", "waiting"): 2,
    }


@pytest.mark.parametrize("mood", ["refuses", "hangs"])
async def test_a_failed_read_changes_nothing(
    store: Store, metrics: Metrics, tmp_path: Path, mood: str
) -> None:
    """What was last known stays, the failure is counted, and the next round comes.

    What the connections do is known all the same, and may be why.
    """
    watch = asyncio.create_task(
        watch_backlog(
            store.read,
            connections=store.connections,
            files={},
            metrics=metrics,
            now=lambda: NOW,
        )
    )
    await asyncio.sleep(1.0)
    store.mood = mood
    store.lent = Connections(used=4, waiting=7)
    await asyncio.sleep(BACKLOG_PERIOD_S * 3)
    ended = watch.done()
    watch.cancel()
    await asyncio.wait([watch])
    body, _ = metrics.render(None)

    assert not ended
    assert shown(metrics)["store_jobs", "queued"] == 3
    assert shown(metrics)["store_connections", "waiting"] == 7
    assert store.reads == 4
    assert b'taxiway_background_task_failures_total{task="backlog"} ' in body
