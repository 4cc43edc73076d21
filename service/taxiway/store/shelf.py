"""What a memory store keeps. Several stores over one shelf are replicas, as over one database."""

import asyncio
import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taxiway.deliveries import Delivery
from taxiway.jobs import Job
from taxiway.origins import Caller, Existing
from taxiway.signals import Signal

if TYPE_CHECKING:
    from taxiway.keys import Account
    from taxiway.ledger import Entry


@dataclass(slots=True, kw_only=True)
class Row:
    """A job, whose it is, and who asked for it."""

    job: Job
    owner: str
    scope: str
    fingerprint: str | None
    caller: Caller
    fence: int = 1
    cancel_requested: bool = False
    joined_retry: int = 0
    period: int = 0
    seated: bool = False


class Shelf:
    """Rows, keys, books and leases. Whoever uses it does so between two awaits, which is its transaction."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.keys: dict[tuple[str, str], Existing] = {}
        self.ledger: list[tuple[str, Entry]] = []
        """Entries, each with its scope."""
        self.deliveries: dict[tuple[str, int], Delivery] = {}
        """By their jobs and numbers."""
        self.leases: dict[str, float] = {}
        """Owners, and until when on the loop's clock their leases last."""
        self.listeners: dict[str, Callable[[Signal], None]] = {}
        self.accounts: dict[str, Account] = {}
        self.digests: dict[bytes, str] = {}
        """Digests of secrets, and the ids of their keys."""
        self.seeds: dict[str, bytes] = {}
        self._by_date: list[tuple[float, str]] = []

    def add(self, row: Row) -> None:
        """Keep a new row."""
        self.rows[row.job.id] = row
        insort(self._by_date, (row.job.created_at, row.job.id))

    def post(self, deliveries: Iterable[Delivery]) -> None:
        """Keep new deliveries."""
        for each in deliveries:
            self.deliveries.setdefault((each.job_id, each.number), each)

    def remove(self, rows: Iterable[Row]) -> None:
        """Forget rows, their keys and their deliveries."""
        for row in rows:
            del self.rows[row.job.id]
            del self._by_date[bisect_left(self._by_date, (row.job.created_at, row.job.id))]
        self.keys = {key: made for key, made in self.keys.items() if made.job_id in self.rows}
        for key in [key for key in self.deliveries if key[0] not in self.rows]:
            del self.deliveries[key]

    def oldest_first(self) -> Iterator[Row]:
        """Yield every row by date and id."""
        for _, job_id in self._by_date:
            yield self.rows[job_id]

    def newest_first(self, *, after: Job | None = None) -> Iterator[Row]:
        """Yield the rows from the newest down, or from the one that follows a job."""
        end = len(self._by_date)
        if after is not None:
            end = bisect_left(self._by_date, (after.created_at, after.id))
        for i in range(end - 1, -1, -1):
            yield self.rows[self._by_date[i][1]]

    def alive(self, owner: str) -> bool:
        """Return whether an owner's lease lasts."""
        return self.leases.get(owner, -math.inf) > asyncio.get_running_loop().time()

    def joinable(self, row: Row) -> bool:
        """Return whether a retry may join the job: its caller has gone, or can be taken to have."""
        if row.caller in (Caller.WAITING, Caller.PROMISED):
            return not row.job.final or not self.alive(row.owner)
        return row.caller is Caller.LEFT

    def signal(self, signal: Signal, *, sender: str) -> None:
        """Let every other replica hear a signal, soon."""
        for owner, callback in self.listeners.items():
            if owner != sender:
                asyncio.get_running_loop().call_soon(callback, signal)
