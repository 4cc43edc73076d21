"""Many rows in one statement of PostgreSQL: handed in as arrays, one for each column."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, Column, FromClause, Text, bindparam, func

from taxiway.store.tables import Key


def rows_of(*columns: Column[Any]) -> FromClause:
    """Return the rows that the parameters hold, one array for each of these columns, named like it."""
    # The order of a column is not the array's business.
    types = (Text() if column.type is Key else column.type for column in columns)
    arrays = (bindparam(c.name, type_=ARRAY(t)) for c, t in zip(columns, types, strict=True))
    return func.unnest(*arrays).table_valued(*columns).render_derived(name="given")


def columns_of(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    """Return rows as the arrays that such a statement takes."""
    return [list(column) for column in zip(*rows, strict=True)]
