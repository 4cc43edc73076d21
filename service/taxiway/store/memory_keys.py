"""Keys and their accounts in a dict."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from secrets import token_bytes

from taxiway import budgets
from taxiway.budgets import MINUTE_S, Recent, Standing
from taxiway.jobs import Job
from taxiway.key_store import KeyQuery, alias_taken, secret_taken
from taxiway.keys import Account
from taxiway.signals import KeyChanged
from taxiway.store.shelf import Row, Shelf


class MemoryKeys:
    """The part of `MemoryStore` that keeps keys; see `KeyStore` for what each call promises."""

    owner: str
    _shelf: Shelf
    _shared: bool

    async def seed(self, name: str) -> bytes:
        """Return the random bytes of a name, drawn at the first call."""
        with self._call("seed"):
            return self._shelf.seeds.setdefault(name, token_bytes(32))

    async def add_key(self, account: Account, *, digest: bytes) -> None:
        """Keep a new key. Raises `BadRequestError` where its alias or its secret is taken."""
        with self._call("add_key"):
            self._check_alias(account)
            if digest in self._shelf.digests:
                raise secret_taken()
            self._shelf.digests[digest] = account.key.id
            self._shelf.accounts[account.key.id] = account
            self._shelf.signal(KeyChanged(key_id=account.key.id), sender=self.owner)

    async def key_of(self, digest: bytes) -> Account | None:
        """Return the account of a secret, or None."""
        with self._call("key_of"):
            return self._shelf.accounts.get(self._shelf.digests.get(digest, ""))

    async def get_key(self, key_id: str) -> Account | None:
        """Return a key's account, or None."""
        with self._call("get_key"):
            return self._shelf.accounts.get(key_id)

    async def change_key(
        self, key_id: str, change: Callable[[Account], Account], *, digest: bytes | None = None
    ) -> Account | None:
        """Put what `change` makes of an account into its place, and tell the others."""
        with self._call("change_key"):
            before = self._shelf.accounts.get(key_id)
            if before is None:
                return None
            account = change(before)
            self._check_alias(account)
            self._shelf.accounts[key_id] = account
            if digest is not None:
                digests = self._shelf.digests
                self._shelf.digests = {d: k for d, k in digests.items() if k != key_id}
                self._shelf.digests[digest] = key_id
            self._shelf.signal(KeyChanged(key_id=key_id), sender=self.owner)
            return account

    async def list_keys(self, query: KeyQuery, *, now: float) -> tuple[Sequence[Account], int]:
        """Return a page of the list, and how many keys there are on all pages."""
        with self._call("list_keys"):
            found = [each for each in self._shelf.accounts.values() if _matches(each, query, now)]
            found.sort(key=lambda account: account.key.id, reverse=True)
            found.sort(key=lambda account: _order(account, query), reverse=query.descending)
            # An absent alias comes last in either direction.
            found.sort(key=lambda a: query.sort_by == "key_alias" and a.key.alias is None)
            return found[query.offset : query.offset + query.limit], len(found)

    @property
    def shared(self) -> bool:
        """Whether several processes let jobs of one key go."""
        return self._shared

    async def take_seat(self, job_id: str, *, scope: str, limit: int) -> bool:
        """Count a job of a key among those under way, if there is room for it."""
        with self._call("take_seat"):
            rows = self._shelf.rows
            taken = sum(
                row.seated and row.scope == scope and not row.job.final for row in rows.values()
            )
            if not rows[job_id].seated and taken < limit:
                rows[job_id].seated = True
            return rows[job_id].seated

    def standing(self, key_id: str) -> Standing | None:
        """Return where a key stands."""
        account = self._shelf.accounts.get(key_id)
        return None if account is None else Standing(account=account, recent=self._recent(account))

    def _admit(self, job: Job, *, scope: str, at: float) -> int:
        """Hold what a new job may cost, and return the budget period it counts in. Raises as `budgets.admit`."""
        account = self._shelf.accounts.get(scope)
        if account is None:
            return 0
        standing = Standing(account=account, recent=self._recent(account, at=at))
        account = budgets.admit(standing, job, at=at).account
        self._shelf.accounts[scope] = budgets.moved(
            account, job, before=None, period=account.period
        )
        return account.period

    def _move(self, row: Row, job: Job) -> None:
        """Take in that a job goes from what is in its row to this."""
        account = self._shelf.accounts.get(row.scope)
        if account is not None:
            self._shelf.accounts[row.scope] = budgets.moved(
                account, job, before=row.job, period=row.period
            )

    def _recent(self, account: Account, *, at: float | None = None) -> Recent:
        recent = Recent()
        if account.key.rpm_limit is None:
            return recent
        for row in self._shelf.newest_first():
            if at is not None and row.job.created_at <= at - MINUTE_S:
                break
            if row.scope == account.key.id:
                at = row.job.created_at if at is None else at
                recent = Recent(jobs=recent.jobs + 1, since=row.job.created_at)
        return recent

    def _check_alias(self, account: Account) -> None:
        alias = account.key.alias
        if alias is None or account.key.deleted_at is not None:
            return
        for other in self._shelf.accounts.values():
            same = other.key.alias == alias and other.key.deleted_at is None
            if same and other.key.id != account.key.id:
                raise alias_taken(alias)

    @abstractmethod
    def _call(self, operation: str) -> AbstractContextManager[None]:
        """Time a call, and raise `StoreError` where the store is closed."""


def _matches(account: Account, query: KeyQuery, now: float) -> bool:
    key = account.key
    there = key.deleted_at is None
    part = None if query.search is None else query.search.lower()
    return (
        (there if query.status is None else key.status(now) is query.status)
        and query.id in (None, key.id)
        and query.alias in (None, key.alias)
        and query.user_id in (None, key.user_id)
        and query.team_id in (None, key.team_id)
        and (part is None or any(part in text.lower() for text in (key.alias or "", key.name)))
    )


def _order(account: Account, query: KeyQuery) -> tuple[str, float]:
    match query.sort_by:
        case "key_alias":
            return account.key.alias or "", 0.0
        case "spend":
            return "", account.total_microusd
        case _:
            return "", account.key.created_at
