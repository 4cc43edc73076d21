"""Taking jobs over from an owner who is gone."""

from collections.abc import Container
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Row, case, or_, select, update

from taxiway.errors import StoreError
from taxiway.jobs import Job
from taxiway.origins import Caller
from taxiway.protocols import CLAIM_MAX
from taxiway.store import documents
from taxiway.store.tables import jobs

#: Whoever waited at the former owner has lost the connection with it.
_CUT_OFF = case((jobs.c.caller == Caller.WAITING.value, Caller.LEFT.value), else_=jobs.c.caller)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A job that was taken over, and the fence that outdates its former owner."""

    job: Job
    fence: int
    scope: str
    period: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What was taken over, oldest first. `unreadable` holds ids, left to a release that can read them."""

    jobs: tuple[Claimed, ...]
    unreadable: tuple[str, ...]


def take(
    connection: Connection,
    *,
    owner: str,
    orphaned: ColumnElement[bool],
    held: Container[str] | None,
) -> Claim:
    """Make the oldest unfinished jobs under a condition the owner's, at most `CLAIM_MAX`.

    Where `held` is given, the owner's own jobs are taken as well that are not among it: those of a claim that was
    committed though its answer was lost.
    """
    if held is not None:
        orphaned = or_(orphaned, jobs.c.id.in_(_astray(connection, owner, held)))
    found = connection.execute(
        select(jobs.c.id, jobs.c.fence, jobs.c.scope, jobs.c.budget_period, jobs.c.document)
        .where(jobs.c.finished_at.is_(None), orphaned)
        .order_by(jobs.c.created_at, jobs.c.id)
        .limit(CLAIM_MAX)
        # What another replica is taking at this moment is not waited for. SQLite has no such words and no need.
        .with_for_update(skip_locked=True, of=jobs)
    ).all()
    read = [(row, _claimed(row)) for row in found]
    taken = tuple(claimed for _, claimed in read if claimed is not None)
    if taken:
        connection.execute(
            update(jobs)
            .where(jobs.c.id.in_([claimed.job.id for claimed in taken]))
            .values(owner=owner, fence=jobs.c.fence + 1, caller=_CUT_OFF)
        )
    return Claim(jobs=taken, unreadable=tuple(row.id for row, claimed in read if claimed is None))


def _astray(connection: Connection, owner: str, held: Container[str]) -> list[str]:
    claimed = connection.scalars(
        select(jobs.c.id)
        # The first fence is a new job's, which may be on its way here.
        .where(jobs.c.finished_at.is_(None), jobs.c.owner == owner, jobs.c.fence > 1)
        .order_by(jobs.c.created_at, jobs.c.id)
    )
    return [job_id for job_id in claimed if job_id not in held][:CLAIM_MAX]


def _claimed(row: Row[str, int, str, int, bytes]) -> Claimed | None:
    try:
        job = documents.load(row.document)
    except StoreError:
        return None
    return Claimed(job=job, fence=row.fence + 1, scope=row.scope, period=row.budget_period)
