"""The one connection that writes to SQLite, on a thread where a whole group of writes is one hop from the loop."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError

from taxiway.errors import ConfigError, StoreError, TaxiwayError
from taxiway.store import schema
from taxiway.store.accounts import Accounts
from taxiway.store.books import Books
from taxiway.store.faults import words
from taxiway.store.sqlite.group import GroupWriter
from taxiway.store.writes import Outcome, Write

#: Only a backup or somebody's shell can hold the file besides us; it gets this long to finish.
BUSY_S = 5.0

#: A WAL that a long read or a burst has blown up is cut back to this at the next checkpoint.
_WAL_MAX_BYTES = 64 * 1024 * 1024

_T = TypeVar("_T")


class Writer:
    """The one connection that writes, and its thread."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.schema_before: str | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="taxiway-store")
        self._engine = _writer_engine(file)
        self._group = GroupWriter(self._engine)
        self._connection: Connection | None = None

    async def open(self) -> None:
        """Connect, and bring the schema up to date."""
        await self._run(self._open)

    async def commit(self, group: Sequence[Write]) -> Sequence[Outcome]:
        """Commit a group in one transaction; see `commits.Commit`."""
        return await self._run(lambda: self._commit(group))

    async def transact(self, work: Callable[[Connection], _T]) -> _T:
        """Do some work in one transaction."""
        return await self._run(lambda: self._transact(work))

    async def close(self) -> None:
        """Close the connection, which folds the WAL into the database, and end the thread."""
        try:
            await self._run(self._close)
        finally:
            self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        try:
            with self._engine.begin() as connection:
                self.schema_before = schema.bring_up(connection)
            self._connection = self._engine.connect()
        except (sqlite3.Error, SQLAlchemyError) as error:
            raise _not_opened(self.file, error) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()

    def _transact(self, work: Callable[[Connection], _T]) -> _T:
        connection = self._open_connection()
        with connection.begin():
            return work(connection)

    def _commit(self, group: Sequence[Write]) -> Sequence[Outcome]:
        # The driver's own cursor: what SQLAlchemy adds to a statement costs more than the statement.
        with closing(self._open_connection().connection.cursor()) as cursor:
            books = Books(Accounts(partial(self._group.standing, cursor)))
            cursor.execute("BEGIN IMMEDIATE")
            try:
                outcomes = self._group.apply(cursor, group, books)
                cursor.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # after some errors SQLite has rolled back already
                    cursor.execute("ROLLBACK")
                raise
        books.settle()
        return outcomes

    def _open_connection(self) -> Connection:
        if self._connection is None:
            raise StoreError("The store is closed.")
        return self._connection


def _writer_engine(file: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        # Python's driver would begin before an INSERT but not before a CREATE TABLE. None: it never does, we do.
        connect_args={"isolation_level": None, "timeout": BUSY_S},
        poolclass=NullPool,
        hide_parameters=True,
    )
    event.listen(engine, "connect", prepare_writer)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def prepare_writer(connection: DBAPIConnection, _: object) -> None:
    """Make a fresh connection the one that writes. Raises `ConfigError` where WAL is not to be had."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    if cursor.fetchone() != ("wal",):
        raise ConfigError("SQLite cannot use WAL where the database is; choose a local disk.")
    # FULL flushes at every commit. NORMAL could lose the last ones in a power cut, a paid task's id among them.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA journal_size_limit = {_WAL_MAX_BYTES}")
    cursor.close()


def _not_opened(file: Path, error: Exception) -> TaxiwayError:
    cause = getattr(error, "orig", None) or error
    # The plain class, not one below it, is SQLite's word for bytes that are no database, or a damaged one.
    if type(cause) is sqlite3.DatabaseError:
        return ConfigError(f"The file {file} is not a sound SQLite database: {cause}.")
    return StoreError(f"The database {file} could not be opened: {words(error)}.")
