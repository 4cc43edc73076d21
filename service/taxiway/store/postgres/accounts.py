"""The accounts of keys in PostgreSQL: locked at the beginning of a transaction, in one order for everybody."""

from collections.abc import Sequence

from sqlalchemy import ARRAY, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import ClauseElement

from taxiway.budgets import MINUTE_S, Recent, Standing
from taxiway.keys import Account
from taxiway.store import key_rows
from taxiway.store.postgres.arrays import columns_of, rows_of
from taxiway.store.postgres.link import Driver
from taxiway.store.tables import jobs, keys

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


def _sql(statement: ClauseElement) -> str:
    return str(statement.compile(dialect=_DIALECT))


#: Nobody else may let a job of these keys in until the transaction ends.
_LOCK = _sql(
    select(*(keys.c[name] for name in key_rows.ACCOUNT))
    .where(keys.c.id == func.any(bindparam("ids", type_=ARRAY(Text))))
    .order_by(keys.c.id)
    .with_for_update()
)

#: Add up the jobs of a key since a date. A statement of its own: only what begins under the lock sees everything.
_RECENT = _sql(
    select(func.count(), func.min(jobs.c.created_at)).where(
        jobs.c.scope == bindparam("scope", type_=Text),
        jobs.c.created_at > bindparam("since", type_=jobs.c.created_at.type),
    )
)

_BALANCES = rows_of(keys.c.id, *(keys.c[name] for name in key_rows.BALANCE))

_WRITE_BACK = _sql(
    update(keys)
    .where(keys.c.id == _BALANCES.c.id)
    .values({name: _BALANCES.c[name] for name in key_rows.BALANCE})
)


class Standings:
    """Where keys stand within one transaction; a `store.accounts.Load`."""

    def __init__(self, connection: Driver) -> None:
        self._connection = connection
        self._found: dict[str, Standing] = {}

    async def lock(self, scopes: list[str], *, at: float) -> None:
        """Read where these keys stand at a date, and keep everybody else from moving them."""
        rows = await self._connection.fetch(_LOCK, scopes) if scopes else []
        for row in rows:
            account = key_rows.account_of(row)
            recent = Recent()
            if account.key.rpm_limit is not None:
                (made,) = await self._connection.fetch(_RECENT, account.key.id, at - MINUTE_S)
                recent = Recent(jobs=made[0], since=made[1])
            self._found[account.key.id] = Standing(account=account, recent=recent)

    def __call__(self, scope: str, _at: float) -> Standing | None:
        """Return where a key stood when it was locked; None: there is no such key."""
        return self._found.get(scope)


async def write_back(connection: Driver, accounts: Sequence[Account]) -> None:
    """Write what jobs have changed."""
    rows = [(account.key.id, *key_rows.balance_of(account)) for account in accounts]
    await connection.execute(_WRITE_BACK, *columns_of(rows))
