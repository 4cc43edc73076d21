"""The books of jobs that are older than the books: an upgrade writes what they have cost and what they hold back.

Their documents are those of the first release, field by field. Its database had one table and no ledger.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.databases import Postgres
from tests.test_migrations import execute, to_version

from taxiway.events import Event
from taxiway.facts import Delivered, Output
from taxiway.ledger import Grouping, Usage
from taxiway.protocols import JobStore
from taxiway.store import open_store
from taxiway.transitions import advance

pytestmark = pytest.mark.looptime(False)

INSERT = (
    "INSERT INTO jobs (id, status, model, created_at, finished_at, error_code, revision, document)"
    " VALUES (:id, :status, 'gen4', :created_at, :finished_at, :code, 5, :document)"
)


def attempt(index: int, status: str, credits_: int | None, source: str | None) -> dict[str, Any]:
    """An attempt as the first release wrote it."""
    ended = status != "in_progress"
    return {
        "index": index,
        "part": 0,
        "images": 1,
        "deployment": "gen4-1",
        "provider": "runwayml",
        "model": "gen4_image",
        "status": status,
        "phase": "running",
        "progress": 0.5,
        "seen_at": None,
        "refusals": 0,
        "upstream_id": None if status == "unknown" else f"task-{index}",
        "submitted_at": 1000.0,
        "running_at": 1001.0,
        "finished_at": 90_000.0 if ended else None,
        "credits": credits_,
        "credits_source": source,
        "error": None,
        "failure": None,
        "again": False,
        "polls": 3,
    }


def old_job(name: str, status: str, *attempts: dict[str, Any]) -> dict[str, Any]:
    """A row of the first release's table."""
    ended = status != "in_progress"
    code = "provider_failed" if status == "failed" else None
    document = {
        "id": name,
        "revision": 5,
        "status": status,
        "phase": None if ended else "running",
        "request": {"model": "gen4", "prompt": "a fox"},
        "size": "1920x1080",
        "parts": [{"images": 1, "credits": 8}],
        "created_at": 999.0,
        "deadline_at": 2000.0,
        "attempts": attempts,
        "finished_at": 90_000.0 if ended else None,
        "error": {"code": code, "message": "It failed."} if code else None,
    }
    return {
        "id": name,
        "status": status,
        "code": code,
        "document": orjson.dumps(document),
        "created_at": 999.0,
        "finished_at": document["finished_at"],
    }


#: A delivered one; one that failed for nothing and was repeated; one whose cost is a guess; one under way; one
#: that has bought nothing yet; and one that nobody can read.
POPULATION = (
    old_job("job_1", "completed", attempt(0, "completed", 8, "charged")),
    old_job(
        *("job_2", "completed"),
        *(attempt(0, "failed", 0, "charged"), attempt(1, "completed", 5, "charged")),
    ),
    old_job("job_3", "failed", attempt(0, "unknown", 8, "catalogue")),
    old_job("job_4", "in_progress", attempt(0, "in_progress", 8, "estimated")),
    old_job("job_5", "in_progress"),
    {**old_job("job_6", "completed"), "document": b"{"},
)


def usage(*group: str, **numbers: int) -> Usage:
    """The figures of some entries; in money they are worth what the credits are."""
    names = ("charged", "estimated", "reserved")
    money = {f"{name}_microusd": numbers.get(f"{name}_credits", 0) * 10_000 for name in names}
    nothing = dict.fromkeys(
        (*("jobs", "attempts", "tasks", "unknown"), *(f"{name}_credits" for name in names)), 0
    )
    return Usage(group=group, **{**nothing, **money, **numbers})


BEFORE = usage(
    jobs=3, attempts=4, tasks=3, charged_credits=13, estimated_credits=8, reserved_credits=8
)
AFTER = usage(jobs=4, attempts=5, tasks=4, charged_credits=21, estimated_credits=8)


