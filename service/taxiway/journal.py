"""Record, then tell: the one way a job changes, and the one place where viewers wait.

A fact becomes a job by `transitions.advance`, the job an event; the event is committed to the store, and only
then told to observers and viewers. They cannot disagree with the store, nor with each other.
"""

import asyncio
import math
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import TracebackType

from taxiway.cadence import backoff_s
from taxiway.clock import Clock
from taxiway.deliveries import Endpoint
from taxiway.errors import LeaseLostError, NotFoundError, NotReadyError, StoreError
from taxiway.events import Event
from taxiway.facts import Fact, Seen, Waiting
from taxiway.jobs import Job
from taxiway.origins import NOBODY, Existing, Origin
from taxiway.protocols import Instruments, JobStore, NoInstruments, Note, Observer
from taxiway.signals import Placed, Ticked
from taxiway.topics import Follower, Topic
from taxiway.transitions import advance

#: How long a leaving process waits for a store that fails: a database that moves house is back by then, and
#: whoever stops the process waits for a minute.
LEAVE_S = 20.0

_LEAVING_PAUSE_S = 0.5

#: While a store fails, every job under way fails with it, again and again: one line speaks for all of them.
TELL_EVERY_S = 10.0

#: Measures nothing.
SILENT = NoInstruments()


def nobody(_job: Job) -> Sequence[Endpoint]:
    """Tell no other program."""
    return ()


