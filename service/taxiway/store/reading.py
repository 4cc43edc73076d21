"""The statements that read jobs."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Double, Select, Text, bindparam, func, select, tuple_

from taxiway.protocols import JobQuery
from taxiway.store.tables import jobs

#: Read one job.
GET = select(jobs.c.document).where(jobs.c.id == bindparam("job"))

#: So many jobs are asked for in one statement; SQLite takes no more than some thousand parameters.
NEWER_MAX = 500

_by_age = tuple_(jobs.c.created_at, jobs.c.id)

_AMONG = jobs.c.id.in_(bindparam("jobs", expanding=True))

#: Read how far some jobs have come.
REVISIONS = select(jobs.c.id, jobs.c.revision).where(_AMONG)

#: Read some jobs.
THESE = select(jobs.c.id, jobs.c.document).where(_AMONG)

#: Find where a page ended.
CURSOR = select(jobs.c.created_at, jobs.c.id, jobs.c.scope).where(jobs.c.id == bindparam("job"))

#: Read what is left to do; the condition is the partial index's.
UNFINISHED = (
    select(jobs.c.id, jobs.c.document)
    .where(jobs.c.finished_at.is_(None))
    .order_by(jobs.c.created_at, jobs.c.id)
)

#: So many documents are read at once where the database cannot look into them.
PAGE = 500

#: Read what is left to do, a page at a time.
UNFINISHED_AFTER = (
    select(jobs.c.id, jobs.c.created_at, jobs.c.document)
    .where(jobs.c.finished_at.is_(None))
    .where(_by_age > tuple_(bindparam("created_at", type_=Double), bindparam("job", type_=Text)))
    .order_by(jobs.c.created_at, jobs.c.id)
    .limit(PAGE)
)

#: Find what an owner should stop.
TO_CANCEL = (
    select(jobs.c.id)
    .where(
        jobs.c.owner == bindparam("owner"), jobs.c.cancel_requested, jobs.c.finished_at.is_(None)
    )
    .order_by(jobs.c.created_at, jobs.c.id)
)


def backlog(phase: ColumnElement[str]) -> Select[str, int, float]:
    """Return the statement that counts the unfinished jobs; `phase` is the expression for that of a document."""
    named = phase.label("phase")
    return (
        select(named, func.count(), func.min(jobs.c.created_at))
        .where(jobs.c.finished_at.is_(None))
        .group_by(named)
    )


def page(query: JobQuery, last: tuple[float, str] | None, *, limit: int) -> Select[Any]:
    """Return the statement for a page of the list; `last` is where the page before ended: date and id."""
    wanted = select(jobs.c.id, jobs.c.created_at, jobs.c.document).where(*_conditions(query))
    if last is not None:
        wanted = wanted.where(_by_age < tuple_(*last))
    return wanted.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)


def _conditions(query: JobQuery) -> Iterator[ColumnElement[bool]]:
    if query.statuses:
        yield jobs.c.status.in_([status.value for status in query.statuses])
    if query.model is not None:
        yield jobs.c.model == query.model
    if query.since is not None:
        yield jobs.c.created_at >= query.since
    if query.scope is not None:
        yield jobs.c.scope == query.scope
    if query.error is not None:
        yield jobs.c.error_code == query.error
