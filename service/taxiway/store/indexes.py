"""What is found without reading a whole table.

Apart from the tables, since no statement needs to know them: their conditions make SQLAlchemy load the dialects of
both databases, some two megabytes that only Alembic should cost.
"""

from sqlalchemy import Index, text

from taxiway.store.tables import deliveries, idempotency, jobs, ledger, metadata

__all__ = ["metadata"]

#: The list, newest first: an index is read backwards as fast as forwards.
Index("jobs_by_date", jobs.c.created_at, jobs.c.id)

#: What one key has made, and how much of it within the last minute.
Index("jobs_by_scope", jobs.c.scope, jobs.c.created_at, jobs.c.id)

#: The jobs of a key that are under way.
Index(
    "jobs_seated",
    jobs.c.scope,
    sqlite_where=text("seated = 1 AND finished_at IS NULL"),
    postgresql_where=jobs.c.seated & jobs.c.finished_at.is_(None),
)

_UNFINISHED = jobs.c.finished_at.is_(None)
_FAILED = jobs.c.error_code.is_not(None)
_RECOGNISABLE = jobs.c.fingerprint.is_not(None)

#: What is left to do: a handful among all the jobs there ever were.
Index(
    "jobs_unfinished",
    jobs.c.created_at,
    jobs.c.id,
    sqlite_where=_UNFINISHED,
    postgresql_where=_UNFINISHED,
)

#: "Which jobs failed like this one?"
Index(
    "jobs_by_error",
    jobs.c.error_code,
    jobs.c.created_at,
    jobs.c.id,
    sqlite_where=_FAILED,
    postgresql_where=_FAILED,
)

#: What somebody wants to stop. It says nothing of the end, so that an ordinary write leaves it alone.
Index(
    "jobs_to_cancel",
    jobs.c.owner,
    # SQLite must find the very words of the query, where a truth is a 1.
    sqlite_where=text("cancel_requested = 1"),
    postgresql_where=jobs.c.cancel_requested,
)

#: "Has this been asked before?"
Index(
    "jobs_by_fingerprint",
    jobs.c.scope,
    jobs.c.fingerprint,
    jobs.c.created_at,
    sqlite_where=_RECOGNISABLE,
    postgresql_where=_RECOGNISABLE,
)

Index("idempotency_by_job", idempotency.c.job_id)

Index("ledger_by_date", ledger.c.at)

_OPEN = deliveries.c.due_at.is_not(None)

#: What is left to tell.
Index("deliveries_due", deliveries.c.due_at, sqlite_where=_OPEN, postgresql_where=_OPEN)
