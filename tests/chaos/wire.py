"""The wire between one replica and PostgreSQL, which can be cut so that neither end is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK = 65536


class Wire:
    """A port on this machine behind which a PostgreSQL is found."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self.delay_s = 0.0
        """How long everything takes on its way, in each direction."""
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def url(self, database: str) -> str:
        """Return the address of a database at the other end."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def cut(self) -> None:
        """Let nothing through any more: what is said is neither heard nor refused."""
        self._whole.clear()

    def mend(self) -> None:
        """Let everything through, what was said meanwhile too."""
        self._whole.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        await self._whole.wait()
        try:
            there, back = await asyncio.open_unix_connection(self._socket)
        except OSError:
            writer.close()
            return
        for source, target in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pump(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await source.read(_CHUNK):
                await asyncio.sleep(self.delay_s)
                await self._whole.wait()
                target.write(chunk)
                await target.drain()
        target.close()

    def close(self) -> None:
        """Let go of every connection."""
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def wire(socket: str) -> AsyncIterator[Wire]:
    """Lend a wire to the PostgreSQL that listens on a Unix socket."""
    made = Wire(socket)
    server = await asyncio.start_server(made.carry, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.close()
