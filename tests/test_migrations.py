"""How a database comes to its schema, and what happens when it cannot."""

import asyncio
import json
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Select, create_engine, inspect
from sqlalchemy.ext.asyncio import create_async_engine

from taxiway.errors import ConfigError, StoreError, StoreLockedError
from taxiway.jobs import JobStatus
from taxiway.protocols import JobQuery
from taxiway.store import Upgrade, asking, open_store, reading, schema, tables, upgrade, usage
from taxiway.store.indexes import metadata
from taxiway.store.postgres.link import Server
from taxiway.store.postgres.migrating import bring_up

pytestmark = pytest.mark.looptime(False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the database goes."""
    return tmp_path / "taxiway.db"


@pytest.fixture
def url(file: Path) -> str:
    """Its address."""
    return f"sqlite+aiosqlite:///{file}"


@pytest.fixture
async def migrated(url: str, file: Path) -> Path:
    """A database that the migrations have made."""
    await upgrade(url)
    return file


@pytest.fixture
def engine(migrated: Path) -> Iterator[Engine]:
    """SQLAlchemy on the migrated database."""
    opened = create_engine(f"sqlite:///{migrated}")
    yield opened
    opened.dispose()


def execute(file: Path, *statements: str) -> list[tuple[object, ...]]:
    """What the last of some statements returns."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
    return rows


def definitions(file: Path) -> set[str]:
    """The statements that make a database's indexes, and its tables, column by column; Alembic's own apart."""
    rows = execute(
        file, "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL ORDER BY 1"
    )
    tables = execute(file, "SELECT name, '' FROM sqlite_master WHERE type = 'table'")
    columns = [
        (name, str(execute(file, f"PRAGMA table_xinfo({name})")))
        for name, _ in tables
        if name != "alembic_version"
    ]
    return {f"{name}: {' '.join(str(sql).split())}" for name, sql in (*rows, *columns)}


def shape(connection: Connection) -> dict[str, object]:
    """What PostgreSQL says of its tables: columns, keys, indexes and their conditions."""
    inspector = inspect(connection)
    return {
        name: [
            [str(sorted(column.items(), key=str)) for column in inspector.get_columns(name)],
            inspector.get_pk_constraint(name),
            [str(sorted(index.items(), key=str)) for index in inspector.get_indexes(name)],
        ]
        for name in metadata.tables
    }


def scripts() -> ScriptDirectory:
    """The migrations."""
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    return ScriptDirectory.from_config(config)


class TestSchema:
    """One schema, written down twice."""

    def test_alembic_finds_no_difference(self, engine: Engine) -> None:
        """The migrated database has the tables, columns and indexes that are written down in `store/`."""
        with engine.connect() as connection:
            context = MigrationContext.configure(connection)

            assert [] == compare_metadata(context, metadata)

    def test_the_definitions_are_the_same(self, migrated: Path, tmp_path: Path) -> None:
        """What SQLite noted for the migrated database is what it notes for these tables, conditions included."""
        direct = create_engine(f"sqlite:///{tmp_path}/direct.db")
        metadata.create_all(direct)
        direct.dispose()

        assert definitions(tmp_path / "direct.db") == definitions(migrated)

    async def test_postgresql_has_the_same(self, postgres: str) -> None:
        """Migrated, PostgreSQL has these tables, columns and indexes, conditions included."""
        engine = create_async_engine(postgres.replace("postgresql", "postgresql+asyncpg", 1))

        def compare(connection: Connection) -> tuple[list[object], list[object]]:
            context = MigrationContext.configure(connection)
            differences = compare_metadata(context, metadata)
            migrated = shape(connection)
            metadata.drop_all(connection)
            metadata.create_all(connection)
            return differences, [migrated, shape(connection)]

        async with engine.begin() as connection:
            differences, (migrated, direct) = await connection.run_sync(compare)
        await engine.dispose()

        assert [] == differences
        assert direct == migrated

    def test_the_newest_migration_is_the_head(self) -> None:
        """There is one line of migrations, and the code expects its end."""
        assert [tables.HEAD] == scripts().get_heads()

    def test_files_are_called_what_they_do(self) -> None:
        """A migration's file bears its number and its purpose."""
        for script in scripts().walk_revisions():
            assert re.fullmatch(rf"{script.revision}_[a-z0-9_]+\.py", Path(script.path).name)

    @pytest.mark.parametrize(
        ("query", "index"),
        [
            pytest.param(reading.page(JobQuery(), None, limit=20), "jobs_by_date", id="the list"),
            pytest.param(
                reading.page(
                    JobQuery(since=5.0, statuses=frozenset({JobStatus.FAILED})), None, limit=20
                ),
                "jobs_by_date",
                id="a filtered list",
            ),
            pytest.param(
                reading.page(JobQuery(error="provider_failed"), None, limit=20),
                "jobs_by_error",
                id="an error",
            ),
            pytest.param(reading.UNFINISHED, "jobs_unfinished", id="the unfinished"),
        ],
    )
    def test_an_index_answers(self, engine: Engine, query: Select[object], index: str) -> None:
        """What is asked often is read from an index, in order, without sorting."""
        (step,) = plan(engine, query)

        assert f" USING INDEX {index}" in step

    @pytest.mark.parametrize(
        ("query", "index"),
        [
            pytest.param(
                reading.TO_CANCEL.params(owner="r_1"), "jobs_to_cancel", id="what should stop"
            ),
            pytest.param(
                asking.candidates(
                    scope="",
                    fingerprint="f",
                    count=1,
                    since=2.0,
                    owner_alive=tables.jobs.c.owner == "r_1",
                ),
                "jobs_by_fingerprint",
                id="what a retry may join",
            ),
            pytest.param(
                usage.sums([], since=1.0, until=2.0, scope=None), "ledger_by_date", id="the books"
            ),
        ],
    )
    def test_an_index_finds(self, engine: Engine, query: Select[object], index: str) -> None:
        """What is asked now and then is found by an index, however it is put together then."""
        steps = [step for step in plan(engine, query) if not step.startswith("USE TEMP B-TREE")]

        assert 1 == len(steps)
        assert f"SEARCH {index.partition('_')[0]} USING INDEX {index} (" in steps[0]


def plan(engine: Engine, query: Select[object]) -> list[str]:
    """How SQLite goes about a query."""
    sql = query.compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        return [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]


class TestUpgrades:
    """From one version to the next."""

    async def test_a_new_database_comes_to_the_head(self, url: str) -> None:
        """An upgrade makes the schema of a database that does not exist yet."""
        assert Upgrade(before=None, after=tables.HEAD) == await upgrade(url)

    async def test_an_upgrade_is_made_once(self, url: str) -> None:
        """Upgrading a database that is up to date changes nothing."""
        await upgrade(url)

        assert Upgrade(before=tables.HEAD, after=tables.HEAD) == await upgrade(url)

    async def test_opening_upgrades(self, url: str) -> None:
        """A store brings its database up to date when it is opened, and says so once."""
        notes: list[tuple[str, dict[str, object]]] = []

        def note(name: str, /, **fields: object) -> None:
            notes.append((name, fields))

        for _ in range(2):
            store = await open_store(url, note=note)
            await store.close()

        assert [("store.migrated", {"before": None, "after": tables.HEAD})] == notes

    async def test_a_running_service_is_not_upgraded(self, url: str) -> None:
        """A database that is in use is left alone."""
        store = await open_store(url)
        with pytest.raises(StoreLockedError):
            await upgrade(url)
        await store.close()

    async def test_memory_has_no_schema(self) -> None:
        """There is nothing to upgrade in memory, and the sentence says so."""
        with pytest.raises(ConfigError, match=r"^memory:// has no schema"):
            await upgrade("memory://")

    async def test_a_step_at_a_time(self, url: str, file: Path) -> None:
        """A database of the first release keeps its jobs, which are nobody's until somebody claims them."""
        await to_version(file, "0001")
        execute(
            file,
            "INSERT INTO jobs VALUES ('job_1', 'queued', 'gen4-image', 1.0, NULL, NULL, 1, x'7b')",
        )

        assert Upgrade(before="0001", after=tables.HEAD) == await upgrade(url)
        assert [(None, 1, 0, "", None, "answered", 0)] == execute(
            file,
            "SELECT owner, fence, cancel_requested, scope, fingerprint, caller, joined_retry FROM jobs",
        )

    async def test_the_release_before_goes_on(self, file: Path, url: str) -> None:
        """What the release before writes is taken by the new schema: the two may run side by side."""
        await upgrade(url)

        execute(
            file,
            "INSERT INTO jobs (id, status, model, created_at, finished_at, error_code, revision, document)"
            " VALUES ('job_1', 'queued', 'gen4-image', 1.0, NULL, NULL, 1, x'7b')",
            "UPDATE jobs SET status = 'failed', finished_at = 2.0, revision = 2 WHERE id = 'job_1'",
        )

        assert [("failed", 1)] == execute(file, "SELECT status, fence FROM jobs")


async def to_version(file: Path, version: str) -> None:
    """Bring an SQLite database to some version."""
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    engine.dispose()


#: Another process that opens the store and says what it found.
OPENER = """
import asyncio, json, sys
from taxiway.store import open_store

async def work() -> None:
    notes = []
    store = await open_store(sys.argv[1], note=lambda name, **fields: notes.append([name, fields]))
    await store.ping()
    await store.close()
    print(json.dumps(notes))

asyncio.run(work())
"""


class TestTogether:
    """Many processes that start at once on PostgreSQL."""

    @pytest.fixture
    def empty(self, postgres_server: Any) -> Iterator[str]:
        """The address of a database without anything in it."""
        name = postgres_server.create()
        yield postgres_server.url(name)
        postgres_server.drop(name)

    async def test_one_of_them_migrates(self, empty: str) -> None:
        """Of processes that open an empty database at once, exactly one makes the schema, and all of them work."""
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", OPENER, empty, stdout=asyncio.subprocess.PIPE
            )
            for _ in range(4)
        ]
        async with asyncio.timeout(60):
            said = [(await process.communicate())[0] for process in processes]

        migrated = ["store.migrated", {"before": None, "after": tables.HEAD}]
        assert [[], [], [], [migrated]] == sorted(map(json.loads, said), key=len)

    async def test_an_upgrade_says_what_it_did(self, empty: str) -> None:
        """`upgrade` brings PostgreSQL to the head, and finds it there the next time."""
        assert [
            Upgrade(before=None, after=tables.HEAD),
            Upgrade(before=tables.HEAD, after=tables.HEAD),
        ] == [await upgrade(empty), await upgrade(empty)]

    async def test_a_newer_database_is_refused(self, postgres: str, postgres_server: Any) -> None:
        """A database of a newer release is neither used nor touched."""
        name = postgres.partition("?")[0].rpartition("/")[2]
        postgres_server.execute("UPDATE alembic_version SET version_num = '9999'", database=name)

        with pytest.raises(ConfigError, match=r"^The database has schema 9999, made by a newer"):
            await open_store(postgres)

    async def test_nobody_waits_for_ever(self, empty: str) -> None:
        """A process that finds another one migrating gives up in the end, with a sentence that says why."""
        holder = await Server(empty, name="test").connect()
        await holder.execute("SELECT pg_advisory_lock(8294929)")

        with pytest.raises(StoreError, match=r"^Another process has been upgrading .* for 0\.2 s"):
            await bring_up(Server(empty, name="test"), patience_s=0.2)
        await holder.close(timeout=1)
        assert await bring_up(Server(empty, name="test"), patience_s=0.2) is None

    async def test_a_failed_migration_leaves_nothing(
        self, empty: str, postgres_server: Any
    ) -> None:
        """A migration that fails half-way leaves the database as it was."""
        name = empty.partition("?")[0].rpartition("/")[2]
        postgres_server.execute("CREATE TABLE ledger (id int)", database=name)

        with pytest.raises(StoreError, match=r'from schema none to .* relation "ledger" already'):
            await open_store(empty)
        assert ["ledger"] == postgres_server.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database=name
        )


