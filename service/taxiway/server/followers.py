"""Those who wait on a connection, and the one sweep that looks after all of them.

A handler that waits for a job learns nothing of its own connection: aiohttp tells no idle handler that its
client has left, and holds a blocked write for ever. A timer per stream, per wait and per write would answer
all that at twice the cost of the stream itself. So once a second one task looks at everybody, and wakes
whoever has to act: to send a heartbeat, to end, or to find that the connection is gone.
"""

import asyncio
import math
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType

from aiohttp import web

from taxiway.cadence import every
from taxiway.settings import Settings
from taxiway.topics import Follower, Topic

#: How often the sweep looks: the most by which a heartbeat, a cut or a departure is noticed late.
SWEEP_PERIOD_S = 1.0

#: So many at a stroke: ten thousand would hold the loop for as long as ten of its slowest callbacks.
SWEEP_BATCH = 256

#: How long a viewer may take to receive what was already written when the service drains.
DRAIN_GRACE_S = 1.0


#: Takes the news of a topic on the spot, and returns whether it did.
Take = Callable[[], bool]


class CloseReason(StrEnum):
    """Why a stream ended: the words that metrics and logs share."""

    COMPLETED = "completed"
    """The job's last event was sent."""
    CLIENT_GONE = "client_gone"
    DRAINING = "draining"
    MAX_AGE = "max_age"
    """The stream, or the wait, has lasted as long as it may."""
    SLOW_CONSUMER = "slow_consumer"
    """The client took no byte for too long."""
    ERROR = "error"


class Caller(Follower):
    """A client whose request waits for a job. Owned by its handler, told by the sweep when to leave.

    A patient caller waits for an image, and may keep a stopping process for the shutdown budget; the others
    only watch, and lose nothing by coming back elsewhere.
    """

    __slots__ = ("_transport", "leaving", "patient")

    def __init__(self, transport: asyncio.Transport | None, *, patient: bool = True) -> None:
        super().__init__()
        # Held from the start: aiohttp's own reference becomes None the moment the client leaves.
        self._transport = transport
        self.patient = patient
        self.leaving: CloseReason | None = None
        """Why the handler should end; None while it should not."""

    @property
    def gone(self) -> bool:
        """Whether the client has left, or half-closed its connection, which aiohttp takes for the same."""
        return self._transport is None or self._transport.is_closing()

    def leave(self, reason: CloseReason) -> None:
        """Ask the handler to end. The first reason stands."""
        if self.leaving is None:
            self.leaving = reason
        self.wake()

    def cut(self, reason: CloseReason) -> None:
        """End the connection at once, which also ends a write that waits on it."""
        self.leave(reason)
        if self._transport is not None:
            self._transport.abort()

    def check(self, now_s: float) -> None:
        """Look at the connection. Called by the sweep, with the loop's time."""
        if self.gone:
            self.leave(CloseReason.CLIENT_GONE)


class Stream(Caller):
    """A response that is written piece by piece: watched for silence, for age, and for a reader who stalls.

    Its handler is its only writer, of heartbeats too; but while it waits, and all that was written has gone, a
    frame may be pushed past it. So none can land inside another.
    """

    __slots__ = (
        "_began_s",
        "_ends_at_s",
        "_heartbeat_s",
        "_moved",
        "_moved_at_s",
        "_now_s",
        "_quiet_since_s",
        "_stall_s",
        "_written",
        "beat_due",
        "chunked",
        "events",
        "response",
        "take",
    )

    def __init__(
        self,
        response: web.StreamResponse,
        *,
        transport: asyncio.Transport | None,
        stall_s: float,
        heartbeat_s: float = math.inf,
        age_s: float = math.inf,
        patient: bool = True,
    ) -> None:
        super().__init__(transport, patient=patient)
        self.response = response
        self.beat_due = False
        """Whether it is time for a heartbeat."""
        self.events = 0
        """Events written, heartbeats apart."""
        self._now_s = asyncio.get_running_loop().time
        now_s = self._now_s()
        self._began_s = now_s
        self._stall_s = stall_s
        self._heartbeat_s = heartbeat_s
        self._ends_at_s = now_s + age_s
        self._quiet_since_s = self._moved_at_s = now_s
        self._written = self._moved = 0
        self.chunked = False
        """Whether it has begun, in chunks: then a frame can be pushed."""
        self.take: Take | None = None
        """Set by the handler of a `chunked` stream, once its first frame is written; it calls `push`."""

    @property
    def age_s(self) -> float:
        """Seconds since it began."""
        return self._now_s() - self._began_s

    async def write(self, data: bytes) -> None:
        """Write bytes, waiting for the client where its connection is full. Raises `ConnectionError`."""
        self._written += len(data)
        self._quiet_since_s = self._now_s()
        self.beat_due = False
        await self.response.write(data)

    def told(self, topic: Topic) -> bool:
        """Take the news on the spot where that can be; else the handler is woken."""
        if self.take is not None and self._idle and self.take():
            return True
        self.wake()
        return False

    def push(self, frame: bytes) -> None:
        """Write a frame past the handler, from `take`: waking it is much of what an event for a viewer costs.

        The response's own `write` would add the same to it, the marks of a chunk.
        """
        self._written += len(frame)
        self._quiet_since_s = self._now_s()
        self.beat_due = False
        if self._transport is not None:
            self._transport.write(b"%x\r\n%b\r\n" % (len(frame), frame))

    @property
    def _idle(self) -> bool:
        """Whether the handler waits for news, and the connection takes bytes at once."""
        transport = self._transport
        return (
            self.waiting
            and transport is not None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        )

    def check(self, now_s: float) -> None:
        """Look at the connection, at the bytes that moved, and at the clock."""
        if self.gone:
            self.cut(CloseReason.CLIENT_GONE)
        elif self._stalled(now_s):
            self.cut(CloseReason.SLOW_CONSUMER)
        elif now_s >= self._ends_at_s:
            self.leave(CloseReason.MAX_AGE)
        elif now_s - self._quiet_since_s >= self._heartbeat_s:
            self.beat_due = True
            self.wake()

    def _stalled(self, now_s: float) -> bool:
        """Whether bytes wait and none has moved for too long. A slow reader moves some; a dead one none."""
        waiting = self._transport.get_write_buffer_size() if self._transport else 0
        moved = self._written - waiting
        if not waiting or moved > self._moved:
            self._moved = moved
            self._moved_at_s = now_s
            return False
        return now_s - self._moved_at_s >= self._stall_s