def fill(file: Path, *rows: dict[str, Any]) -> None:
    """Put rows of the first release into a database."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(INSERT, rows)


def quoted(value: object) -> str:
    """A value as a word of SQL."""
    return "NULL" if value is None else f"'{value}'"


async def deliver(store: JobStore) -> None:
    """Take the unfinished over, and end the one that has a task."""
    claimed = {job.id: job for job in await store.claim()}
    before = claimed["job_4"]
    image = Output(url="https://images.invalid/a.png", size="1920x1080", content_type="image/png")
    fact = Delivered(attempt=0, outputs=(image,), credits=8)
    job = advance(before, fact, at=90_001.0)
    await store.record(Event(job=job, at=90_001.0, fact=fact, before=before))


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A database of the first release, with its jobs."""
    file = tmp_path / "taxiway.db"
    await to_version(file, "0001")
    fill(file, *POPULATION)
    return file


async def test_an_upgrade_books_what_was_bought_before(file: Path) -> None:
    """What has ended is charged on its day, what is under way is reserved, and then settled by whoever ends it."""
    store = await open_store(f"sqlite:///{file}")
    before = list(await store.usage([]))
    days = {each.group: each.attempts for each in await store.usage([Grouping.DAY])}
    await deliver(store)
    after = list(await store.usage([]))
    await store.close()

    assert ([BEFORE], [AFTER]) == (before, after)
    assert {("1970-01-01",): 0, ("1970-01-02",): 4} == days


async def test_an_upgrade_mends_what_was_booked_halfway(file: Path) -> None:
    """A job that an earlier ledger saw only the end of has taken back what it never held: that is put right."""
    await to_version(file, "0004")
    execute(
        file,
        "INSERT INTO ledger (job_id, attempt, at, day, kind, reserved_credits, charged_credits,"
        " reserved_microusd, charged_microusd, source, exact, model, upstream_model, deployment,"
        " upstream_id, key_id) VALUES ('job_1', 0, 90000, '1970-01-02', 'settle', -8, 8, -80000,"
        " 80000, 'charged', 1, 'gen4', 'gen4_image', 'gen4-1', 'task-0', '')",
    )

    store = await open_store(f"sqlite:///{file}")
    booked = list(await store.usage([]))
    await store.close()

    assert [BEFORE] == booked


async def test_an_upgrade_books_nothing_twice(file: Path) -> None:
    """A ledger that is whole stays as it is, however often it is gone through."""
    store = await open_store(f"sqlite:///{file}")
    await deliver(store)
    await store.close()
    rows = execute(file, "SELECT * FROM ledger")
    execute(file, "UPDATE alembic_version SET version_num = '0004'")
    store = await open_store(f"sqlite:///{file}")
    await store.close()

    assert rows == execute(file, "SELECT * FROM ledger")


async def test_a_crowd_of_old_jobs_is_booked(tmp_path: Path) -> None:
    """More jobs than are read at once, many of one moment, are all booked."""
    file = tmp_path / "crowd.db"
    await to_version(file, "0001")
    fill(
        file,
        *(
            old_job(f"job_{n:05}", "completed", attempt(0, "completed", 8, "charged"))
            for n in range(1_203)
        ),
    )
    store = await open_store(f"sqlite:///{file}")
    booked = list(await store.usage([]))
    await store.close()

    assert [usage(jobs=1_203, attempts=1_203, tasks=1_203, charged_credits=9_624)] == booked


async def test_postgresql_is_mended_too(
    postgres: str, postgres_database: str, postgres_server: Postgres
) -> None:
    """The same step on PostgreSQL."""
    for row in POPULATION:
        values = {**row, "document": rf"\x{row['document'].hex()}"}
        statement = INSERT
        for name, value in values.items():
            statement = statement.replace(f":{name}", quoted(value))
        postgres_server.execute(statement, database=postgres_database)
    postgres_server.execute(
        "UPDATE alembic_version SET version_num = '0004'", database=postgres_database
    )

    store = await open_store(postgres)
    before = list(await store.usage([]))
    await deliver(store)
    after = list(await store.usage([]))
    await store.close()

    assert ([BEFORE], [AFTER]) == (before, after)
