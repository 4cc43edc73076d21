"""The job store over SQL: what every database has in common.

Reads go through connections of their own and never wait for a write. Writes go to the one writer, in groups.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.ext.asyncio import AsyncConnection

from taxiway.deliveries import Endpoint
from taxiway.errors import BadRequestError, LeaseLostError, StoreError, cut
from taxiway.events import Event
from taxiway.jobs import Job
from taxiway.ledger import Grouping, Usage
from taxiway.origins import HOLDS_ID, NOBODY, Existing, Origin
from taxiway.protocols import CLAIM_MAX, Backlog, JobQuery, Note, no_note
from taxiway.signals import Signal
from taxiway.store import asking, counting, documents, forgetting, reading, usage
from taxiway.store.commits import GroupCommit
from taxiway.store.connections import Connections
from taxiway.store.database import Database
from taxiway.store.keys import SqlKeys
from taxiway.store.outbox import SqlOutbox
from taxiway.store.owning import Claim
from taxiway.store.schema import VERSION
from taxiway.store.tables import HEAD
from taxiway.store.timing import Observe, timed
from taxiway.store.writes import Change, Creation, Held, Mark, Outcome, Sign, Write


class SqlStore(SqlKeys):
    """Jobs in a database; see `JobStore` for what each call promises. Closes the database with itself."""

    schema_version = HEAD

    def __init__(
        self,
        database: Database,
        *,
        owner: str,
        inherited: Sequence[Claim] = (),
        resources: AsyncExitStack,
        note: Note = no_note,
        observe: Observe | None = None,
    ) -> None:
        self.owner = owner
        self.backend = database.backend
        super().__init__()
        self._database = database
        self._resources = resources
        self._note = note
        self._observe = observe
        self._held: dict[str, Held] = {}
        self._unreadable: set[str] = set()
        self._astray = False
        self._inherited = deque(job.id for claim in inherited for job in self._hold(claim))
        self.outbox = SqlOutbox(database, call=self._call)
        self._commits = GroupCommit(self._commit, observe=observe)
        self._closed = False

    async def create(self, event: Event, *, origin: Origin = NOBODY) -> Existing | None:
        """Commit a new job, or return the one that its idempotency key has made before.

        Creating the very job once more is a repeat and fine; another job of the same id raises
        `InternalServerError`.
        """
        with timed(self._observe, "create"):
            self._check_open()
            job = event.job
            # Held before it is committed, so that its first change can be asked for in the same breath.
            held = self._held.setdefault(job.id, Held(fence=1, scope=origin.scope, booked=None))
            return await self._commits.submit(
                Creation(
                    job=job,
                    at=event.at,
                    document=documents.dump(job),
                    owner=self.owner,
                    origin=origin,
                    held=held,
                )
            )

    async def record(self, event: Event, *, endpoints: Sequence[Endpoint] = ()) -> None:
        """Commit the job after an event, its entries in the ledger, and whom to tell of it."""
        with timed(self._observe, "record"):
            self._check_open()
            job = event.job
            await self._commits.submit(
                Change(
                    job=job,
                    at=event.at,
                    document=documents.dump(job),
                    owner=self.owner,
                    held=self._held.get(job.id),
                    endpoints=tuple(endpoints),
                )
            )

    async def get(self, job_id: str) -> Job | None:
        """Return a job, or None."""
        async with self._reading("get") as connection:
            row = (await connection.execute(reading.GET, {"job": job_id})).first()
        return None if row is None else documents.load(row.document)

    async def newer(self, known: Mapping[str, int]) -> Sequence[Job]:
        """Return the jobs that have gone on since these revisions."""
        ids, found = [*known], list[Job]()
        async with self._reading("newer") as connection:
            for start in range(0, len(ids), reading.NEWER_MAX):
                asked = {"jobs": ids[start : start + reading.NEWER_MAX]}
                revisions = (await connection.execute(reading.REVISIONS, asked)).all()
                changed = [row.id for row in revisions if row.revision > known[row.id]]
                if changed:
                    rows = await connection.execute(reading.THESE, {"jobs": changed})
                    found += self._readable(rows.all())
        return found

    async def list(self, query: JobQuery) -> Sequence[Job]:
        """Return a page of jobs, newest first, without those that cannot be read.

        Raises `BadRequestError` where `after` names no job.
        """
        found: list[Job] = []
        async with self._reading("list") as connection:
            last = await _last_seen(connection, query)
            while (wanted := query.limit - len(found)) > 0:
                page = reading.page(query, last, limit=wanted)
                rows = (await connection.execute(page)).all()
                found += self._readable(rows)
                if len(rows) < wanted:
                    break
                last = rows[-1].created_at, rows[-1].id
        return found

    async def unfinished(self) -> Sequence[Job]:
        """Return every job that has not come to its end, oldest first."""
        async with self._reading("unfinished") as connection:
            rows = (await connection.execute(reading.UNFINISHED)).all()
        return [*self._readable(rows)]

    async def backlog(self) -> Backlog:
        """Return what is unfinished, by phase; a damaged document is told of."""
        async with self._reading("backlog") as connection:
            counted = await counting.backlog(connection, phase=self._database.phase)
        for job_id in counted.damaged:
            self._tell_of_unreadable(job_id)
        return counted.backlog

    async def forget(self, before: float) -> int:
        """Delete what ended before a date, page by page, so that nobody waits for it long."""
        with timed(self._observe, "forget"):
            self._check_open()
            forgotten, page = 0, forgetting.PAGE
            while page == forgetting.PAGE:
                page = await self._database.transact(
                    lambda connection: forgetting.forget(connection, before=before)
                )
                forgotten += page
            return forgotten

    def lease_alive(self) -> bool:
        """Return whether nobody else can own this process's jobs."""
        return not self._closed and self._database.lease_alive()

    async def renew(self) -> frozenset[str]:
        """Extend the lease; return what was lost while there was none."""
        with timed(self._observe, "renew"):
            self._check_open()
            held = dict(self._held)
            gone = await self._database.renew(held)
            # A claim at the same time may have brought one of them back.
            lost = {job_id for job_id in gone if self._held.get(job_id) is held[job_id]}
            for job_id in lost:
                del self._held[job_id]
            return frozenset(lost)

    async def claim(self, *, released: bool = True, expired: bool = True) -> Sequence[Job]:
        """Take over the jobs of owners who are gone, a page at a time."""
        with timed(self._observe, "claim"):
            self._check_open()
            if inherited := self._take_inherited():
                return inherited
            await self._settle_doubts()
            if not self.lease_alive():
                return ()
            # Until the answer is here, jobs may be ours that we do not know of.
            held, self._astray = dict(self._held) if self._astray else None, True
            claim = await self._database.claim(held=held, released=released, expired=expired)
            self._astray = False
            return self._hold(claim)

    async def release(self) -> None:
        """End the lease and tell the others."""
        with timed(self._observe, "release"):
            self._check_open()
            await self._database.release()

    async def request_cancel(self, job_id: str) -> None:
        """Note that somebody wants the job to stop, and tell its owner."""
        with timed(self._observe, "request_cancel"):
            self._check_open()
            await self._commits.submit(Mark(job_id=job_id, sign=Sign.CANCEL))

    async def cancel_requests(self) -> Sequence[str]:
        """Return the ids of this process's jobs that somebody wants to stop, oldest first."""
        async with self._reading("cancel_requests") as connection:
            ids = await connection.execute(reading.TO_CANCEL, {"owner": self.owner})
        return ids.scalars().all()

    async def known(self, key_hash: str, *, scope: str) -> Existing | None:
        """Return the job that an idempotency key has made, or None."""
        await self._settle_doubts()
        async with self._reading("known") as connection:
            asked = {"key_hash": key_hash, "scope": scope}
            row = (await connection.execute(asking.KNOWN, asked)).first()
        return None if row is None else Existing(job_id=row.job_id, fingerprint=row.fingerprint)

    async def departed(self, job_id: str) -> None:
        """Note that the caller left without a complete answer."""
        with timed(self._observe, "departed"):
            self._check_open()
            await self._commits.submit(Mark(job_id=job_id, sign=Sign.DEPARTED))

    async def promised(self, job_id: str) -> None:
        """Note that a caller was given the job's id instead of the image."""
        with timed(self._observe, "promised"):
            self._check_open()
            await self._commits.submit(Mark(job_id=job_id, sign=Sign.PROMISED))

    async def is_promised(self, job_id: str) -> bool:
        """Return whether somebody was answered with the job's id."""
        async with self._reading("is_promised") as connection:
            caller = (await connection.execute(asking.CALLER, {"job": job_id})).scalar()
        return caller in HOLDS_ID

    async def join_retry(
        self, *, scope: str, fingerprint: str, count: int, since: float
    ) -> str | None:
        """Return the job that a retry belongs to, or None."""
        with timed(self._observe, "join_retry"):
            self._check_open()
            await self._settle_doubts()
            database = self._database

            def join(connection: Connection) -> str | None:
                database.serialise(connection, f"{scope} {fingerprint}")
                return asking.join_retry(
                    connection,
                    scope=scope,
                    fingerprint=fingerprint,
                    count=count,
                    since=since,
                    owner_alive=database.owner_alive,
                )

            return await database.transact(join)

    def signals(self, callback: Callable[[Signal], None]) -> None:
        """Call back with what other replicas tell."""
        self._check_open()
        self._database.signals(callback)

    def tell(self, event: Event) -> None:
        """Tell the other replicas of a tick."""
        if not self._closed:
            self._database.tell(event)

    async def usage(
        self,
        by: Sequence[Grouping],
        *,
        since: float | None = None,
        until: float | None = None,
        scope: str | None = None,
    ) -> Sequence[Usage]:
        """Return what the ledger says, added up."""
        wanted = usage.sums(by, since=since, until=until, scope=scope)
        async with self._reading("usage") as connection:
            rows = (await connection.execute(wanted)).all()
        return sorted((usage.usage_of(row, len(by)) for row in rows), key=lambda row: row.group)

    async def ping(self) -> None:
        """Read the schema's version: a page of the database, not a constant."""
        async with self._reading("ping") as connection:
            await connection.execute(VERSION)

    def connections(self) -> Connections:
        """Return what the connections do at this moment, without asking the database."""
        return self._database.connections()

    async def close(self) -> None:
        """Commit what waits, release, and let go of everything."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._commits.close()
        finally:
            await self._resources.aclose()

    async def _settle_doubts(self) -> None:
        """Have the writer look again for new jobs that nobody works on: the next write takes them back."""
        for job_id in self._database.doubtful[:1]:
            await self._commits.submit(Mark(job_id=job_id, sign=Sign.DEPARTED))

    async def _commit(self, group: Sequence[Write]) -> Sequence[Outcome]:
        try:
            outcomes = await self._database.commit(group)
        except Exception as error:
            for write in group:
                self._let_go(write, error)
            raise
        for write, outcome in zip(group, outcomes, strict=True):
            if not isinstance(write, Mark) and write.held and write.held.standing:
                self._see(write.held.standing)
            self._let_go(write, outcome)
        return outcomes

    def _let_go(self, write: Write, outcome: Outcome | Exception) -> None:
        """Hold a job no longer that has ended, that was lost, or that was never made."""
        if isinstance(write, Mark) or write.held is None:
            return
        if isinstance(write, Creation):
            over = outcome is not None and write.held.booked is None
        else:
            ended = outcome is None and write.job.final
            over = ended or isinstance(outcome, LeaseLostError)
        if over and self._held.get(write.job.id) is write.held:
            del self._held[write.job.id]

    def _take_inherited(self) -> Sequence[Job]:
        page: list[Job] = []
        while self._inherited and len(page) < CLAIM_MAX:
            held = self._held.get(self._inherited.popleft())
            if held is not None and held.booked is not None:
                page.append(held.booked)
        return page

    def _hold(self, claim: Claim) -> Sequence[Job]:
        for job_id in claim.unreadable:
            self._tell_of_unreadable(job_id)
        for claimed in claim.jobs:
            self._held[claimed.job.id] = Held(
                fence=claimed.fence,
                scope=claimed.scope,
                period=claimed.period,
                booked=claimed.job,
            )
        return [claimed.job for claimed in claim.jobs]

    def _readable(self, rows: Iterable[Row[Any, Any]]) -> Iterator[Job]:
        """Yield jobs; one that another release wrote must not cost those beside it."""
        for row in rows:
            try:
                yield documents.load(row.document)
            except StoreError:
                self._tell_of_unreadable(row.id)

    def _tell_of_unreadable(self, job_id: str) -> None:
        if job_id not in self._unreadable:
            self._unreadable.add(job_id)
            self._note("store.unreadable", job_id=job_id)

    @asynccontextmanager
    async def _reading(self, operation: str) -> AsyncIterator[AsyncConnection]:
        with self._call(operation):
            async with self._database.reading() as connection:
                yield connection

    @contextmanager
    def _call(self, operation: str) -> Iterator[None]:
        with timed(self._observe, operation):
            self._check_open()
            yield

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("The store is closed.")


async def _last_seen(connection: AsyncConnection, query: JobQuery) -> tuple[float, str] | None:
    if query.after is None:
        return None
    row = (await connection.execute(reading.CURSOR, {"job": query.after})).first()
    if row is None or query.scope not in (None, row.scope):
        raise BadRequestError(f"`after` names no job: {cut(query.after)}", param="after")
    return row.created_at, row.id
