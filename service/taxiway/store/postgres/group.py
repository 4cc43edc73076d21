"""A group of writes in PostgreSQL: a handful of statements for any number of rows.

Each statement takes its rows as arrays, one for each column, and returns the ids it has changed; so every write
has its own verdict, and a thousand of them cost no more round trips than one.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ARRAY, Text, bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import ClauseElement

from taxiway.errors import StoreError
from taxiway.origins import Existing
from taxiway.signals import CancelWanted, Changed, Signal
from taxiway.store import documents, verdicts
from taxiway.store.books import COLUMNS, Books
from taxiway.store.marks import marking
from taxiway.store.outbox import POSTED
from taxiway.store.postgres.accounts import write_back
from taxiway.store.postgres.arrays import columns_of, rows_of
from taxiway.store.postgres.link import Driver
from taxiway.store.postgres.signals import CHANNEL, packed
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
)

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


def _sql(statement: ClauseElement) -> str:
    """Return a statement as the driver takes it: its parameters are numbered in the order they are named in."""
    return str(statement.compile(dialect=_DIALECT))


_NEW = rows_of(*(jobs.c[name] for name in CREATED))
_LATER = rows_of(jobs.c.id, jobs.c.fence, *(jobs.c[name] for name in CHANGED))
_KEYS = rows_of(*(idempotency.c[name] for name in KEPT))
_ASKED = rows_of(idempotency.c.scope, idempotency.c.key_hash)
_POSTED = rows_of(*(deliveries.c[name] for name in POSTED))
_ENTRIES = rows_of(*(ledger.c[name] for name in COLUMNS))
_IDS = bindparam("ids", type_=ARRAY(Text))
_CHOSEN = jobs.c.id == func.any(_IDS)

#: Make the rows of new jobs, where there are none.
_CREATE = _sql(
    insert_or(jobs)
    .from_select(CREATED, select(*_NEW.c))
    .on_conflict_do_nothing(index_elements=[jobs.c.id])
    .returning(jobs.c.id)
)

#: Keep what keys have made. Who comes second waits for the first one's transaction.
_KEEP_KEYS = _sql(
    insert_or(idempotency)
    .from_select(KEPT, select(*_KEYS.c))
    .on_conflict_do_nothing()
    .returning(idempotency.c.job_id)
)

#: Find what keys have made.
_KNOWN = _sql(
    select(idempotency).join(
        _ASKED,
        (idempotency.c.scope == _ASKED.c.scope) & (idempotency.c.key_hash == _ASKED.c.key_hash),
    )
)

#: Change the rows that the author owns, except those that have this revision or a later one.
_CHANGE = _sql(
    update(jobs)
    .where(
        jobs.c.id == _LATER.c.id,
        jobs.c.fence == _LATER.c.fence,
        jobs.c.revision < _LATER.c.revision,
        jobs.c.owner == bindparam("author", type_=Text),
    )
    .values({name: _LATER.c[name] for name in CHANGED})
    .returning(jobs.c.id)
)

#: Look at what writes that touched no row have met.
_STORED = _sql(select(jobs.c.id, jobs.c.document, jobs.c.owner, jobs.c.fence).where(_CHOSEN))

_MARKS = {sign: _sql(marking(sign, _CHOSEN).returning(jobs.c.id)) for sign in Sign}

#: Add to the books.
_BOOK = _sql(insert(ledger).from_select(COLUMNS, select(*_ENTRIES.c)))

#: Keep whom to tell.
_POST = _sql(insert_or(deliveries).from_select(POSTED, select(*_POSTED.c)).on_conflict_do_nothing())

#: Tell the other replicas, as the transaction commits.
NOTIFY = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload"

#: The same once the transaction is over that may still be changing them.
_SETTLED = _sql(
    select(jobs.c.id, jobs.c.document, jobs.c.owner, jobs.c.fence).where(_CHOSEN).with_for_update()
)

#: Take back what may or may not have been committed, and what nobody waits for.
_TAKE_BACK = (
    "DELETE FROM jobs WHERE id = any($1::text[]) AND owner = $2 AND revision = 1 RETURNING id"
)

#: Let go of the idempotency keys of jobs that are none.
_FORGET_KEYS = "DELETE FROM idempotency WHERE job_id = any($1::text[])"

#: Writes with their places in the group.
_Numbered = list[tuple[int, Any]]


class GroupWriter:
    """Applies one group of writes, inside an open transaction."""

    def __init__(self, connection: Driver, *, owner: str, books: Books) -> None:
        self._connection = connection
        self._owner = owner
        self._books = books
        self._outcomes: dict[int, Outcome] = {}
        self._signals: list[Signal] = []

    async def look_again(self, doubtful: Sequence[Creation | Change]) -> None:
        """Find out what has become of writes whose commit nobody has confirmed.

        New jobs are taken back, since their callers were told that they were not taken. Of the others, the ledger
        goes up to what is stored.
        """
        creations = [write for write in doubtful if isinstance(write, Creation)]
        made = [write.job.id for write in creations]
        if made:
            rows = await self._connection.fetch(_TAKE_BACK, made, self._owner)
            taken = [row[0] for row in rows]
            await self._connection.execute(_FORGET_KEYS, taken)
            for write in creations:
                if write.job.id in taken:
                    self._books.accounts.take_back(write)
        held = {write.job.id: write.held for write in doubtful if write.job.id not in made}
        rows = await self._connection.fetch(_SETTLED, [*held]) if held else []
        for row in rows:
            mine = held[row["id"]]
            if mine is not None and (self._owner, mine.fence) == (row["owner"], row["fence"]):
                mine.booked = documents.load(row["document"])

    async def apply(self, group: Sequence[Write]) -> list[Outcome]:
        """Apply the writes, what they book and what the others hear of it; answer for each."""
        for round_ in _rounds(group):
            await self._make([(i, write) for i, write in round_ if isinstance(write, Creation)])
            await self._move([(i, write) for i, write in round_ if isinstance(write, Change)])
        for sign in Sign:
            await self._mark(sign, group)
        if self._books.rows:
            await self._connection.execute(_BOOK, *columns_of(self._books.rows))
        if accounts := self._books.accounts.moved:
            await write_back(self._connection, accounts)
        if self._books.posted:
            await self._connection.execute(_POST, *columns_of(self._books.posted))
        if payloads := packed(self._signals, sender=self._owner):
            await self._connection.execute(NOTIFY, CHANNEL, payloads)
        return [self._outcomes.get(i) for i in range(len(group))]

    async def _make(self, creations: _Numbered) -> None:
        creations = await self._admitted(await self._without_known_keys(creations))
        if not creations:
            return
        rows = [created(write) for _, write in creations]
        made = {row[0] for row in await self._connection.fetch(_CREATE, *columns_of(rows))}
        missed = [write.job.id for _, write in creations if write.job.id not in made]
        stored = await self._stored(missed)
        for i, write in creations:
            if write.job.id not in made:
                same = stored[write.job.id]["document"] == write.document
                self._outcomes[i] = verdicts.of_create(write.job.id, same=same)
                if not same:
                    self._books.accounts.dismiss(write)
            if self._outcomes.get(i) is None:
                self._books.move(write)

    async def _admitted(self, creations: _Numbered) -> _Numbered:
        """Return the creations that their keys' limits allow; nothing of the others stays."""
        refused = []
        for i, write in creations:
            self._outcomes[i] = self._books.accounts.admit(write)
            if self._outcomes[i] is not None and write.origin.key_hash is not None:
                refused.append(write.job.id)
        if refused:
            await self._connection.execute(_FORGET_KEYS, refused)
        return [(i, write) for i, write in creations if self._outcomes[i] is None]

    async def _without_known_keys(self, creations: _Numbered) -> _Numbered:
        keyed = [(i, write) for i, write in creations if write.origin.key_hash is not None]
        if not keyed:
            return creations
        # In one order for everybody: two replicas with the same two keys must not wait for each other.
        rows = sorted((kept(write) for _, write in keyed), key=lambda row: row[:2])
        first = {row[0] for row in await self._connection.fetch(_KEEP_KEYS, *columns_of(rows))}
        second = [(i, write) for i, write in keyed if write.job.id not in first]
        for i, existing in await self._known(second):
            self._outcomes[i] = existing
        return [(i, write) for i, write in creations if self._outcomes.get(i) is None]

    async def _known(self, creations: _Numbered) -> Iterable[tuple[int, Existing | StoreError]]:
        if not creations:
            return []
        asked = [(write.origin.scope, write.origin.key_hash) for _, write in creations]
        rows = await self._connection.fetch(_KNOWN, *columns_of(asked))
        known = {(row["scope"], row["key_hash"]): row for row in rows}
        return [
            (i, _existing(known.get(key)))
            for (i, write), key in zip(creations, asked, strict=True)
            # Met its own key: it was committed before, and the caller did not hear of it.
            if key not in known or known[key]["job_id"] != write.job.id
        ]

    async def _move(self, changes: _Numbered) -> None:
        if not changes:
            return
        rows = [(write.job.id, write.fence, *changed(write)) for _, write in changes]
        fetched = await self._connection.fetch(_CHANGE, *columns_of(rows), self._owner)
        moved = {row[0] for row in fetched}
        stored = await self._stored(
            [write.job.id for _, write in changes if write.job.id not in moved]
        )
        for i, write in changes:
            job = write.job
            if job.id in moved:
                self._books.move(write)
                self._signals.append(Changed(job_id=job.id, revision=job.revision))
            else:
                row = stored.get(job.id)
                self._outcomes[i] = verdicts.of_record(
                    job.id,
                    mine=(self._owner, write.fence),
                    stored=None if row is None else (row["owner"], row["fence"]),
                )

    async def _mark(self, sign: Sign, group: Sequence[Write]) -> None:
        ids = [write.job_id for write in group if isinstance(write, Mark) and write.sign is sign]
        if not ids:
            return
        marked = await self._connection.fetch(_MARKS[sign], ids)
        if sign is Sign.CANCEL:
            self._signals.extend(CancelWanted(job_id=row[0]) for row in marked)

    async def _stored(self, ids: list[str]) -> dict[str, Any]:
        rows = await self._connection.fetch(_STORED, ids) if ids else []
        return {row["id"]: row for row in rows}


def _existing(row: Any) -> Existing | StoreError:
    if row is None:  # forgotten between two statements
        return StoreError("The idempotency key was being forgotten; ask again.")
    return Existing(job_id=row["job_id"], fingerprint=row["fingerprint"])


def _rounds(group: Sequence[Write]) -> list[list[tuple[int, Creation | Change]]]:
    """Deal the writes out so that none of a job's meet in one round, and each job's keep their order."""
    rounds: list[list[tuple[int, Creation | Change]]] = []
    depths: dict[str, int] = {}
    for i, write in enumerate(group):
        if isinstance(write, Mark):
            continue
        depth = depths.get(write.job.id, 0)
        depths[write.job.id] = depth + 1
        if depth == len(rounds):
            rounds.append([])
        rounds[depth].append((i, write))
    return rounds
