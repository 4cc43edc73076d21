"""The lending of a pool's connections. The pool counts those that are out, but not who waits for one."""

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, cast

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from taxiway.store.connections import Connections

if TYPE_CHECKING:
    from sqlalchemy import QueuePool


class Lender:
    """Lends the connections of one engine."""

    __slots__ = ("_engine", "waiting")

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.waiting = 0
        """How many wait for a connection, or for one to be made."""

    def lend(
        self, engine: AsyncEngine | None = None
    ) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a connection; `engine` is the same one with other options, if need be."""
        return _Loan((engine or self._engine).connect(), lender=self)

    def connections(self) -> Connections:
        """Return what they do at this moment. It asks nobody."""
        pool = cast("QueuePool", self._engine.pool)
        return Connections(used=pool.checkedout(), idle=pool.checkedin(), waiting=self.waiting)


class _Loan:
    """One connection, for as long as the block lasts. Not a generator: every read passes here."""

    __slots__ = ("_connection", "_lender")

    def __init__(self, connection: AsyncConnection, *, lender: Lender) -> None:
        self._connection = connection
        self._lender = lender

    async def __aenter__(self) -> AsyncConnection:
        self._lender.waiting += 1
        try:
            return await self._connection.__aenter__()
        finally:
            self._lender.waiting -= 1

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._connection.__aexit__(kind, error, traceback)
