"""The embedded database: one file, one process, and what happens when the disk does not play along."""

import asyncio
import fcntl
import json
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from taxiway.errors import ConfigError, InternalServerError, StoreError, StoreLockedError
from taxiway.events import Event
from taxiway.jobs import GenerationRequest, Job, JobStatus, Part, Phase, Plan
from taxiway.protocols import JobQuery
from taxiway.store import Store, open_store
from taxiway.store.sqlite import places, writer
from taxiway.transitions import accept

pytestmark = pytest.mark.looptime(False)

PLAN = Plan(size="1920x1080", parts=(Part(images=1, credits=8),))

#: Another process with an open store: makes a job, says so, and waits to be killed.
HOLDER = """
import asyncio, sys
from taxiway.events import Event
from taxiway.jobs import GenerationRequest, Part, Plan
from taxiway.store import open_store
from taxiway.transitions import accept

async def hold() -> None:
    store = await open_store(sys.argv[1])
    plan = Plan(size="1920x1080", parts=(Part(images=1, credits=8),))
    request = GenerationRequest(model="gen4-image", prompt="A lighthouse.")
    job = accept(request, plan, id="job_1", at=1.0, deadline_at=9.0)
    await store.create(Event(job=job, at=1.0))
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(hold())
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the database goes."""
    return tmp_path / "taxiway.db"


@pytest.fixture
def url(file: Path) -> str:
    """Its address."""
    return f"sqlite+aiosqlite:///{file}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """An open, empty store."""
    opened = await open_store(url)
    yield opened
    await opened.close()


@pytest.fixture
def diary(file: Path) -> bytes:
    """A file of another kind in the database's place, and what is in it."""
    text = b"Dear diary, " * 1000
    file.write_bytes(text)
    return text


def new_job(number: int, *, model: str = "gen4-image", prompt: str = "A lighthouse.") -> Job:
    return accept(
        GenerationRequest(model=model, prompt=prompt),
        PLAN,
        id=f"job_{number:04}",
        at=float(number),
        deadline_at=1000.0,
    )


def running(job: Job, revision: int = 2) -> Job:
    return replace(job, revision=revision, status=JobStatus.IN_PROGRESS, phase=Phase.PROVIDER_QUEUE)


def ended(job: Job) -> Job:
    return replace(job, revision=2, status=JobStatus.CANCELLED, phase=None, finished_at=9.0)


def event(job: Job) -> Event:
    return Event(job=job, at=job.created_at)


@contextmanager
def full_disk(file: Path) -> Iterator[None]:
    """Let no file of this process grow beyond the database's WAL: the kernel refuses, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = file.with_name(f"{file.name}-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def run_python(code: str) -> dict[str, bool]:
    """What a fresh interpreter prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


