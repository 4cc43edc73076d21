"""A group of writes in SQLite, row by row on the driver's own cursor.

What SQLAlchemy adds to a statement costs more than the statement; it writes the SQL once, and the driver runs it.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, bindparam, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql import ClauseElement

from taxiway.budgets import MINUTE_S, Recent, Standing
from taxiway.errors import TaxiwayError
from taxiway.origins import Existing
from taxiway.store import key_rows, verdicts
from taxiway.store.asking import KNOWN
from taxiway.store.books import COLUMNS, Books
from taxiway.store.marks import marking
from taxiway.store.outbox import POSTED
from taxiway.store.tables import deliveries, idempotency, jobs, ledger
from taxiway.store.writes import (
    CHANGED,
    CREATED,
    KEPT,
    Change,
    Creation,
    Mark,
    Outcome,
    Sign,
    Write,
    changed,
    created,
    kept,
    unstorable,
)

_JOB = jobs.c.id == bindparam("job")

#: Make the row of a new job, unless there is one.
_CREATE = insert_or(jobs).on_conflict_do_nothing(index_elements=[jobs.c.id])

#: Keep what a key has made.
_KEEP_KEY = insert_or(idempotency).on_conflict_do_nothing()

#: Keep whom to tell.
_POST = insert_or(deliveries).on_conflict_do_nothing()

#: Change a row that the author owns, unless it has this revision or a later one.
_CHANGE = (
    update(jobs)
    .where(
        _JOB,
        jobs.c.owner == bindparam("author"),
        jobs.c.fence == bindparam("held"),
        jobs.c.revision < bindparam("newer"),
    )
    .values({name: bindparam(name) for name in CHANGED})
)

#: Look at what a write that touched no row has met.
_STORED = select(jobs.c.document, jobs.c.owner, jobs.c.fence).where(_JOB)

#: What SQLite says about one row's values. It undoes the statement, and the transaction goes on; every other error
#: is about the database.
_ABOUT_THE_ROW = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeError,
)


class GroupWriter:
    """Applies groups of writes. Its methods run on the writer's thread, inside an open transaction."""

    def __init__(self, engine: Engine) -> None:
        self._create = _sql(_CREATE, engine, *CREATED)
        self._keep_key = _sql(_KEEP_KEY, engine, *KEPT)
        self._change = _sql(_CHANGE, engine)
        self._book = _sql(insert(ledger), engine, *COLUMNS)
        self._post = _sql(_POST, engine, *POSTED)
        self._stored = _sql(_STORED, engine)
        self._known = _sql(KNOWN, engine)
        self._account = _sql(key_rows.by_id(bindparam("scope")), engine)
        self._recent = _sql(key_rows.RECENT, engine)
        self._balance = _sql(key_rows.REBALANCE, engine)
        self._marks = {sign: _sql(marking(sign, _JOB), engine) for sign in Sign}

    def apply(self, cursor: DBAPICursor, group: Sequence[Write], books: Books) -> list[Outcome]:
        """Apply the writes in their order, and what they book; answer for each."""
        outcomes = [self._apply(cursor, write, books) for write in group]
        if books.rows:
            cursor.executemany(self._book, books.rows)
        if accounts := books.accounts.moved:
            rows = [(*key_rows.balance_of(account), account.key.id) for account in accounts]
            cursor.executemany(self._balance, rows)
        if books.posted:
            cursor.executemany(self._post, books.posted)
        return outcomes

    def standing(self, cursor: DBAPICursor, scope: str, at: float) -> Standing | None:
        """Return where a key stands, as the open transaction sees it."""
        cursor.execute(self._account, (scope,))
        row = cursor.fetchone()
        if row is None:
            return None
        account = key_rows.account_of(row)
        if account.key.rpm_limit is None:
            return Standing(account=account)
        cursor.execute(self._recent, (scope, at - MINUTE_S))
        ((made, since),) = cursor.fetchall()
        return Standing(account=account, recent=Recent(jobs=made, since=since))

    def _apply(self, cursor: DBAPICursor, write: Write, books: Books) -> Outcome:
        try:
            match write:
                case Creation():
                    return self._make(cursor, write, books)
                case Change():
                    return self._move(cursor, write, books)
                case Mark():
                    cursor.execute(self._marks[write.sign], (write.job_id,))
                    return None
        except _ABOUT_THE_ROW as error:
            if isinstance(write, Mark):
                raise
            if isinstance(write, Creation):
                books.accounts.dismiss(write)
            return unstorable(write, error)

    def _make(self, cursor: DBAPICursor, write: Creation, books: Books) -> Outcome:
        job, origin = write.job, write.origin
        if origin.key_hash is not None:
            cursor.execute(self._known, (origin.scope, origin.key_hash))
            found = cursor.fetchone()
            if found is not None and found[0] != job.id:
                return Existing(job_id=found[0], fingerprint=found[1])
        if refusal := books.accounts.admit(write):
            return refusal
        cursor.execute(self._create, created(write))
        if not cursor.rowcount:
            stored = self._stored_job(cursor, job.id)
            same = stored is not None and stored[0] == write.document
            if mistake := verdicts.of_create(job.id, same=same):
                books.accounts.dismiss(write)
                return mistake
        if origin.key_hash is not None:
            cursor.execute(self._keep_key, kept(write))
        books.move(write)
        return None

    def _move(self, cursor: DBAPICursor, write: Change, books: Books) -> TaxiwayError | None:
        job = write.job
        author = (job.id, write.owner, write.fence, job.revision)
        cursor.execute(self._change, (*changed(write), *author))
        if cursor.rowcount:
            books.move(write)
            return None
        stored = self._stored_job(cursor, job.id)
        return verdicts.of_record(
            job.id,
            mine=(write.owner, write.fence),
            stored=None if stored is None else (stored[1], stored[2]),
        )

    def _stored_job(self, cursor: DBAPICursor, job_id: str) -> Sequence[Any] | None:
        cursor.execute(self._stored, (job_id,))
        return cursor.fetchone()


def _sql(statement: ClauseElement, engine: Engine, *columns: str) -> str:
    """Return a statement as the driver takes it; an INSERT with these columns, which are in the table's order."""
    return str(statement.compile(engine, column_keys=list(columns) or None))
