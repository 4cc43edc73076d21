"""Forgetting: finished jobs and their images go after `job_retention_days`; the books stay."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from taxiway.ledger import Grouping
from taxiway.metrics import Metrics
from taxiway.protocols import JobQuery
from taxiway.server.keys import ARCHIVE, CLOCK, LOGS, METRICS, STORE
from taxiway.server.retention import FIRST_S, forget_old
from taxiway.settings import Settings
from taxiway.store.memory import MemoryStore

DAY_S = 86_400.0
HOUR_S = 3_600.0

#: In this chapter the service tidies up every minute: an hour of virtual time takes many seconds of real time.
PERIOD_S = 60.0
GENERATIONS = "/v1/images/generations"


@pytest.fixture(autouse=True)
def period(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the rounds follow each other faster, before the service starts."""
    monkeypatch.setattr("taxiway.server.retention.PERIOD_S", PERIOD_S)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the images are kept."""
    return tmp_path / "images"


@pytest.fixture
def settings(settings: Settings, folder: Path) -> Settings:
    """A service that keeps jobs and images for two days."""
    return replace(settings, artifacts_url=folder.as_uri(), job_retention_days=2)


async def ask(client: aiohttp.ClientSession) -> str:
    """Ask for an image, wait for it, and return the job's id."""
    body = {"model": "runwayml/gen4_image", "prompt": "a lighthouse"}
    async with client.post(GENERATIONS, json=body) as response:
        return str((await response.json())["job_id"])


def age(folder: Path, by_s: float) -> None:
    """Make every file older: files bear the machine's dates, and the test's own time runs ahead of them."""
    for path in folder.rglob("*.*"):
        then = path.stat().st_mtime - by_s
        os.utime(path, (then, then))


def files(folder: Path) -> int:
    """Return how many files there are."""
    return sum(path.is_file() for path in folder.rglob("*"))


@asynccontextmanager
async def forgetting(app: web.Application, *, later_s: float) -> AsyncIterator[None]:
    """Let the service tidy up as it will after some more time, and return after its first round."""
    now, rounds = app[CLOCK].now, asyncio.Semaphore(0)

    def later() -> float:
        rounds.release()
        return now() + later_s

    task = asyncio.create_task(
        forget_old(
            app[STORE],
            app[ARCHIVE],
            days=2,
            now=later,
            metrics=app[METRICS],
            note=app[LOGS].note,
        )
    )
    # The second round begins when the first has ended, and the files, which go in a thread, are gone.
    await rounds.acquire()
    await rounds.acquire()
    yield
    task.cancel()
    await asyncio.wait([task])


async def test_old_jobs_are_forgotten_and_the_books_stay(
    app: web.Application,
    client: aiohttp.ClientSession,
    store: MemoryStore,
    metrics: Metrics,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """A job that ended more than two days ago is gone, with its image; what it cost is still known."""
    job_id = await ask(client)
    async with forgetting(app, later_s=2 * DAY_S + 2 * HOUR_S):
        found = await store.get(job_id)
    async with client.get(f"/v1/jobs/{job_id}/images/0") as response:
        status = response.status
    (usage,) = await store.usage((Grouping.MODEL,))

    page = metrics.render(None)[0].decode()
    assert (found, status, usage.charged_credits) == (None, 404, 8)
    assert 'taxiway_background_task_failures_total{task="retention"} 0.0' in page
    assert [(1, 1)] == [
        (line["jobs"], line["files"]) for line in log_lines() if line["event"] == "jobs.forgotten"
    ]


@pytest.mark.parametrize(
    ("later_s", "jobs", "kept"),
    [
        pytest.param(2 * DAY_S - HOUR_S, 1, 1, id="within the days"),
        pytest.param(2 * DAY_S + HOUR_S / 2, 0, 1, id="the file stays an hour longer"),
        pytest.param(2 * DAY_S + 2 * HOUR_S, 0, 0, id="after that"),
    ],
)
async def test_a_file_goes_after_its_job(
    app: web.Application,
    client: aiohttp.ClientSession,
    store: MemoryStore,
    folder: Path,
    later_s: float,
    jobs: int,
    kept: int,
) -> None:
    """An image is older than the end of its job, so it stays an hour longer: no job loses its own."""
    await ask(client)
    async with forgetting(app, later_s=later_s):
        found = await store.list(JobQuery())

    assert (len(found), files(folder)) == (jobs, kept)


async def test_unfinished_jobs_are_never_forgotten(
    app: web.Application, client: aiohttp.ClientSession, store: MemoryStore
) -> None:
    """A job that has not ended is no old job, however long ago it was asked for."""
    body = {"model": "runwayml/gen4_image", "prompt": "a lighthouse [[stuck:THROTTLED]]"}
    headers = {"Prefer": "respond-async"}
    async with client.post(GENERATIONS, json=body, headers=headers) as response:
        job_id = (await response.json())["id"]
    async with forgetting(app, later_s=1_000 * DAY_S):
        found = await store.get(job_id)

    assert found is not None


def emptied(folder: Path) -> bool:
    """Wait in real time until a folder is empty, since files go in a thread; False after ten seconds."""
    for _ in range(500):
        if not os.listdir(folder):
            return True
        time.sleep(0.02)
    return False


class TestAnEarlierLife:
    """A service that finds an old image at its start."""

    @pytest.fixture
    def folder(self, folder: Path) -> Path:
        """The folder, with an image that nobody has asked for in three days."""
        image = folder / "2026-01-31" / "job_1" / "0.png"
        image.parent.mkdir(parents=True)
        image.write_bytes(b"an image")
        age(folder, 3 * DAY_S)
        return folder

    @pytest.mark.usefixtures("client")
    async def test_the_service_tidies_up_by_itself(self, folder: Path) -> None:
        """With `job_retention_days` set, an old file is gone soon after the start, its folders too."""
        await asyncio.sleep(FIRST_S[1])

        assert await asyncio.to_thread(emptied, folder)


async def test_what_grows_old_later_goes_with_a_later_round(
    client: aiohttp.ClientSession, folder: Path
) -> None:
    """The first round leaves what is young; a later one deletes it once it has grown old."""
    await ask(client)
    await asyncio.sleep(FIRST_S[1] + 1)
    kept = files(folder)
    age(folder, 3 * DAY_S)
    await asyncio.sleep(PERIOD_S)

    assert kept == 1
    assert await asyncio.to_thread(emptied, folder)


class TestForEver:
    """A service without `job_retention_days`."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, without the days."""
        return replace(settings, job_retention_days=None)

    async def test_nothing_is_forgotten(
        self, client: aiohttp.ClientSession, store: MemoryStore, folder: Path
    ) -> None:
        """By default jobs and images are kept."""
        job_id = await ask(client)
        age(folder, 1_000 * DAY_S)
        await asyncio.sleep(FIRST_S[1] + 1)

        assert await store.get(job_id) is not None
        assert files(folder) == 1
