"""The accounts that one transaction touches: read once, moved by its writes, and written back at its end."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from taxiway import budgets
from taxiway.budgets import Standing
from taxiway.errors import TaxiwayError
from taxiway.jobs import Job
from taxiway.keys import Account
from taxiway.store.writes import Change, Creation, Held, Write

#: Reads where a key stands at a date, as the transaction sees it; None: there is no such key.
Load = Callable[[str, float], Standing | None]


class Accounts:
    """A transaction's view of the keys whose jobs it stores. A transaction that fails is forgotten with it."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._known: dict[str, Standing | None] = {}
        self._moved: set[str] = set()
        self._admitted: set[Held] = set()

    def admit(self, write: Creation) -> TaxiwayError | None:
        """Return why a job's key cannot have it; else hold what it may cost, and note the budget period."""
        held = write.held
        standing = self._find(held.scope, write.at)
        if standing is None or held.booked is not None:  # booked: it is a repeat
            return None
        try:
            standing = budgets.admit(standing, write.job, at=write.at)
        except TaxiwayError as refusal:
            return refusal
        held.period = standing.account.period
        self._known[held.scope] = standing
        self._move(held, write.job, before=None)
        self._admitted.add(held)
        return None

    def dismiss(self, write: Creation) -> None:
        """Take in that a job could not be made, whether or not it was admitted."""
        if write.held in self._admitted:
            self.take_back(write)

    def move(self, held: Held, job: Job, *, before: Job | None, at: float) -> None:
        """Take in that a job has gone a step on."""
        if budgets.moves(job, before=before) and self._find(held.scope, at) is not None:
            self._move(held, job, before=before)

    def take_back(self, write: Creation) -> None:
        """Take in that a job that was admitted is none after all."""
        held = write.held
        standing = self._find(held.scope, write.at)
        if standing is not None:
            account = budgets.withdrawn(standing.account, write.job, period=held.period)
            self._put(standing, account)

    @property
    def moved(self) -> Sequence[Account]:
        """The accounts that have to be written back, by the ids of their keys."""
        found = (self._known[scope] for scope in sorted(self._moved))
        return [standing.account for standing in found if standing is not None]

    def standing(self, scope: str) -> Standing | None:
        """Return where a key stands by now, as far as the transaction has had to know."""
        return self._known.get(scope)

    def _find(self, scope: str, at: float) -> Standing | None:
        if not scope:
            return None
        if scope not in self._known:
            self._known[scope] = self._load(scope, at)
        return self._known[scope]

    def _move(self, held: Held, job: Job, *, before: Job | None) -> None:
        standing = self._known[held.scope]
        if standing is not None:
            account = budgets.moved(standing.account, job, before=before, period=held.period)
            self._put(standing, account)

    def _put(self, standing: Standing, account: Account) -> None:
        self._known[account.key.id] = replace(standing, account=account)
        self._moved.add(account.key.id)


def scopes_of(group: Iterable[Write]) -> list[str]:
    """Return the keys whose accounts a group of writes may move, in the order in which everybody locks them."""
    scopes: set[str] = set()
    for write in group:
        match write:
            case Creation():
                scopes.add(write.held.scope)
            case Change(held=Held() as held, job=job):
                if held.booked is None or budgets.moves(job, before=held.booked):
                    scopes.add(held.scope)
    return sorted(scopes - {""})
