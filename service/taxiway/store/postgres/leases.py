"""Leases in PostgreSQL, on its own clock: who lives, who has lost what, and whose jobs are free to take."""

from collections.abc import Mapping, Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    cast,
    delete,
    exists,
    extract,
    func,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from taxiway.protocols import CLAIM_MAX
from taxiway.signals import Released
from taxiway.store.owning import Claim, take
from taxiway.store.postgres.arrays import rows_of
from taxiway.store.postgres.signals import CHANNEL, packed
from taxiway.store.tables import jobs, replicas
from taxiway.store.writes import Held

#: The database's clock, which does not stand still within a transaction.
_NOW: ColumnElement[float] = cast(extract("epoch", func.clock_timestamp()), Double)

#: The date of a lease whose owner has let go of it.
_RELEASED = 0.0

#: Whether a job's owner lives.
OWNER_ALIVE = exists().where(replicas.c.id == jobs.c.owner, replicas.c.lease_until > _NOW)

_HELD = rows_of(jobs.c.id, jobs.c.fence)


def extend(connection: Connection, *, owner: str, lease_s: float) -> bool:
    """Let a lease last from now; return whether it had lasted until now.

    The row is locked from here to the end of the transaction, which keeps `claim` away from this owner's jobs.
    """
    lasted = connection.execute(select(replicas.c.lease_until > _NOW).where(replicas.c.id == owner))
    was_alive = bool(lasted.scalar())
    fresh = insert(replicas).values(id=owner, started_at=_NOW, lease_until=_NOW + lease_s)
    connection.execute(
        fresh.on_conflict_do_update(
            index_elements=[replicas.c.id], set_={"lease_until": fresh.excluded.lease_until}
        )
    )
    return was_alive


def lost(connection: Connection, *, owner: str, held: Mapping[str, Held]) -> frozenset[str]:
    """Return which of the jobs an owner holds have gone to somebody else."""
    # One that is only being created has no row to compare with.
    fences = {job_id: each.fence for job_id, each in held.items() if each.booked is not None}
    still_owned = exists().where(
        jobs.c.id == _HELD.c.id, jobs.c.fence == _HELD.c.fence, jobs.c.owner == owner
    )
    ids = connection.execute(
        select(_HELD.c.id).where(not_(still_owned)), {"id": [*fences], "fence": [*fences.values()]}
    )
    return frozenset(ids.scalars())


def end(connection: Connection, *, owner: str) -> None:
    """Let a lease end now, and tell the others."""
    connection.execute(update(replicas).where(replicas.c.id == owner).values(lease_until=_RELEASED))
    for payload in packed([Released()], sender=owner):
        connection.execute(select(func.pg_notify(CHANNEL, payload)))


def claim(
    connection: Connection,
    *,
    owner: str,
    held: Mapping[str, Held] | None,
    released: bool,
    expired: bool,
) -> Claim:
    """Take over a page of the jobs whose owner is gone: has let go, or has only fallen silent."""
    lease_until = replicas.c.lease_until
    dead = connection.scalars(
        select(replicas.c.id)
        .where(
            replicas.c.id != owner,
            lease_until <= (_NOW if expired else _RELEASED),
            true() if released else lease_until > _RELEASED,
        )
        # Whoever is coming back to life has the row, and waits for this transaction if we have it.
        .with_for_update(skip_locked=True)
    ).all()
    orphaned: ColumnElement[bool] = jobs.c.owner.in_(dead)
    if released:
        unowned = or_(jobs.c.owner.is_(None), ~exists().where(replicas.c.id == jobs.c.owner))
        orphaned = or_(orphaned, unowned)
    taken = take(connection, owner=owner, orphaned=orphaned, held=held)
    if dead and len(taken.jobs) < CLAIM_MAX:
        _bury(connection, dead)
    return taken


def _bury(connection: Connection, dead: Sequence[str]) -> None:
    left = exists().where(jobs.c.owner == replicas.c.id, jobs.c.finished_at.is_(None))
    connection.execute(delete(replicas).where(replicas.c.id.in_(dead), ~left))
