"""How many jobs of a key are under way, whoever owns them. A seat is a job's until its end, and ends with it."""

from sqlalchemy import Connection, func, select, true, update

from taxiway.store.tables import jobs, keys


def take(connection: Connection, job_id: str, *, scope: str, limit: int) -> bool:
    """Give a job of a key a seat, unless `limit` jobs have one; return whether it has one now."""
    # Nobody else may count until this is committed. A group of writes locks keys first as well.
    connection.execute(select(keys.c.id).where(keys.c.id == scope).with_for_update())
    seated = jobs.c.seated & jobs.c.finished_at.is_(None)
    if connection.scalar(select(jobs.c.id).where(jobs.c.id == job_id, seated)) is not None:
        return True
    taken = connection.scalar(select(func.count()).where(jobs.c.scope == scope, seated)) or 0
    if taken >= limit:
        return False
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(seated=true()))
    return True
