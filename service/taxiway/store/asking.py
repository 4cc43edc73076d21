"""Asking twice: idempotency keys, and retries that are known without one."""

from sqlalchemy import ColumnElement, Connection, Select, bindparam, case, or_, select, update

from taxiway.origins import Caller
from taxiway.store.tables import idempotency, jobs

#: Find what a key has made.
KNOWN = select(idempotency.c.job_id, idempotency.c.fingerprint).where(
    idempotency.c.scope == bindparam("scope"), idempotency.c.key_hash == bindparam("key_hash")
)

#: Find who asked for a job.
CALLER = select(jobs.c.caller).where(jobs.c.id == bindparam("job"))

#: A retry waits; but what somebody was promised before stays promised.
_JOINED = case(
    (jobs.c.caller == Caller.PROMISED.value, Caller.PROMISED.value), else_=Caller.WAITING.value
)


def join_retry(
    connection: Connection,
    *,
    scope: str,
    fingerprint: str,
    count: int,
    since: float,
    owner_alive: ColumnElement[bool],
) -> str | None:
    """Give a retry its job; see `JobStore.join_retry`."""
    wanted = candidates(
        scope=scope, fingerprint=fingerprint, count=count, since=since, owner_alive=owner_alive
    )
    join = (
        update(jobs)
        .where(jobs.c.id == wanted.limit(1).with_for_update(of=jobs).scalar_subquery())
        .values(joined_retry=count, caller=_JOINED)
        .returning(jobs.c.id)
    )
    # The candidate may change while its owner's write is waited for, so that it is none any more: look again.
    job_id: str | None = None
    for _ in range(2):
        job_id = job_id or connection.execute(join).scalar()
    return job_id


def candidates(
    *, scope: str, fingerprint: str, count: int, since: float, owner_alive: ColumnElement[bool]
) -> Select[str]:
    """Return the statement for the ids of the jobs that a retry may join, the best one first."""
    left = jobs.c.caller == Caller.LEFT.value
    # A connection behind a proxy may look alive long after its caller has left. But a finished job whose owner
    # lives is being answered at this moment.
    waiting = jobs.c.caller.in_((Caller.WAITING.value, Caller.PROMISED.value))
    stranded = waiting & or_(jobs.c.finished_at.is_(None), ~owner_alive)
    return (
        select(jobs.c.id)
        .where(
            jobs.c.scope == scope,
            jobs.c.fingerprint == fingerprint,
            jobs.c.created_at >= since,
            jobs.c.joined_retry < count,
            left | stranded,
        )
        .order_by(case((left, 0), else_=1), jobs.c.created_at, jobs.c.id)
    )
