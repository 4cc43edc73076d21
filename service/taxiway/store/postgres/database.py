"""PostgreSQL at work for one store.

One connection writes, another one hears and tells, a third one keeps the lease, a few others read. Each is made
anew when it breaks, and nothing waits for a silent server for longer than some seconds.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TypeVar

from sqlalchemy import Connection, cast, event, func, select
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from taxiway.errors import StoreError
from taxiway.events import Event
from taxiway.protocols import Note
from taxiway.signals import Signal
from taxiway.store.accounts import Accounts, scopes_of
from taxiway.store.books import Books
from taxiway.store.connections import Connections
from taxiway.store.faults import not_taken, translated
from taxiway.store.lending import Lender
from taxiway.store.owning import Claim
from taxiway.store.postgres import leases
from taxiway.store.postgres.accounts import Standings
from taxiway.store.postgres.group import GroupWriter
from taxiway.store.postgres.link import ABOUT_A_ROW, DEADLOCK, FAULTS, GOODBYE_S, Link, Server
from taxiway.store.postgres.listener import Listener
from taxiway.store.postgres.signals import CHANNEL, packed
from taxiway.store.tables import jobs
from taxiway.store.ticks import tick_of
from taxiway.store.writes import Change, Creation, Held, Mark, Outcome, Write, unstorable

#: Connections for reading, and for the odd transaction beside the writer's.
_READERS = 4

#: How long a read waits for one of them.
_READER_WAIT_S = 5.0

#: How long the release at the end may take: who does not hear it waits for the lease to run out.
_LAST_WORD_S = 2.0

#: How often a group is repeated that PostgreSQL has ended because of a deadlock.
_DEADLOCKS_MAX = 3

#: How long a commit that was given up may still come about: no time limit of the server's holds for a COMMIT.
_DOUBT_S = 60.0

#: A lease that was let go of, or never taken.
_RELEASED = -math.inf

#: A commit that did not come about, for whatever reason.
_FAILURES: tuple[type[Exception], ...] = (StoreError, *FAULTS)

_T = TypeVar("_T")


class PostgresDatabase:
    """A database at work for one store; see `Database`."""

    backend = "postgresql"
    shared = True
    owner_alive = leases.OWNER_ALIVE
    phase = cast(func.convert_from(jobs.c.document, "UTF8"), JSON)["phase"].astext

    def __init__(self, server: Server, *, owner: str, lease_s: float, note: Note) -> None:
        self._owner = owner
        self._lease_s = lease_s
        self._alive_until = _RELEASED
        # A renewal must not overtake the release that was to end the lease.
        self._leasing = asyncio.Lock()
        self._link = Link(server)
        self._listener = Listener(server, owner=owner, note=note)
        self._engine = _engine(server, connections=_READERS)
        self._lender = Lender(self._engine)
        self._writing = self._engine.execution_options(isolation_level="READ COMMITTED")
        # Readers must not stand in front of a renewal: slow ones would cost this process every job it has.
        self._lease_engine = _engine(server, connections=1).execution_options(
            isolation_level="READ COMMITTED"
        )
        self._doubts: dict[str, tuple[Creation | Change, float]] = {}
        """Writes that may be in though their callers were told that they are not, and since when."""

    async def commit(self, group: Sequence[Write]) -> Sequence[Outcome]:
        """Commit a group in one transaction; in several where one of its rows cannot be stored."""
        try:
            return await self._commit_patiently(group)
        except ABOUT_A_ROW as error:
            if len(group) > 1:
                return await self._commit_apart(group)
            (write,) = group
            # No job bears an id that cannot be stored.
            return [None if isinstance(write, Mark) else unstorable(write, error)]

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection that reads."""
        async with _lent(self._lender.lend(), "The store could not be read") as connection:
            yield connection

    def connections(self) -> Connections:
        """Return what the readers do at this moment, and what borrows from them."""
        return self._lender.connections()

    async def transact(self, work: Callable[[Connection], _T]) -> _T:
        """Do some work in one transaction, beside the writer's."""
        return await _transact(self._lender.lend(self._writing), work)

    def serialise(self, connection: Connection, what: str) -> None:
        """Hold an advisory lock until the transaction ends."""
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(what, 0))))

    def announce(self, connection: Connection, signal: Signal) -> None:
        """Notify the others as the transaction commits."""
        for payload in packed([signal], sender=self._owner):
            connection.execute(select(func.pg_notify(CHANNEL, payload)))

    def lease_alive(self) -> bool:
        """Return whether the lease lasts by our own clock, counted from before the database was asked."""
        return asyncio.get_running_loop().time() < self._alive_until

    async def renew(self, held: Mapping[str, Held]) -> frozenset[str]:
        """Extend the lease; where it had run out by either clock, look what has become of the held jobs."""
        async with self._leasing:
            lapsed, asked_at = not self.lease_alive(), asyncio.get_running_loop().time()

            def extend(connection: Connection) -> frozenset[str]:
                lasted = leases.extend(connection, owner=self._owner, lease_s=self._lease_s)
                if lasted and not lapsed:
                    return frozenset()
                return leases.lost(connection, owner=self._owner, held=held)

            lost = await _transact(self._lease_engine.connect(), extend)
            self._alive_until = asked_at + self._lease_s
            return lost

    async def release(self) -> None:
        """End the lease and tell the others."""
        self._alive_until = _RELEASED
        async with self._leasing:
            self._alive_until = _RELEASED  # whatever a renewal under way has made of it
            await _transact(
                self._lease_engine.connect(), lambda c: leases.end(c, owner=self._owner)
            )

    async def claim(
        self,
        *,
        held: Mapping[str, Held] | None = None,
        released: bool = True,
        expired: bool = True,
    ) -> Claim:
        """Take over a page of the jobs whose owner is gone."""
        return await self.transact(
            lambda connection: leases.claim(
                connection, owner=self._owner, held=held, released=released, expired=expired
            )
        )

    @property
    def doubtful(self) -> Sequence[str]:
        """The new jobs that may be in though nobody works on them."""
        return [
            job_id for job_id, (write, _) in self._doubts.items() if isinstance(write, Creation)
        ]

    def signals(self, callback: Callable[[Signal], None]) -> None:
        """Listen from now on."""
        self._listener.listen(callback)

    def tell(self, event: Event) -> None:
        """Tell the other replicas of a tick with the next batch."""
        if (tick := tick_of(event)) is not None:
            self._listener.tell(tick)

    async def close(self) -> None:
        """Release, and let go of every connection; a server that does not answer is not waited for."""
        await self._listener.close()
        if self._alive_until != _RELEASED:
            with suppress(*_FAILURES):
                async with asyncio.timeout(_LAST_WORD_S):
                    await self.release()
        await self._link.close()
        with suppress(SQLAlchemyError, *FAULTS):
            async with asyncio.timeout(GOODBYE_S):
                await self._engine.dispose()
                await self._lease_engine.dispose()

    async def _commit_apart(self, group: Sequence[Write]) -> Sequence[Outcome]:
        """Commit a group in halves, since PostgreSQL does not say which row it was, until the one is alone."""
        outcomes: list[Outcome] = []
        middle = len(group) // 2
        for half in (group[:middle], group[middle:]):
            try:
                outcomes += await self.commit(half)
            except _FAILURES as error:
                outcomes += [not_taken(error) for _ in half]
        return outcomes

    async def _commit_patiently(self, group: Sequence[Write]) -> Sequence[Outcome]:
        for _ in range(_DEADLOCKS_MAX):
            with suppress(DEADLOCK):
                return await self._commit(group)
        return await self._commit(group)

    async def _commit(self, group: Sequence[Write]) -> Sequence[Outcome]:
        connection = await self._link.connection()
        doubtful = [write for write, _ in self._doubts.values()]
        books = Books(Accounts(standings := Standings(connection)))
        writer = GroupWriter(connection, owner=self._owner, books=books)
        try:
            await connection.execute("BEGIN")
            await standings.lock(scopes_of([*doubtful, *group]), at=_newest(group))
            if doubtful:
                await writer.look_again(doubtful)
            outcomes = await writer.apply(group)
            await connection.execute("COMMIT")
        except (*ABOUT_A_ROW, DEADLOCK):
            self._link.drop()
            raise
        except BaseException:
            # Perhaps it is in, perhaps not. The callers are told that it is not; most of them will repeat their
            # write, but nobody would ever work on a new job whose caller was sent away.
            self._doubt(group)
            self._link.drop()
            raise
        self._believe(group)
        books.settle()
        return outcomes

    def _doubt(self, group: Sequence[Write]) -> None:
        now_s = asyncio.get_running_loop().time()
        for write in group:
            if not isinstance(write, Mark):
                self._doubts.setdefault(write.job.id, (write, now_s))

    def _believe(self, group: Sequence[Write]) -> None:
        """Forget the doubts that a commit has settled; a new job may still come out of a server that is stuck."""
        repeated = {write.job.id for write in group if isinstance(write, Creation)}
        since_s = asyncio.get_running_loop().time() - _DOUBT_S
        self._doubts = {
            job_id: (write, began_s)
            for job_id, (write, began_s) in self._doubts.items()
            if isinstance(write, Creation) and began_s > since_s and job_id not in repeated
        }


def _newest(group: Sequence[Write]) -> float:
    """Return the date of a group."""
    return max((write.at for write in group if not isinstance(write, Mark)), default=0.0)


def _engine(server: Server, *, connections: int) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=server.connect,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_READER_WAIT_S,
        # A single SELECT needs no transaction; without one there is nothing to roll back after it.
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_reset_on_return=None,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "checkout", _check)
    return engine


def _check(connection: DBAPIConnection, *_: object) -> None:
    """Have all connections made anew when one is found to be gone: the server has been restarted."""
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


async def _transact(
    lent: AbstractAsyncContextManager[AsyncConnection], work: Callable[[Connection], _T]
) -> _T:
    """Do some work in one transaction, on a connection that is lent for it."""
    async with (
        _lent(lent, "The store did not take the write") as connection,
        connection.begin(),
    ):
        return await connection.run_sync(work)


@asynccontextmanager
async def _lent(
    lent: AbstractAsyncContextManager[AsyncConnection], what: str
) -> AsyncIterator[AsyncConnection]:
    with translated(what, SQLAlchemyError, *FAULTS):
        async with lent as connection:
            try:
                yield connection
            except TimeoutError:
                # The statement may be running still: nobody else must get this connection.
                await connection.invalidate()
                raise