class TestFailures:
    """Databases that cannot be brought to the schema."""

    async def test_a_newer_database_is_refused(self, migrated: Path, url: str) -> None:
        """A database of a newer release is neither used nor touched."""
        execute(migrated, "UPDATE alembic_version SET version_num = '9999'")

        with pytest.raises(ConfigError, match=r"^The database has schema 9999, made by a newer"):
            await open_store(url)
        assert [("9999",)] == execute(migrated, "SELECT version_num FROM alembic_version")

    async def test_a_failed_migration_leaves_nothing(self, file: Path, url: str) -> None:
        """A migration that fails half-way, or is killed there, leaves the database as it was."""
        execute(file, "CREATE TABLE other (id)", "CREATE INDEX jobs_by_error ON other (id)")
        before = definitions(file)

        with pytest.raises(StoreError, match=r"from schema none to .* index jobs_by_error already"):
            await open_store(url)
        assert before == definitions(file)

    async def test_after_the_cause_is_gone_it_succeeds(self, file: Path, url: str) -> None:
        """What failed may be tried again."""
        execute(file, "CREATE TABLE other (id)", "CREATE INDEX jobs_by_error ON other (id)")
        with pytest.raises(StoreError):
            await upgrade(url)
        execute(file, "DROP TABLE other")

        assert Upgrade(before=None, after=tables.HEAD) == await upgrade(url)
