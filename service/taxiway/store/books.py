"""What follows from a transaction: which jobs it moves on, the ledger's rows, and the deliveries."""

from typing import TYPE_CHECKING

from taxiway.ledger import Entry, entries
from taxiway.store.accounts import Accounts
from taxiway.store.outbox import posted
from taxiway.store.writes import Change, Creation, Held

if TYPE_CHECKING:
    from taxiway.jobs import Job

#: The ledger's columns, in the order of `Books.rows`.
COLUMNS = (
    "job_id",
    "attempt",
    "at",
    "day",
    "kind",
    "reserved_credits",
    "charged_credits",
    "reserved_microusd",
    "charged_microusd",
    "source",
    "exact",
    "model",
    "upstream_model",
    "deployment",
    "upstream_id",
    "key_id",
)


class Books:
    """What one transaction books. A transaction that fails is forgotten with it; `settle` follows the commit.

    A job is booked from where the ledger stands, not from where the event says it came from: a write that failed
    and that a later one overtook is so booked with the later one.
    """

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        """What the same steps do to the accounts of their keys."""
        self.rows: list[tuple[object, ...]] = []
        self.posted: list[tuple[object, ...]] = []
        """Deliveries, in the order of `outbox.POSTED`."""
        self._moved: dict[Held, Job] = {}

    def move(self, write: Creation | Change) -> None:
        """Take in that the write has changed its row."""
        held, job = write.held, write.job
        if held is None:  # without a fence no row is changed
            return
        before = self._moved.get(held, held.booked)
        self._moved[held] = job
        if isinstance(write, Change):  # a creation was admitted, and its price held with that
            self.accounts.move(held, job, before=before, at=write.at)
        if isinstance(write, Change) and write.endpoints:
            self.posted += posted(write)
        for entry in entries(job, before=before, at=write.at):
            self.rows.append(_row(entry, held.scope))

    def settle(self) -> None:
        """Take in that the transaction is committed: from here on, these jobs are booked."""
        for held, job in self._moved.items():
            held.booked = job
            held.standing = self.accounts.standing(held.scope)


def _row(entry: Entry, scope: str) -> tuple[object, ...]:
    return (
        entry.job_id,
        entry.attempt,
        entry.at,
        entry.day,
        entry.kind.value,
        entry.reserved_credits,
        entry.charged_credits,
        entry.reserved_microusd,
        entry.charged_microusd,
        None if entry.source is None else entry.source.value,
        entry.exact,
        entry.model,
        entry.upstream_model,
        entry.deployment,
        storable(entry.upstream_id),
        scope,
    )


def storable(text: str | None) -> str | None:
    """Return foreign text as every database takes it. A paid task is worth more than a character in its id."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
