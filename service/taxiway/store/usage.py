"""What the ledger comes to, added up by the database."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Select, and_, case, func, not_, select

from taxiway.ledger import EntryKind, Grouping, Usage
from taxiway.store.tables import ledger

#: What each grouping is in the ledger.
_COLUMNS: dict[Grouping, Column[Any]] = {
    Grouping.MODEL: ledger.c.model,
    Grouping.KEY: ledger.c.key_id,
    Grouping.DAY: ledger.c.day,
    Grouping.UPSTREAM_MODEL: ledger.c.upstream_model,
    Grouping.DEPLOYMENT: ledger.c.deployment,
}

_ENDED = ledger.c.kind == EntryKind.SETTLE.value


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _sum(money: ColumnElement[Any], condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, money))), 0)


#: The numbers of `Usage`, in its order.
_NUMBERS = (
    func.count(case((_ENDED, ledger.c.job_id)).distinct()).label("jobs"),
    _count(_ENDED).label("attempts"),
    _count(and_(_ENDED, ledger.c.upstream_id.is_not(None))).label("tasks"),
    _count(and_(_ENDED, ledger.c.charged_microusd.is_(None))).label("unknown"),
    _sum(ledger.c.charged_credits, and_(_ENDED, ledger.c.exact)).label("charged_credits"),
    _sum(ledger.c.charged_credits, and_(_ENDED, not_(ledger.c.exact))).label("estimated_credits"),
    func.coalesce(func.sum(ledger.c.reserved_credits), 0).label("reserved_credits"),
    _sum(ledger.c.charged_microusd, and_(_ENDED, ledger.c.exact)).label("charged_microusd"),
    _sum(ledger.c.charged_microusd, and_(_ENDED, not_(ledger.c.exact))).label("estimated_microusd"),
    func.coalesce(func.sum(ledger.c.reserved_microusd), 0).label("reserved_microusd"),
)


def sums(
    by: Sequence[Grouping], *, since: float | None, until: float | None, scope: str | None
) -> Select[Any]:
    """Return the statement for `JobStore.usage`."""
    columns = [_COLUMNS[grouping].label(f"group_{i}") for i, grouping in enumerate(by)]
    wanted = select(*columns, *_NUMBERS).where(*_conditions(since, until, scope))
    return wanted.group_by(*(_COLUMNS[grouping] for grouping in by)) if by else wanted


def usage_of(row: Row[Any], groupings: int) -> Usage:
    """Return one row of the answer."""
    group, numbers = row[:groupings], row[groupings:]
    # PostgreSQL adds up in a wider type than it was given.
    named = dict(zip((number.name for number in _NUMBERS), map(int, numbers), strict=True))
    return Usage(group=tuple(group), **named)


def _conditions(
    since: float | None, until: float | None, scope: str | None
) -> Iterator[ColumnElement[bool]]:
    if since is not None:
        yield ledger.c.at >= since
    if until is not None:
        yield ledger.c.at < until
    if scope is not None:
        yield ledger.c.key_id == scope
