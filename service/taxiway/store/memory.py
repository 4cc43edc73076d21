"""The store's promises, kept in a dict: for the Python API and for tests in virtual time."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice

from taxiway.deliveries import Endpoint, deliveries_of
from taxiway.errors import BadRequestError, StoreError, cut
from taxiway.events import Event, name_of
from taxiway.jobs import Job, Phase
from taxiway.ledger import Entry, Grouping, Usage, entries, summarised
from taxiway.origins import HOLDS_ID, NOBODY, Caller, Existing, Origin
from taxiway.protocols import CLAIM_MAX, Backlog, JobQuery
from taxiway.signals import CancelWanted, Changed, Released, Resync, Signal
from taxiway.store import verdicts
from taxiway.store.connections import Connections
from taxiway.store.memory_keys import MemoryKeys
from taxiway.store.memory_outbox import MemoryOutbox
from taxiway.store.owners import new_owner
from taxiway.store.shelf import Row, Shelf
from taxiway.store.ticks import tick_of
from taxiway.store.timing import Observe, timed
from taxiway.store.writes import NO_FENCE


class MemoryStore(MemoryKeys):
    """Jobs in a dict, gone with the process; see `JobStore` for what each call promises.

    Alone it owns what it holds for ever. Over a `shelf` that others use too, it holds a lease of `lease_s`.
    """

    backend = "memory"
    schema_version = ""

    def __init__(
        self,
        *,
        observe: Observe | None = None,
        shelf: Shelf | None = None,
        lease_s: float = math.inf,
    ) -> None:
        self.owner = new_owner()
        self._shelf = shelf or Shelf()
        self._shared = shelf is not None
        self._lease_s = lease_s
        self._fences: dict[str, int] = {}
        self._observe = observe
        self._closed = False
        self.outbox = MemoryOutbox(self._shelf, call=self._call)
        self._extend()

    async def create(self, event: Event, *, origin: Origin = NOBODY) -> Existing | None:
        """Keep a new job, or return the one that its key has made before."""
        job, shelf = event.job, self._shelf
        with self._call("create"):
            key = None if origin.key_hash is None else (origin.scope, origin.key_hash)
            made = None if key is None else shelf.keys.get(key)
            if made is not None and made.job_id != job.id:
                return made
            if (row := shelf.rows.get(job.id)) is not None:
                if error := verdicts.of_create(job.id, same=row.job == job):
                    raise error
                return None
            period = self._admit(job, scope=origin.scope, at=event.at)
            shelf.add(
                Row(
                    job=job,
                    owner=self.owner,
                    scope=origin.scope,
                    fingerprint=origin.fingerprint,
                    caller=origin.caller,
                    period=period,
                )
            )
            if key is not None:
                shelf.keys[key] = Existing(job_id=job.id, fingerprint=origin.fingerprint)
            self._fences[job.id] = 1
            return None

    async def record(self, event: Event, *, endpoints: Sequence[Endpoint] = ()) -> None:
        """Keep the job after an event, what it does to the books, and whom to tell of it."""
        job, shelf = event.job, self._shelf
        with self._call("record"):
            row = shelf.rows.get(job.id)
            mine = (self.owner, self._fences.get(job.id, NO_FENCE))
            stored = None if row is None else (row.owner, row.fence)
            if row is None or stored != mine or row.job.revision >= job.revision:
                if error := verdicts.of_record(job.id, mine=mine, stored=stored):
                    self._fences.pop(job.id, None)
                    raise error
                return
            booked = entries(job, before=row.job, at=event.at)
            shelf.ledger.extend((row.scope, entry) for entry in booked)
            self._move(row, job)
            row.job = job
            shelf.post(
                deliveries_of(
                    job.id,
                    revision=job.revision,
                    event=name_of(job),
                    at=event.at,
                    endpoints=endpoints,
                )
            )
            if job.final:
                del self._fences[job.id]
            shelf.signal(Changed(job_id=job.id, revision=job.revision), sender=self.owner)

    async def get(self, job_id: str) -> Job | None:
        """Return a job, or None."""
        with self._call("get"):
            row = self._shelf.rows.get(job_id)
            return None if row is None else row.job

    async def newer(self, known: Mapping[str, int]) -> Sequence[Job]:
        """Return the jobs that have gone on since these revisions."""
        with self._call("newer"):
            rows = (self._shelf.rows.get(job_id) for job_id in known)
            return [row.job for row in rows if row and row.job.revision > known[row.job.id]]

    async def list(self, query: JobQuery) -> Sequence[Job]:
        """Return a page of jobs, newest first. Raises `BadRequestError` where `after` names no job."""
        with self._call("list"):
            last = None
            if query.after is not None:
                found = self._shelf.rows.get(query.after)
                if found is None or query.scope not in (None, found.scope):
                    raise BadRequestError(
                        f"`after` names no job: {cut(query.after)}", param="after"
                    )
                last = found.job
            rows = self._shelf.newest_first(after=last)
            return [*islice((row.job for row in rows if _matches(row, query)), query.limit)]

    async def unfinished(self) -> Sequence[Job]:
        """Return every job that has not come to its end, oldest first."""
        with self._call("unfinished"):
            return [row.job for row in self._shelf.oldest_first() if not row.job.final]

    async def backlog(self) -> Backlog:
        """Return what is unfinished, by phase."""
        with self._call("backlog"):
            found: dict[Phase | None, tuple[int, float]] = {}
            for row in self._shelf.oldest_first():
                if row.job.phase is not None:
                    count, oldest_at = found.get(row.job.phase, (0, row.job.created_at))
                    found[row.job.phase] = (count + 1, oldest_at)
            return found

    async def forget(self, before: float) -> int:
        """Delete the jobs that ended before a date, with their keys."""
        with self._call("forget"):
            old = [row for row in self._shelf.oldest_first() if _ended(row.job, before)]
            self._shelf.remove(old)
            return len(old)

    def lease_alive(self) -> bool:
        """Return whether nobody else can own this process's jobs."""
        return not self._closed and self._shelf.alive(self.owner)

    async def renew(self) -> frozenset[str]:
        """Extend the lease; return what was lost while there was none."""
        with self._call("renew"):
            self._extend()
            rows = self._shelf.rows
            lost = frozenset(
                job_id
                for job_id, fence in self._fences.items()
                if (rows[job_id].owner, rows[job_id].fence) != (self.owner, fence)
            )
            for job_id in lost:
                del self._fences[job_id]
            return lost

    async def claim(self, *, released: bool = True, expired: bool = True) -> Sequence[Job]:
        """Take over the jobs of owners who are gone, a page at a time."""
        with self._call("claim"):
            if not self.lease_alive():
                return ()
            orphaned = (
                row
                for row in self._shelf.oldest_first()
                if not row.job.final
                and not self._shelf.alive(row.owner)
                and (expired if row.owner in self._shelf.leases else released)
            )
            claimed = [*islice(orphaned, CLAIM_MAX)]
            for row in claimed:
                row.owner, row.fence = self.owner, row.fence + 1
                if row.caller is Caller.WAITING:
                    row.caller = Caller.LEFT  # the connection went with the former owner
                self._fences[row.job.id] = row.fence
            return [row.job for row in claimed]

    async def release(self) -> None:
        """End the lease and tell the others."""
        with self._call("release"):
            self._let_go()

    async def request_cancel(self, job_id: str) -> None:
        """Note that somebody wants the job to stop, and tell its owner."""
        with self._call("request_cancel"):
            row = self._shelf.rows.get(job_id)
            if row is not None and not row.job.final:
                row.cancel_requested = True
            self._shelf.signal(CancelWanted(job_id=job_id), sender=self.owner)

    async def cancel_requests(self) -> Sequence[str]:
        """Return the ids of this process's jobs that somebody wants to stop, oldest first."""
        with self._call("cancel_requests"):
            return [
                row.job.id
                for row in self._shelf.oldest_first()
                if row.cancel_requested and row.owner == self.owner and not row.job.final
            ]

    async def known(self, key_hash: str, *, scope: str) -> Existing | None:
        """Return the job that an idempotency key has made, or None."""
        with self._call("known"):
            return self._shelf.keys.get((scope, key_hash))

    async def departed(self, job_id: str) -> None:
        """Note that the caller left without a complete answer."""
        with self._call("departed"):
            row = self._shelf.rows.get(job_id)
            if row is not None and row.caller is Caller.WAITING:
                row.caller = Caller.LEFT

    async def promised(self, job_id: str) -> None:
        """Note that a caller was given the job's id instead of the image."""
        with self._call("promised"):
            row = self._shelf.rows.get(job_id)
            if row is not None and row.caller is not Caller.ANSWERED:
                row.caller = Caller.PROMISED

    async def is_promised(self, job_id: str) -> bool:
        """Return whether somebody was answered with the job's id."""
        with self._call("is_promised"):
            row = self._shelf.rows.get(job_id)
            return row is not None and row.caller in HOLDS_ID

    async def join_retry(
        self, *, scope: str, fingerprint: str, count: int, since: float
    ) -> str | None:
        """Return the job that a retry belongs to, or None."""
        with self._call("join_retry"):
            candidates = [
                row
                for row in self._shelf.oldest_first()
                if (row.scope, row.fingerprint) == (scope, fingerprint)
                and row.job.created_at >= since
                and row.joined_retry < count
                and self._shelf.joinable(row)
            ]
            # The sort keeps the order of age.
            candidates.sort(key=lambda row: row.caller is not Caller.LEFT)
            for row in candidates[:1]:
                row.joined_retry = count
                if row.caller is not Caller.PROMISED:
                    row.caller = Caller.WAITING
                return row.job.id
            return None

    def signals(self, callback: Callable[[Signal], None]) -> None:
        """Call back with what the other stores over the shelf tell; alone, never."""
        self._check_open()
        if self._shared:
            self._shelf.listeners[self.owner] = callback
            asyncio.get_running_loop().call_soon(callback, Resync())

    def tell(self, event: Event) -> None:
        """Tell the other stores over the shelf of a tick."""
        if (tick := tick_of(event)) is not None:
            self._shelf.signal(tick, sender=self.owner)

    async def usage(
        self,
        by: Sequence[Grouping],
        *,
        since: float | None = None,
        until: float | None = None,
        scope: str | None = None,
    ) -> Sequence[Usage]:
        """Return what the ledger says, added up."""
        with self._call("usage"):
            groups: defaultdict[tuple[str, ...], list[Entry]] = defaultdict(list)
            for key, entry in self._shelf.ledger:
                if (
                    (since is None or entry.at >= since)
                    and (until is None or entry.at < until)
                    and scope in (None, key)
                ):
                    groups[tuple(_value(entry, key, each) for each in by)].append(entry)
            if not by:
                groups.setdefault((), [])
            return [summarised(group, groups[group]) for group in sorted(groups)]

    async def ping(self) -> None:
        """Return: a dict answers."""
        with self._call("ping"):
            return

    def connections(self) -> Connections:
        """Return that there are none."""
        return Connections()

    async def close(self) -> None:
        """Take no further calls. The jobs go with the store, unless others use its shelf."""
        if not self._closed:
            self._let_go()
            self._shelf.listeners.pop(self.owner, None)
        self._closed = True

    def _extend(self) -> None:
        self._shelf.leases[self.owner] = (
            math.inf
            if math.isinf(self._lease_s)
            else asyncio.get_running_loop().time() + self._lease_s
        )

    def _let_go(self) -> None:
        self._shelf.leases.pop(self.owner, None)
        self._shelf.signal(Released(), sender=self.owner)

    @contextmanager
    def _call(self, operation: str) -> Iterator[None]:
        with timed(self._observe, operation):
            self._check_open()
            yield

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("The store is closed.")


def _ended(job: Job, before: float) -> bool:
    return job.finished_at is not None and job.finished_at < before


def _value(entry: Entry, key: str, grouping: Grouping) -> str:
    return {
        Grouping.MODEL: entry.model,
        Grouping.KEY: key,
        Grouping.DAY: entry.day,
        Grouping.UPSTREAM_MODEL: entry.upstream_model,
        Grouping.DEPLOYMENT: entry.deployment,
    }[grouping]


def _matches(row: Row, query: JobQuery) -> bool:
    job = row.job
    return (
        query.scope in (None, row.scope)
        and (not query.statuses or job.status in query.statuses)
        and (query.model is None or job.request.model == query.model)
        and (query.since is None or job.created_at >= query.since)
        and (query.error is None or (job.error is not None and job.error.code == query.error))
    )
