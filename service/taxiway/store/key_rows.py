"""Keys in the database: their columns, and the statements that read and write them."""

from typing import Any

import orjson
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from taxiway.key_store import KeyQuery
from taxiway.keys import Account, Key, KeyStatus
from taxiway.store.tables import jobs, keys

#: The columns of an account, in the order of `account_of`.
ACCOUNT = (
    "document",
    "period",
    "resets_at",
    "spent_microusd",
    "reserved_microusd",
    "total_microusd",
    "last_active_at",
)

#: The columns that a job changes.
BALANCE = ACCOUNT[1:]

_READ = select(*(keys.c[name] for name in ACCOUNT))

#: The fields of a key that JSON has no word for.
_TUPLES = ("models", "tags")


#: Add up the jobs of a key since a date.
RECENT = select(func.count(), func.min(jobs.c.created_at)).where(
    jobs.c.scope == bindparam("scope"), jobs.c.created_at > bindparam("since")
)

#: Write back what jobs have changed.
REBALANCE = (
    update(keys)
    .where(keys.c.id == bindparam("key"))
    .values({name: bindparam(name) for name in BALANCE})
)


def account_of(row: Row[Any] | Any) -> Account:
    """Return the account in a row of `ACCOUNT`."""
    document, *balance = row
    return Account(key=load(document), **dict(zip(BALANCE, balance, strict=True)))


def balance_of(account: Account) -> tuple[object, ...]:
    """Return what a job changes of an account, in the order of `BALANCE`."""
    return tuple(getattr(account, name) for name in BALANCE)


def values_of(account: Account) -> dict[str, object]:
    """Return the row of an account, without the digest of its secret."""
    key = account.key
    return {
        "id": key.id,
        "name": key.name,
        # A deleted key's label is free for another one.
        "alias": key.alias if key.deleted_at is None else None,
        "user_id": key.user_id,
        "team_id": key.team_id,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "blocked": key.blocked,
        "deleted_at": key.deleted_at,
        "document": dump(key),
        **dict(zip(BALANCE, balance_of(account), strict=True)),
    }


def dump(key: Key) -> bytes:
    """Return a key as JSON."""
    return orjson.dumps(key)


def load(document: bytes) -> Key:
    """Return the key in a document. Fields of a later release are passed over."""
    raw = orjson.loads(document)
    known = {name: raw[name] for name in Key.__slots__ if name in raw}
    return Key(**(known | {name: tuple(known.get(name, ())) for name in _TUPLES}))


def by_id(key_id: str | BindParameter[str]) -> Select[Any]:
    """Return the statement for one account."""
    return _READ.where(keys.c.id == key_id)


def by_digest(digest: bytes) -> Select[Any]:
    """Return the statement for the account of a secret."""
    return _READ.add_columns(keys.c.digest).where(keys.c.digest == digest)


def page(query: KeyQuery, *, now: float) -> Select[Any]:
    """Return the statement for a page of the list, newest first unless asked otherwise."""
    column = {"created_at": keys.c.created_at, "key_alias": keys.c.alias}.get(query.sort_by)
    column = keys.c.total_microusd if column is None else column
    order = column.desc() if query.descending else column.asc()
    return (
        _READ.where(_wanted(query, now))
        .order_by(order.nulls_last(), keys.c.id.desc())
        .limit(query.limit)
        .offset(query.offset)
    )


def count(query: KeyQuery, *, now: float) -> Select[Any]:
    """Return the statement for how many keys a list has."""
    return select(func.count()).select_from(keys).where(_wanted(query, now))


def _wanted(query: KeyQuery, now: float) -> ColumnElement[bool]:
    found = [_status(query.status, now)]
    if query.id is not None:
        found.append(keys.c.id == query.id)
    if query.alias is not None:
        found.append(keys.c.alias == query.alias)
    if query.user_id is not None:
        found.append(keys.c.user_id == query.user_id)
    if query.team_id is not None:
        found.append(keys.c.team_id == query.team_id)
    if query.search is not None:
        part = query.search.lower()
        found.append(
            or_(
                func.lower(keys.c.alias).contains(part, autoescape=True),
                func.lower(keys.c.name).contains(part, autoescape=True),
            )
        )
    return and_(*found)


def _status(status: KeyStatus | None, now: float) -> ColumnElement[bool]:
    there = keys.c.deleted_at.is_(None)
    over = keys.c.expires_at.is_not(None) & (keys.c.expires_at <= now)
    match status:
        case None:
            return there
        case KeyStatus.DELETED:
            return keys.c.deleted_at.is_not(None)
        case KeyStatus.BLOCKED:
            return there & keys.c.blocked
        case KeyStatus.EXPIRED:
            return there & ~keys.c.blocked & over
        case KeyStatus.ACTIVE:
            return there & ~keys.c.blocked & ~over
