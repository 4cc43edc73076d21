"""What a database does in its own way. The rest is SQL that all of them speak, in `SqlStore`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from taxiway.events import Event
from taxiway.signals import Signal
from taxiway.store.connections import Connections
from taxiway.store.owning import Claim
from taxiway.store.writes import Held, Outcome, Write

T = TypeVar("T")


class Database(Protocol):
    """A database at work for one store. Raises `StoreError` where it does not do its part."""

    @property
    def backend(self) -> str:
        """What it is called in metrics and on the readiness page."""
        ...

    @property
    def shared(self) -> bool:
        """Whether several processes may use it at once."""
        ...

    @property
    def owner_alive(self) -> ColumnElement[bool]:
        """The condition that a job's owner still works on it."""
        ...

    @property
    def phase(self) -> ColumnElement[str]:
        """The phase that is written in a job's document: NULL, or an error of data, where it is damaged."""
        ...

    async def commit(self, group: Sequence[Write]) -> Sequence[Outcome]:
        """Commit a group in one transaction; see `commits.Commit`."""
        ...

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a connection for statements that change nothing. They wait for no writer."""
        ...

    def connections(self) -> Connections:
        """Return what the connections that `reading` lends do at this moment, without asking anybody."""
        ...

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Do some work in one transaction that may write, and return what it returns."""
        ...

    def serialise(self, connection: Connection, what: str) -> None:
        """Until the transaction ends, let nobody else into a transaction that is about the same `what`."""
        ...

    def announce(self, connection: Connection, signal: Signal) -> None:
        """Let the other replicas hear a signal when the transaction commits."""
        ...

    def lease_alive(self) -> bool:
        """See `JobStore.lease_alive`."""
        ...

    async def renew(self, held: Mapping[str, Held]) -> frozenset[str]:
        """Extend the lease. If it had run out, return which of the held jobs others have taken since."""
        ...

    async def release(self) -> None:
        """End the lease and tell the others."""
        ...

    async def claim(
        self,
        *,
        held: Mapping[str, Held] | None = None,
        released: bool = True,
        expired: bool = True,
    ) -> Claim:
        """Take over a page of the jobs whose owner is gone, and as `owning.take` says, of those not `held`.

        See `JobStore.claim` for what `released` and `expired` are.
        """
        ...

    @property
    def doubtful(self) -> Sequence[str]:
        """The ids of new jobs that may be stored although their callers were told that they are not."""
        ...

    def signals(self, callback: Callable[[Signal], None]) -> None:
        """Call back with what other replicas tell."""
        ...

    def tell(self, event: Event) -> None:
        """Tell the other replicas of a tick, some time soon."""
        ...
