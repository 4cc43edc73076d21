"""SQLite at work for one store. Readers see the last commit, since it is in WAL mode, and wait for nobody."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, ColumnElement, Connection, Text, case, cast, event, func
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from taxiway.events import Event
from taxiway.signals import Signal
from taxiway.store import owning
from taxiway.store.connections import Connections
from taxiway.store.faults import translated
from taxiway.store.lending import Lender
from taxiway.store.owning import Claim
from taxiway.store.sqlite.writer import BUSY_S, Writer
from taxiway.store.tables import jobs
from taxiway.store.writes import Held, Outcome, Write

#: Reads are short, and each connection is a thread.
_READERS = 4

#: How long a read waits for one of them.
_READER_WAIT_S = 10.0

_T = TypeVar("_T")


class SqliteDatabase:
    """A file at work for one store; see `Database`."""

    backend = "sqlite"
    shared = False

    def __init__(self, writer: Writer, *, owner: str) -> None:
        self.reader = _reader_engine(writer.file)
        self._readers = Lender(self.reader)
        self._writer = writer
        self._owner = owner

    @property
    def owner_alive(self) -> ColumnElement[bool]:
        """Whether the owner is this process: the others are gone."""
        return jobs.c.owner == self._owner

    @property
    def phase(self) -> ColumnElement[str]:
        """The phase, out of JSON; it is kept as bytes, which SQLite would not read as such.

        A document that somebody has damaged has none: one of them must not hide all others.
        """
        document = cast(jobs.c.document, Text)
        return case((func.json_valid(document), func.json_extract(document, "$.phase", type_=Text)))

    async def commit(self, group: Sequence[Write]) -> Sequence[Outcome]:
        """Commit a group in one transaction."""
        return await self._writer.commit(group)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection that reads."""
        with translated("The store could not be read", SQLAlchemyError):
            async with self._readers.lend() as connection:
                yield connection

    def connections(self) -> Connections:
        """Return what the readers do at this moment."""
        return self._readers.connections()

    async def transact(self, work: Callable[[Connection], _T]) -> _T:
        """Do some work in one transaction, on the writer's thread."""
        with translated("The store did not take the write", SQLAlchemyError):
            return await self._writer.transact(work)

    def serialise(self, connection: Connection, what: str) -> None:
        """Whoever writes is alone anyway."""

    def announce(self, connection: Connection, signal: Signal) -> None:
        """There is nobody to tell."""

    def lease_alive(self) -> bool:
        """Return True: the lock on the file is held."""
        return True

    async def renew(self, held: Mapping[str, Held]) -> frozenset[str]:
        """Lose nothing: there is nobody who could take it."""
        return frozenset()

    async def release(self) -> None:
        """Leave it to the close: it frees the lock."""

    @property
    def doubtful(self) -> Sequence[str]:
        """None: a commit that failed has failed."""
        return ()

    async def claim(
        self,
        *,
        held: Mapping[str, Held] | None = None,
        released: bool = True,
        expired: bool = True,
    ) -> Claim:
        """Take over what a process before this one has left: it is gone, whether or not it took its leave."""
        orphaned = jobs.c.owner.is_distinct_from(self._owner)
        return await self.transact(
            lambda connection: owning.take(
                connection, owner=self._owner, orphaned=orphaned, held=held
            )
        )

    def signals(self, callback: Callable[[Signal], None]) -> None:
        """Never call: there is nobody to tell."""

    def tell(self, event: Event) -> None:
        """Tell nobody."""


def _reader_engine(file: Path) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(file)),
        connect_args={"timeout": BUSY_S},
        pool_size=_READERS,
        max_overflow=0,
        pool_timeout=_READER_WAIT_S,
        # A single SELECT needs no transaction; without one there is nothing to roll back after it.
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_reset_on_return=None,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "connect", _prepare_reader)
    return engine


def _prepare_reader(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()
