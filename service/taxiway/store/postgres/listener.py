"""One connection to PostgreSQL that hears what other replicas tell, and tells them of progress."""

import asyncio
import random
from collections.abc import Callable
from contextvars import Context

from taxiway.cadence import backoff_s
from taxiway.errors import ConfigError, StoreError
from taxiway.protocols import Note
from taxiway.signals import Placed, Resync, Signal, Ticked
from taxiway.store.faults import words
from taxiway.store.postgres.group import NOTIFY
from taxiway.store.postgres.link import FAULTS, Driver, Server, goodbye
from taxiway.store.postgres.signals import CHANNEL, packed, unpacked

#: The least time between two batches of ticks.
TICKS_S = 0.25

#: After so much silence the connection is tried: it may be dead without anybody having said so.
_HEARTBEAT_S = 10.0

#: The longest pause between two attempts to connect.
_BACKOFF_MAX_S = 5.0


class Listener:
    """Hears and tells, on a task of its own from its first use to `close`, whatever becomes of the connection."""

    def __init__(self, server: Server, *, owner: str, note: Note) -> None:
        self._server = server
        self._owner = owner
        self._note = note
        self._ticks: dict[tuple[str, int | None], Ticked | Placed] = {}
        self._wake = asyncio.Event()
        self._callback: Callable[[Signal], None] | None = None
        self._listening = False
        self._task: asyncio.Task[None] | None = None

    def listen(self, callback: Callable[[Signal], None]) -> None:
        """Call back on the loop with what is heard. The callback must not raise."""
        self._callback = callback
        if self._listening:
            asyncio.get_running_loop().call_soon(callback, Resync())
        self._start()

    def tell(self, tick: Ticked | Placed) -> None:
        """Tell the others with the next batch. A later tick of an attempt takes the place of an earlier one."""
        attempt = tick.attempt if isinstance(tick, Ticked) else None
        self._ticks[tick.job_id, attempt] = tick
        self._wake.set()
        self._start()

    async def close(self) -> None:
        """Stop, and let go of the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _start(self) -> None:
        if self._task is None:
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._run(), name="store:listener", context=Context())

    async def _run(self) -> None:
        tries = 0
        while True:
            try:
                connection = await self._server.connect()
                tries = 0 if await self._use(connection) else tries
            except (StoreError, ConfigError) as error:
                self._note("store.deaf", error=str(error), tries=tries + 1)
            pause_s = backoff_s(tries, jitter=random.random(), most_s=_BACKOFF_MAX_S)  # noqa: S311 - no secret
            await asyncio.sleep(pause_s)
            tries += 1

    async def _use(self, connection: Driver) -> bool:
        """Hear and tell until the connection breaks. Returns whether it ever listened; a break is noted."""
        listened = False
        try:
            connection.add_termination_listener(lambda _: self._wake.set())
            await connection.add_listener(CHANNEL, self._hear)
            self._listening = listened = True
            self._tell_us(Resync())
            while not connection.is_closed():
                await self._tell_others(connection)
            self._note("store.deaf", error="the connection was closed", tries=0)
        except FAULTS as error:
            self._note("store.deaf", error=words(error), tries=0)
        finally:
            self._listening = False
            # What was to be told meanwhile is old news by the time there is a connection again.
            self._ticks.clear()
            await goodbye(connection)
        return listened

    async def _tell_others(self, connection: Driver) -> None:
        if self._ticks:
            payloads = packed(self._ticks.values(), sender=self._owner)
            self._ticks.clear()
            await connection.execute(NOTIFY, CHANNEL, payloads)
            await asyncio.sleep(TICKS_S)
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(_HEARTBEAT_S):
                await self._wake.wait()
        except TimeoutError:
            await connection.execute("SELECT 1")

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        for signal in unpacked(payload, listener=self._owner):
            self._tell_us(signal)

    def _tell_us(self, signal: Signal) -> None:
        if self._callback is not None:
            self._callback(signal)