class Journal:
    """Jobs on their way into the store and out to everybody who looks."""

    def __init__(
        self,
        store: JobStore,
        *,
        clock: Clock,
        observers: Sequence[Observer] = (),
        note: Note,
        instruments: Instruments = SILENT,
        endpoints: Callable[[Job], Sequence[Endpoint]] = nobody,
    ) -> None:
        """`endpoints` says whom to tell of a job's end; the store keeps that with the end itself."""
        self._store = store
        self._clock = clock
        self._observers = tuple(observers)
        self._note = note
        self._instruments = instruments
        self._endpoints = endpoints
        self._topics: dict[str, Topic] = {}
        self._commits: set[asyncio.Task[bool]] = set()
        self._leaving = asyncio.Event()
        self._patience_s = math.inf
        """Until when a store that fails is asked again, by the loop's clock."""
        self._given_up: set[str] = set()
        self._told_s = -math.inf
        """When it was last said that the store fails, by the loop's clock."""

    async def accept(self, job: Job, *, origin: Origin = NOBODY) -> Job | Existing:
        """Store a new job and tell it. The caller owns it from now on.

        Returns it, or the one that was made with the origin's idempotency key before: then nothing was stored.
        Raises `NotReadyError` (`store_unavailable`) when the store does not take it.
        """
        event = Event(job=job, at=self._clock.now())
        try:
            existing = await self._store.create(event, origin=origin)
        except StoreError as error:
            self._instruments.store_error("create", "unavailable")
            raise NotReadyError(
                "The store cannot take a job at the moment; nothing was bought.",
                code="store_unavailable",
                retry_after_s=5,
            ) from error
        if existing is not None:
            return existing
        self.adopt(job)
        self._observe(event)
        return job

    def adopt(self, job: Job) -> None:
        """Take a job of the store into ownership: its next facts come from here."""
        at = self._clock.now()
        topic = self._topics.setdefault(job.id, Topic(job, at=at))
        if job.revision > topic.job.revision:
            # Whoever has followed it from afar may not have heard of its owner's last words.
            topic.tell(Event(job=job, at=at))
        topic.head = topic.job
        topic.owned = True
        topic.life += 1

    async def record(self, job_id: str, fact: Fact) -> Job:
        """Apply a fact to an owned job: commit, then tell. Returns the job after it.

        A store that cannot be reached delays this until it can be: nothing is told that is not stored.
        Cancelling the call leaves the wait, and takes nothing back: the event is committed and told.
        Raises `LeaseLostError` when another process owns the job by now: nothing was changed.
        """
        topic = self._owned(job_id)
        before, at = topic.head, self._clock.now()
        after = advance(before, fact, at=at)
        if after is before:
            return after
        topic.head = after
        event = Event(job=after, before=before, fact=fact, at=at)
        if event.tick:
            # A tick upon a revision that is still being committed waits for it: it would tell too much.
            if after.revision == topic.job.revision:
                self._publish(topic, event)
                self._store.tell(event)
            return after
        topic.uncommitted += 1
        commit = asyncio.create_task(self._commit(topic, event), name=f"commit:{job_id}")
        self._commits.add(commit)
        commit.add_done_callback(self._commits.discard)
        if not await asyncio.shield(commit):
            raise LeaseLostError(job_id=job_id)
        return after

    def release(self, job_id: str) -> None:
        """Give up ownership: the job has ended, or another process goes on with it."""
        topic = self._topics.get(job_id)
        if topic is not None:
            topic.owned = False
            self._forget(topic)

    def head(self, job_id: str) -> Job:
        """Return an owned job as its owner knows it. Raises `LeaseLostError`."""
        return self._owned(job_id).head

    async def get(self, job_id: str) -> Job:
        """Return a job as it was last told. Raises `NotFoundError`."""
        topic = self._topics.get(job_id)
        if topic is not None and topic.owned:
            return topic.job
        # Of a job that another process owns, what is told here may be a moment old.
        return self.newest((await self._load(job_id)).job)

    def newest(self, job: Job) -> Job:
        """Return a job read from the store with the progress that is told but never stored."""
        topic = self._topics.get(job.id)
        return topic.job if topic and topic.job.revision >= job.revision else job

    def follow(self, job_id: str, follower: Follower) -> "Following":
        """Let a follower be woken by every event of a job while the context lasts. Raises `NotFoundError`."""
        return Following(self, job_id, follower)

    async def join(self, job_id: str, follower: Follower) -> Topic:
        """Let a follower be woken by every event of a job, until it leaves. Raises `NotFoundError`."""
        topic = self._topics.get(job_id)
        if topic is None:
            loaded = await self._load(job_id)
            topic = loaded if loaded.job.final else self._topics.setdefault(job_id, loaded)
        topic.followers.add(follower)
        if not topic.owned and not topic.job.final:
            try:
                await self.refresh((job_id,))  # what changed between the look and the listening
            except BaseException:
                self.leave(topic, follower)
                raise
        return topic

    def leave(self, topic: Topic, follower: Follower) -> None:
        """End what `join` began."""
        topic.followers.discard(follower)
        self._forget(topic)

    async def ended(self, job_id: str) -> Job:
        """Wait for a job's end, and return it. Leaving the wait does not touch the job."""
        follower = Follower()
        async with self.follow(job_id, follower) as topic:
            while not topic.job.final:
                await follower.wait()
            return topic.job

    # Jobs of other processes

    @property
    def foreign(self) -> tuple[str, ...]:
        """The unfinished jobs that are followed here and owned elsewhere."""
        return tuple(
            job_id
            for job_id, topic in self._topics.items()
            if not topic.owned and topic.followers and not topic.job.final
        )

    async def refresh(self, job_ids: Iterable[str]) -> None:
        """Read those jobs of other processes anew that are followed here, and tell what is new of them.

        Raises `StoreError` when the store cannot be read.
        """
        known = {
            job_id: topic.job.revision
            for job_id in job_ids
            if (topic := self._topics.get(job_id)) and not topic.owned and topic.followers
        }
        if not known:
            return
        for job in await self._store.newer(known):
            topic = self._topics.get(job.id)
            if topic is None or topic.owned or job.revision <= topic.job.revision:
                continue  # what has happened while the store was asked
            topic.tell(Event(job=job, before=topic.job, at=self._clock.now()))
            topic.head = job

    def hear(self, tick: Ticked | Placed) -> None:
        """Tell a tick that another process has told."""
        topic = self._topics.get(tick.job_id)
        if topic is None or topic.owned or topic.job.revision != tick.revision:
            return
        before = topic.job
        fact: Fact
        if isinstance(tick, Placed):
            fact = Waiting(position=tick.position)
        else:
            phase = before.attempts[tick.attempt].phase
            fact = Seen(attempt=tick.attempt, phase=phase, progress=tick.progress)
        after = advance(before, fact, at=tick.at)
        if after is not before:
            topic.tell(Event(job=after, before=before, fact=fact, at=tick.at))

    def _owned(self, job_id: str) -> Topic:
        topic = self._topics.get(job_id)
        if topic is None or not topic.owned:
            raise LeaseLostError(job_id=job_id)
        return topic

    async def _load(self, job_id: str) -> Topic:
        job = await self._store.get(job_id)
        if job is None:
            raise NotFoundError(f"There is no job {job_id!r}.", code="job_not_found")
        return Topic(job, at=self._clock.now())

    def leave_soon(self) -> None:
        """Wait for a store that fails for `LEAVE_S` from now on, and no longer.

        What it has not taken by then is given up like a job that another process has taken over.
        """
        self._patience_s = asyncio.get_running_loop().time() + LEAVE_S
        self._leaving.set()

    def gave_up(self, job_id: str) -> bool:
        """Return whether a job was let go because the store failed, and not because another process has it."""
        return job_id in self._given_up

    def store_failed(self, error: StoreError, **fields: object) -> None:
        """Say that the store fails, unless that was said within `TELL_EVERY_S`; the metrics count each failure."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._told_s >= TELL_EVERY_S:
            self._told_s = now_s
            self._note("store.failed", error=str(error), **fields)

    async def close(self) -> None:
        """Wait until everything recorded is committed, or given up."""
        while self._commits:
            await asyncio.wait(self._commits)

    async def _commit(self, topic: Topic, event: Event) -> bool:
        """Commit an event and tell it. Returns False where the job belongs to another process now."""
        life, tries = topic.life, 0
        stored = await self._stored(event, tries)
        while stored is None and topic.life == life and await self._another(tries):
            tries += 1
            stored = await self._stored(event, tries)
        topic.uncommitted -= 1
        if stored:
            self._publish(topic, event)
        elif topic.life == life:
            if stored is None:
                self._given_up.add(event.job.id)
            topic.owned = False
            topic.head = topic.job
        self._forget(topic)
        return bool(stored)

    async def _another(self, tries: int) -> bool:
        """Wait before the next try. Returns False where there is none."""
        if self._leaving.is_set():
            await asyncio.sleep(_LEAVING_PAUSE_S)
        else:
            with suppress(TimeoutError):
                pause_s = backoff_s(tries, jitter=random.random())  # noqa: S311 - not a secret
                async with asyncio.timeout(pause_s):
                    await self._leaving.wait()
        return asyncio.get_running_loop().time() < self._patience_s

    async def _stored(self, event: Event, tries: int) -> bool | None:
        """Return whether the store took the event; None: it could not be asked, ask again."""
        endpoints = self._endpoints(event.job) if event.job.final else ()
        try:
            await self._store.record(event, endpoints=endpoints)
        except StoreError as error:
            self.store_failed(error, job_id=event.job.id, tries=tries + 1)
            self._instruments.store_error("record", "unavailable")
            return None
        except LeaseLostError:
            return False
        return True

    def _publish(self, topic: Topic, event: Event) -> None:
        topic.tell(event)
        self._observe(event)

    def _observe(self, event: Event) -> None:
        for observer in self._observers:
            try:
                observer(event)
            except Exception as error:  # noqa: BLE001 - an observer cannot fail a job that is paid for
                self._note("observer.failed", job_id=event.job.id, error=str(error))

    def _forget(self, topic: Topic) -> None:
        if topic.followers or topic.owned or topic.uncommitted:
            return
        if self._topics.get(topic.job.id) is topic:
            del self._topics[topic.job.id]


class Following:
    """The context of `Journal.follow`. A generator would say it in fewer lines, and in half a KiB per viewer."""

    __slots__ = ("_follower", "_job_id", "_journal", "_topic")

    def __init__(self, journal: Journal, job_id: str, follower: Follower) -> None:
        self._journal = journal
        self._job_id = job_id
        self._follower = follower
        self._topic: Topic | None = None

    async def __aenter__(self) -> Topic:
        self._topic = await self._journal.join(self._job_id, self._follower)
        return self._topic

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._topic is not None:
            self._journal.leave(self._topic, self._follower)
