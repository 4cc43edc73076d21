"""Keys and their accounts over SQL: what every database has in common."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from hmac import compare_digest
from secrets import token_bytes

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from taxiway.budgets import Standing
from taxiway.key_store import KeyQuery, alias_taken, secret_taken
from taxiway.keys import Account
from taxiway.signals import KeyChanged
from taxiway.store import key_rows, seats
from taxiway.store.database import Database
from taxiway.store.tables import keys, seeds
from taxiway.store.timing import Observe, timed

#: What aliases are compared under: two replicas must not give out the same one.
_WHO_WRITES_KEYS = "keys"

#: Keys whose standing is remembered for the headers of answers.
_SEEN_MAX = 10_000


class SqlKeys:
    """The part of `SqlStore` that keeps keys; see `KeyStore` for what each call promises."""

    _database: Database
    _observe: Observe | None

    def __init__(self) -> None:
        self._standings: dict[str, Standing] = {}

    async def seed(self, name: str) -> bytes:
        """Return the random bytes of a name, drawn at the first call."""
        with timed(self._observe, "seed"):
            self._check_open()

            def read_or_draw(connection: Connection) -> bytes:
                self._database.serialise(connection, f"seed {name}")
                found = connection.execute(select(seeds.c.value).where(seeds.c.name == name))
                value = found.scalar()
                if value is None:
                    value = token_bytes(32)
                    connection.execute(insert(seeds).values(name=name, value=value))
                return bytes(value)

            return await self._database.transact(read_or_draw)

    async def add_key(self, account: Account, *, digest: bytes) -> None:
        """Keep a new key. Raises `BadRequestError` where its alias or its secret is taken."""
        with timed(self._observe, "add_key"):
            self._check_open()
            values = {**key_rows.values_of(account), "digest": digest}

            def add(connection: Connection) -> None:
                self._database.serialise(connection, _WHO_WRITES_KEYS)
                _check_alias(connection, account)
                if connection.execute(key_rows.by_digest(digest)).first():
                    raise secret_taken()
                connection.execute(insert(keys).values(values))
                self._database.announce(connection, KeyChanged(key_id=account.key.id))

            await self._database.transact(add)

    async def key_of(self, digest: bytes) -> Account | None:
        """Return the account of a secret, or None."""
        async with self._reading("key_of") as connection:
            row = (await connection.execute(key_rows.by_digest(digest))).first()
        if row is None or not compare_digest(row.digest, digest):
            return None
        return key_rows.account_of(row[:-1])

    async def get_key(self, key_id: str) -> Account | None:
        """Return a key's account, or None."""
        async with self._reading("get_key") as connection:
            row = (await connection.execute(key_rows.by_id(key_id))).first()
        return None if row is None else key_rows.account_of(row)

    async def change_key(
        self, key_id: str, change: Callable[[Account], Account], *, digest: bytes | None = None
    ) -> Account | None:
        """Put what `change` makes of an account into its place, and tell the others."""
        with timed(self._observe, "change_key"):
            self._check_open()

            def work(connection: Connection) -> Account | None:
                self._database.serialise(connection, _WHO_WRITES_KEYS)
                row = connection.execute(key_rows.by_id(key_id).with_for_update()).first()
                if row is None:
                    return None
                account = change(key_rows.account_of(row))
                _check_alias(connection, account)
                values = key_rows.values_of(account)
                if digest is not None:
                    values["digest"] = digest
                connection.execute(update(keys).where(keys.c.id == key_id).values(values))
                self._database.announce(connection, KeyChanged(key_id=key_id))
                return account

            return await self._database.transact(work)

    async def list_keys(self, query: KeyQuery, *, now: float) -> tuple[Sequence[Account], int]:
        """Return a page of the list, and how many keys there are on all pages."""
        async with self._reading("list_keys") as connection:
            rows = (await connection.execute(key_rows.page(query, now=now))).all()
            total = (await connection.execute(key_rows.count(query, now=now))).scalar_one()
        return [key_rows.account_of(row) for row in rows], total

    @property
    def shared(self) -> bool:
        """Whether several processes let jobs of one key go."""
        return self._database.shared

    async def take_seat(self, job_id: str, *, scope: str, limit: int) -> bool:
        """Count a job of a key among those under way, if there is room for it."""
        with timed(self._observe, "take_seat"):
            self._check_open()
            return await self._database.transact(
                lambda connection: seats.take(connection, job_id, scope=scope, limit=limit)
            )

    def standing(self, key_id: str) -> Standing | None:
        """Return where a key stood after the last step of its jobs in this process."""
        return self._standings.get(key_id)

    def _see(self, standing: Standing) -> None:
        key_id = standing.account.key.id
        self._standings.pop(key_id, None)
        self._standings[key_id] = standing
        if len(self._standings) > _SEEN_MAX:
            del self._standings[next(iter(self._standings))]

    @abstractmethod
    def _reading(self, operation: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a connection that reads."""

    @abstractmethod
    def _check_open(self) -> None:
        """Raise `StoreError` where the store is closed."""


def _check_alias(connection: Connection, account: Account) -> None:
    key = account.key
    if key.alias is None or key.deleted_at is not None:
        return
    wanted = select(keys.c.id).where(keys.c.alias == key.alias, keys.c.id != key.id)
    if connection.execute(wanted).first():
        raise alias_taken(key.alias)
