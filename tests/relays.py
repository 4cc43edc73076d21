"""A port that carries connections to another one, and may break them off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK = 65536


class Relay:
    """What lies between a caller and the port it wants to reach."""

    def __init__(self, target: str) -> None:
        self._host, port = target.removeprefix("http://").split(":")
        self._port = int(port)
        self._tasks: set[asyncio.Task[None]] = set()
        self.lose = 0
        """How many answers are lost from now on: the connection breaks where their first byte would come."""
        self.url = ""

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, until either end has had enough."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, back = await asyncio.open_connection(self._host, self._port)
        ways = (self._ask(reader, back), self._answer(there, writer))
        pumps = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for end in (writer, back):
                end.transport.abort()
            self._tasks.discard(task)

    async def _ask(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await source.read(_CHUNK):
                target.write(chunk)
                await target.drain()

    async def _answer(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await source.read(_CHUNK):
                if self.lose:
                    self.lose -= 1
                    return
                target.write(chunk)
                await target.drain()

    async def cut(self) -> None:
        """Break every connection off that is open now."""
        cut = [*self._tasks]
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close behind their tasks


@asynccontextmanager
async def relay(target: str, *, port: int = 0) -> AsyncIterator[Relay]:
    """Lend a relay to the address `http://host:port`, on a port of one's choice or on any."""
    made = Relay(target)
    server = await asyncio.start_server(made.carry, "127.0.0.1", port)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await made.cut()