class TestAddresses:
    """What a database URL may say."""

    @pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
    async def test_both_spellings_name_the_file(self, file: Path, scheme: str) -> None:
        """`sqlite:///` and `sqlite+aiosqlite:///` open the same file."""
        store = await open_store(f"{scheme}:///{file}")
        await store.close()

        assert ("sqlite", True) == (store.backend, file in set(file.parent.iterdir()))

    async def test_three_slashes_are_relative(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A path after three slashes counts from where the process was started."""
        monkeypatch.chdir(tmp_path)

        store = await open_store("sqlite:///some/taxiway.db")
        await store.close()

        assert (tmp_path / "some" / "taxiway.db").is_file()

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            pytest.param("taxiway.db", "database_url is not a URL; accepted", id="a path"),
            pytest.param("", "database_url is not a URL; accepted", id="nothing"),
            pytest.param(
                "mysql://root:secret@db/taxiway",
                "database_url has the unknown scheme 'mysql'; accepted",
                id="another database",
            ),
            pytest.param("sqlite://", "database_url names no file; accepted", id="no file"),
            pytest.param("sqlite:///", "database_url names no file; accepted", id="no name"),
            pytest.param("sqlite://a.db", "database_url names no file; accepted", id="a host"),
            pytest.param(
                "sqlite:///:memory:", "database_url names no file; accepted", id="in memory"
            ),
            pytest.param(
                "sqlite:///a.db?mode=ro", "database_url has options after '?'", id="options"
            ),
        ],
    )
    async def test_other_urls_stop_the_start(self, url: str, message: str) -> None:
        """A URL that cannot be used is refused in one sentence, without the password in it."""
        with pytest.raises(ConfigError) as caught:
            await open_store(url)

        assert caught.value.message.startswith(message)
        assert "secret" not in caught.value.message


class TestPlaces:
    """Where the file may be."""

    async def test_folders_are_made(self, tmp_path: Path) -> None:
        """The folders above the file are made as needed."""
        store = await open_store(f"sqlite:///{tmp_path}/some/where/taxiway.db")
        await store.close()

        assert (tmp_path / "some" / "where" / "taxiway.db").is_file()

    async def test_a_folder_that_cannot_be_made_stops_the_start(self, tmp_path: Path) -> None:
        """A folder under a file, or in a place that cannot be written, is refused by name."""
        (tmp_path / "file").touch()

        with pytest.raises(ConfigError, match=r"folder of the database .*file/taxiway\.db cannot"):
            await open_store(f"sqlite:///{tmp_path}/file/taxiway.db")

    async def test_a_folder_that_cannot_be_written_stops_the_start(self) -> None:
        """Where no file can be made, the sentence says so: /proc is such a place, even for root."""
        with pytest.raises(
            ConfigError, match=r"^The folder of the database /proc/taxiway\.db cannot"
        ):
            await open_store("sqlite:////proc/taxiway.db")

    async def test_a_folder_is_no_database(self, tmp_path: Path) -> None:
        """A folder in the place of the file is refused."""
        with pytest.raises(ConfigError, match="is not a file that can be read and written"):
            await open_store(f"sqlite:///{tmp_path}")

    async def test_another_file_is_no_database(self, diary: bytes, file: Path, url: str) -> None:
        """A file of another kind is refused, and left as it is."""
        with pytest.raises(ConfigError, match="is not a sound SQLite database"):
            await open_store(url)
        assert diary == await asyncio.to_thread(file.read_bytes)

    def test_network_file_systems_are_refused(self, file: Path) -> None:
        """A place whose file system is one of the refused ones stops the start, and is called by its name."""
        here = places.file_system(file.parent)

        with pytest.raises(ConfigError, match=r"is on a network file system \(NFS\)"):
            places.prepare(str(file), refused={here: "NFS"})

    def test_the_kernel_is_asked_what_a_place_is(self, file: Path) -> None:
        """The file system is told by its magic number, as Linux has it for /proc."""
        assert 0x9FA0 == places.file_system(Path("/proc"))
        assert places.file_system(file.parent) not in places.NETWORK_FILE_SYSTEMS

    def test_a_place_without_wal_is_refused(self) -> None:
        """A database that cannot be put into WAL mode is refused: readers would block the writer."""
        with (
            closing(sqlite3.connect(":memory:")) as connection,
            pytest.raises(ConfigError, match=r"^SQLite cannot use WAL"),
        ):
            writer.prepare_writer(connection, None)


class TestLock:
    """One process at a time."""

    async def test_a_second_store_is_refused(self, store: Store, file: Path, url: str) -> None:
        """While a store is open, a second one on the same file is refused by a sentence that names it."""
        with pytest.raises(StoreLockedError) as caught:
            await open_store(url)

        assert caught.value.message == (
            f"The database {file} is in use by another process (pid {os.getpid()}); "
            "stop that one first, or give this one a database of its own."
        )
        await store.ping()

    async def test_a_holder_without_a_name_is_somebody(self, file: Path, url: str) -> None:
        """Whoever holds the lock file without having written a number into it keeps others out all the same."""
        holder = os.open(f"{file}.lock", os.O_CREAT | os.O_RDWR)
        fcntl.flock(holder, fcntl.LOCK_EX)

        with pytest.raises(StoreLockedError, match=r"is in use by another process; stop that one"):
            await open_store(url)
        os.close(holder)

    async def test_a_link_is_the_same_file(self, store: Store, file: Path, tmp_path: Path) -> None:
        """The lock belongs to the file, whatever name it is reached by."""
        (tmp_path / "link.db").symlink_to(file)

        with pytest.raises(StoreLockedError):
            await open_store(f"sqlite:///{tmp_path}/link.db")

    async def test_a_closed_store_lets_the_next_in(self, store: Store, url: str) -> None:
        """After the close the file may be opened again, and the jobs are there."""
        await store.create(event(new_job(1)))
        await store.close()

        again = await open_store(url)
        jobs = await again.unfinished()
        await again.close()

        assert [new_job(1)] == list(jobs)

    @pytest.mark.usefixtures("diary")
    async def test_a_failed_opening_lets_the_next_in(self, file: Path, url: str) -> None:
        """A store that could not be opened holds nothing."""
        with pytest.raises(ConfigError):
            await open_store(url)
        await asyncio.to_thread(file.unlink)

        store = await open_store(url)
        await store.close()

    async def test_whoever_opens_it_owns_it(self, store: Store, url: str) -> None:
        """The next process owns all that is unfinished, claimed or not; a claim hands each job out once."""
        await store.create(event(new_job(1)))
        await store.create(event(new_job(2)))
        await store.close()

        again = await open_store(url)
        await again.record(event(running(new_job(1))))
        await again.record(event(ended(new_job(2))))
        claims = [list(await again.claim()), list(await again.claim())]
        await again.close()

        assert [[running(new_job(1))], []] == claims

    async def test_what_cannot_be_read_is_left_alone(
        self, store: Store, file: Path, url: str
    ) -> None:
        """A job that this release cannot read stays where it is, is told of once, and stops nothing."""
        for number in (1, 2):
            await store.create(event(new_job(number)))
        await store.close()
        with closing(sqlite3.connect(file)) as other, other:
            other.execute("UPDATE jobs SET document = x'7b' WHERE id = 'job_0001'")
        notes: list[tuple[str, object]] = []

        again = await open_store(url, note=lambda name, **fields: notes.append((name, fields)))
        claims = [list(await again.claim()), list(await again.claim())]
        await again.close()

        assert [[new_job(2)], []] == claims
        assert [("store.unreadable", {"job_id": "job_0001"})] == notes

    async def test_a_killed_process_lets_the_next_in(self, url: str) -> None:
        """`kill -9` frees the file at once, and what was committed is there."""
        holder = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOLDER, url, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert holder.stdout is not None
            assert b"ready\n" == await holder.stdout.readline()
            with pytest.raises(StoreLockedError, match=rf"\(pid {holder.pid}\)"):
                await open_store(url)
        finally:
            holder.kill()
            await holder.wait()

        store = await open_store(url)
        jobs = await store.unfinished()
        await store.close()

        assert ["job_1"] == [job.id for job in jobs]


class TestDurability:
    """What a commit means."""

    async def test_the_file_is_in_wal_mode(self, store: Store, file: Path) -> None:
        """The database is in WAL mode, so that reading and writing do not exclude each other."""
        with closing(sqlite3.connect(file)) as other:
            assert ("wal",) == other.execute("PRAGMA journal_mode").fetchone()
        await store.ping()

    def test_a_commit_reaches_the_disk(self, file: Path) -> None:
        """The writer flushes at every commit (FULL), and keeps foreign keys."""
        with closing(sqlite3.connect(file)) as connection:
            writer.prepare_writer(connection, None)

            assert (2,) == connection.execute("PRAGMA synchronous").fetchone()
            assert (1,) == connection.execute("PRAGMA foreign_keys").fetchone()

    async def test_another_program_sees_what_was_told(self, store: Store, file: Path) -> None:
        """A call that returned has committed: whoever opens the file finds the job and its columns."""
        await store.create(event(new_job(1)))

        with closing(sqlite3.connect(file)) as other:
            row = other.execute(
                "SELECT id, status, model, created_at, finished_at, error_code, revision FROM jobs"
            ).fetchone()
        assert ("job_0001", "queued", "gen4-image", 1.0, None, None, 1) == row

    async def test_reading_does_not_wait_for_writing(self, store: Store, file: Path) -> None:
        """While a write waits for somebody's transaction, reads are answered; then the write goes through."""
        job = new_job(1)
        await store.create(event(job))
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            write = asyncio.create_task(store.record(event(running(job))))
            await asyncio.sleep(0.05)

            assert job == await store.get(job.id)
            assert not write.done()
            other.execute("ROLLBACK")
            await write

        assert running(job) == await store.get(job.id)


class TestTrouble:
    """A disk that fails, a row that cannot be."""

    async def test_a_full_disk_fails_the_callers_and_nothing_else(
        self, store: Store, file: Path
    ) -> None:
        """While the disk is full, writers get a StoreError that says why and may be repeated; reads go on."""
        job = new_job(1)
        await store.create(event(job))
        jobs = [new_job(n, prompt="A lighthouse. " * 500) for n in range(2, 40)]

        with full_disk(file):
            outcomes = await asyncio.gather(
                store.record(event(running(job))),
                *(store.create(event(each)) for each in jobs),
                return_exceptions=True,
            )
            read = await store.get(job.id)

        assert {(StoreError, "store_unavailable", True)} == {
            (type(outcome), outcome.code, outcome.should_retry)
            for outcome in outcomes
            if isinstance(outcome, StoreError)
        }
        assert len(jobs) + 1 == sum(isinstance(outcome, StoreError) for outcome in outcomes)
        assert {sqlite3.OperationalError} == {type(outcome.__cause__) for outcome in outcomes}
        assert job == read

    async def test_what_failed_may_be_repeated(self, store: Store, file: Path) -> None:
        """Once the disk has room again, the same calls succeed and nothing is lost."""
        job = new_job(1)
        await store.create(event(job))
        jobs = [new_job(n, prompt="A lighthouse. " * 500) for n in range(2, 40)]
        calls = [lambda: store.record(event(running(job)))]
        calls += [lambda each=each: store.create(event(each)) for each in jobs]
        with full_disk(file):
            await asyncio.gather(*(call() for call in calls), return_exceptions=True)

        await asyncio.gather(*(call() for call in calls))

        assert [running(job), *jobs] == list(await store.unfinished())

    async def test_a_bad_row_is_its_callers_alone(self, store: Store) -> None:
        """A value that the database cannot hold is one caller's error; those beside it are committed."""
        outcomes = await asyncio.gather(
            store.create(event(new_job(1))),
            store.create(event(new_job(2, model="half a \ud83d character"))),
            store.create(event(new_job(3))),
            return_exceptions=True,
        )

        assert [type(None), InternalServerError, type(None)] == [type(o) for o in outcomes]
        assert [new_job(1), new_job(3)] == list(await store.unfinished())

    async def test_a_damaged_document_is_named(self, store: Store, file: Path) -> None:
        """A document that somebody has damaged is an error of the store that says so."""
        await store.create(event(new_job(1)))
        with closing(sqlite3.connect(file)) as other, other:
            other.execute("UPDATE jobs SET document = x'7b'")

        with pytest.raises(StoreError, match=r"^A stored job cannot be read"):
            await store.get("job_0001")

    async def test_a_damaged_document_hides_no_other(
        self, store: Store, file: Path, url: str
    ) -> None:
        """What is unfinished is counted, the one that cannot be read by itself; it is told of once."""
        await store.create(event(new_job(1)))
        await store.create(event(new_job(2)))
        await store.close()
        with closing(sqlite3.connect(file)) as other, other:
            other.execute("UPDATE jobs SET document = x'7b' WHERE id = 'job_0001'")
        notes: list[tuple[str, object]] = []

        again = await open_store(url, note=lambda name, **fields: notes.append((name, fields)))
        counted = [await again.backlog(), await again.backlog()]
        await again.close()

        expected = {None: (1, new_job(1).created_at), Phase.QUEUED: (1, new_job(2).created_at)}
        assert [expected, expected] == counted
        assert [("store.unreadable", {"job_id": "job_0001"})] == notes

    async def test_a_page_goes_on_past_a_damaged_document(self, store: Store, file: Path) -> None:
        """A page is as long as it was asked for, and the next one begins where it ended."""
        for number in range(1, 8):
            await store.create(event(new_job(number)))
        with closing(sqlite3.connect(file)) as other, other:
            damaged = "UPDATE jobs SET document = x'7b' WHERE id IN ('job_0006', 'job_0003')"
            other.execute(damaged)

        first = await store.list(JobQuery(limit=3))
        second = await store.list(JobQuery(limit=3, after=first[-1].id))

        assert [[job.id[-1] for job in page] for page in (first, second)] == [
            ["7", "5", "4"],
            ["2", "1"],
        ]
        assert len(await store.unfinished()) == 5

    async def test_a_database_that_lost_its_table_says_so(self, store: Store, file: Path) -> None:
        """Reads and writes that the database refuses are errors of the store that carry its words."""
        with closing(sqlite3.connect(file)) as other, other:
            other.execute("DROP TABLE jobs")

        outcomes = await asyncio.gather(
            store.get("job_0001"), store.create(event(new_job(1))), return_exceptions=True
        )
        assert [
            (StoreError, "The store could not be read: no such table: jobs."),
            (StoreError, "The store did not take the write: no such table: jobs."),
        ] == [(type(outcome), str(outcome)) for outcome in outcomes]

    async def test_a_read_that_is_cancelled_costs_nothing(self, store: Store) -> None:
        """Readers who leave in the middle do not use up the connections."""
        await store.create(event(new_job(1)))
        for _ in range(20):
            read = asyncio.create_task(store.get("job_0001"))
            await asyncio.sleep(0.001)
            read.cancel()
            await asyncio.wait({read})

        assert new_job(1) == await store.get("job_0001")


class TestImports:
    """What a start pays for."""

    def test_memory_needs_no_sqlalchemy(self) -> None:
        """The package, the store's door and the memory store are imported without SQLAlchemy."""
        found = run_python(
            "import json, sys, taxiway, taxiway.store, taxiway.store.memory, taxiway.store.documents;"
            "print(json.dumps({'sqlalchemy': 'sqlalchemy' in sys.modules}))"
        )

        assert {"sqlalchemy": False} == found

    async def test_a_current_database_needs_no_alembic(self, url: str) -> None:
        """A database that is up to date is opened without importing Alembic."""
        await (await open_store(url)).close()

        found = run_python(
            "import asyncio, json, sys\n"
            "from taxiway.store import open_store\n"
            "async def main():\n"
            f"    await (await open_store({url!r})).close()\n"
            "asyncio.run(main())\n"
            "print(json.dumps({'alembic': 'alembic' in sys.modules}))"
        )
        assert {"alembic": False} == found