class Sweep:
    """Looks at every caller once a second, and lets them all go when the service drains."""

    def __init__(self, settings: Settings) -> None:
        self._budget_s = settings.shutdown_budget_s
        self._viewers_max = settings.sse_max_streams
        self._callers: set[Caller] = set()
        self._viewers = 0
        self._draining = False
        self._budget_spent = False
        self._timers: list[asyncio.TimerHandle] = []

    async def run(self) -> None:
        """Look, until cancelled."""
        async for _ in every(SWEEP_PERIOD_S):
            await self._look()

    def close(self) -> None:
        """Leave everybody alone who is still there."""
        for timer in self._timers:
            timer.cancel()

    @property
    def draining(self) -> bool:
        """Whether the service is letting everybody go."""
        return self._draining

    @property
    def viewers(self) -> int:
        """How many streams of job events are open."""
        return self._viewers

    @property
    def full(self) -> bool:
        """Whether no further viewer may stay."""
        return self._viewers >= self._viewers_max

    def watching(self, caller: Caller) -> "Watching":
        """Look after a caller while the context lasts."""
        return Watching(self, caller)

    def add(self, caller: Caller) -> None:
        """Look after a caller from now on."""
        if self._draining and (self._budget_spent or not caller.patient):
            caller.leave(CloseReason.DRAINING)
        self._callers.add(caller)
        self._viewers += not caller.patient

    def discard(self, caller: Caller) -> None:
        """Leave a caller alone from now on."""
        self._viewers -= not caller.patient
        self._callers.discard(caller)

    def drain(self) -> None:
        """Let viewers go at once, and those who wait for an image when the shutdown budget is spent.

        Whoever cannot take their last bytes within `DRAIN_GRACE_S` after that is cut.
        """
        if self._draining:
            return
        self._draining = True
        loop = asyncio.get_running_loop()
        self._dismiss(patient=False)
        self._timers = [
            loop.call_later(DRAIN_GRACE_S, self._cut_off, False),
            loop.call_later(self._budget_s, self._spend_budget),
            loop.call_later(self._budget_s + DRAIN_GRACE_S, self._cut_off, True),
        ]

    def _spend_budget(self) -> None:
        self._budget_spent = True
        self._dismiss(patient=True)

    def _dismiss(self, *, patient: bool) -> None:
        for caller in self._callers:
            if caller.patient is patient:
                caller.leave(CloseReason.DRAINING)

    def _cut_off(self, patient: bool) -> None:
        for caller in self._callers:
            if caller.patient is patient and isinstance(caller, Stream):
                caller.cut(CloseReason.DRAINING)

    async def _look(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for number, caller in enumerate(tuple(self._callers), start=1):
            # One whose handler has ended since must be left alone: its connection serves another request.
            if caller in self._callers:
                caller.check(now_s)
            if number % SWEEP_BATCH == 0:
                await asyncio.sleep(0)


class Watching:
    """The context of `Sweep.watching`. A generator would say it in fewer lines, and in 700 bytes per stream."""

    __slots__ = ("_caller", "_sweep")

    def __init__(self, sweep: Sweep, caller: Caller) -> None:
        self._sweep = sweep
        self._caller = caller

    def __enter__(self) -> None:
        self._sweep.add(self._caller)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sweep.discard(self._caller)
