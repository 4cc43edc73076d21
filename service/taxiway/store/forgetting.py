"""Deleting what has ended long ago."""

from sqlalchemy import Connection, delete, select

from taxiway.store.tables import deliveries, idempotency, jobs

#: Jobs deleted in one transaction: little enough that nobody waits for it long.
PAGE = 500


def forget(connection: Connection, *, before: float) -> int:
    """Delete a page of the jobs that ended before a date, with all but their books; return how many it was."""
    ended = (
        select(jobs.c.id)
        # A job ends after it was created; so the index by date finds the old ones.
        .where(jobs.c.created_at < before, jobs.c.finished_at < before)
        .order_by(jobs.c.created_at, jobs.c.id)
        .limit(PAGE)
        # Two processes that forget at once share the work.
        .with_for_update(skip_locked=True)
    )
    ids = connection.execute(ended).scalars().all()
    if ids:
        connection.execute(delete(idempotency).where(idempotency.c.job_id.in_(ids)))
        connection.execute(delete(deliveries).where(deliveries.c.job_id.in_(ids)))
        connection.execute(delete(jobs).where(jobs.c.id.in_(ids)))
    return len(ids)
