"""The outbox in a database: deliveries as rows, and who may try them when.

Taking a delivery puts off when it is due: if its taker dies, it is due again by itself.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any

import orjson
from sqlalchemy import Connection, Row, and_, bindparam, func, or_, select, tuple_, update

from taxiway.deliveries import (
    LOG_MAX,
    Delivery,
    DeliveryStatus,
    Endpoint,
    Outcome,
    Try,
    deliveries_of,
)
from taxiway.events import EventName, name_of
from taxiway.store.database import Database
from taxiway.store.tables import deliveries
from taxiway.store.writes import Change

#: The columns of a new delivery, in the order of the table.
POSTED = (
    "job_id",
    "number",
    "revision",
    "event",
    "source",
    "url",
    "host",
    "secret",
    "created_at",
    "due_at",
    "status",
)

_NUMBER = tuple_(deliveries.c.job_id, deliveries.c.number)

#: What is not over; the condition is the partial index's.
_OPEN = deliveries.c.due_at.is_not(None)

#: Find what is due. The office looks every two seconds, so nothing of this is put together anew.
_DUE = (
    select(deliveries.c.job_id, deliveries.c.number)
    .where(
        _OPEN,
        deliveries.c.due_at <= bindparam("now"),
        deliveries.c.host.not_in(bindparam("without", expanding=True)),
    )
    .order_by(deliveries.c.due_at, deliveries.c.job_id, deliveries.c.number)
    .limit(bindparam("most"))
)

#: What another replica is taking at this moment is not waited for.
_DUE_TO_US = _DUE.with_for_update(skip_locked=True)

#: Take what was found.
_TAKE = (
    update(deliveries)
    .where(_NUMBER.in_(bindparam("found", expanding=True)))
    .values(
        status=DeliveryStatus.SENDING.value,
        due_at=bindparam("until"),
        claim=deliveries.c.claim + 1,
    )
    .returning(deliveries)
)

#: Count what is not over.
_PENDING = select(func.count()).select_from(deliveries).where(_OPEN)


def posted(write: Change) -> list[tuple[object, ...]]:
    """Return the rows of the deliveries that a change is written with, in the order of `POSTED`."""
    job = write.job
    made = deliveries_of(
        job.id,
        revision=job.revision,
        event=name_of(job),
        at=write.at,
        endpoints=write.endpoints,
    )
    return [
        (
            each.job_id,
            each.number,
            each.revision,
            each.event.value,
            each.endpoint.source,
            each.endpoint.url,
            each.host,
            each.endpoint.secret,
            each.created_at,
            each.due_at,
            each.status.value,
        )
        for each in made
    ]


class SqlOutbox:
    """Deliveries in a database; see `Outbox` for what each call promises."""

    def __init__(
        self, database: Database, *, call: Callable[[str], AbstractContextManager[None]]
    ) -> None:
        self._database = database
        self._call = call

    async def take(
        self, *, now: float, lease_s: float, limit: int, without: Collection[str] = ()
    ) -> Sequence[Delivery]:
        """Take deliveries that are due."""
        due = {"now": now, "without": [*without], "most": limit}
        with self._call("take"):
            # Most looks find nothing, and need not stand in the line of those who write.
            async with self._database.reading() as connection:
                if not (await connection.execute(_DUE, {**due, "most": 1})).first():
                    return ()

            def take(connection: Connection) -> Sequence[Row[Any]]:
                found = [tuple(row) for row in connection.execute(_DUE_TO_US, due)]
                taken = {"found": found, "until": now + lease_s}
                return connection.execute(_TAKE, taken).all() if found else ()

            rows = await self._database.transact(take)
        return sorted(map(_delivery, rows), key=lambda each: (each.created_at, each.job_id))

    async def settle(
        self, delivery: Delivery, last: Try, *, status: DeliveryStatus, due_at: float | None
    ) -> None:
        """Write down how the try of a delivery went."""
        log = orjson.dumps([*delivery.log, last][-LOG_MAX:]).decode()
        values = {"status": status.value, "due_at": due_at, "tries": delivery.tries + 1, "log": log}
        await self._change("settle", delivery, values)

    async def give_back(self, delivery: Delivery, *, now: float) -> None:
        """Let others try a taken delivery at once."""
        values = {"status": DeliveryStatus.PENDING.value, "due_at": now}
        await self._change("give_back", delivery, values)

    async def of_job(self, job_id: str) -> Sequence[Delivery]:
        """Return the deliveries of a job, by their numbers."""
        wanted = (
            select(deliveries).where(deliveries.c.job_id == job_id).order_by(deliveries.c.number)
        )
        with self._call("of_job"):
            async with self._database.reading() as connection:
                return [_delivery(row) for row in await connection.execute(wanted)]

    async def redeliver(self, job_id: str, number: int, *, now: float) -> Delivery | None:
        """Have a delivery made anew, or sooner."""
        this = and_(deliveries.c.job_id == job_id, deliveries.c.number == number)
        sending = and_(
            deliveries.c.status == DeliveryStatus.SENDING.value, deliveries.c.due_at > now
        )
        again = (
            update(deliveries)
            .where(this, or_(~sending, deliveries.c.due_at.is_(None)))
            .values(
                status=DeliveryStatus.PENDING.value,
                due_at=now,
                tries=0,
                claim=deliveries.c.claim + 1,
            )
        )

        def redeliver(connection: Connection) -> Row[Any] | None:
            connection.execute(again)
            return connection.execute(select(deliveries).where(this)).first()

        with self._call("redeliver"):
            row = await self._database.transact(redeliver)
        return None if row is None else _delivery(row)

    async def pending(self) -> int:
        """Return how many deliveries are not over."""
        with self._call("pending"):
            async with self._database.reading() as connection:
                return int((await connection.execute(_PENDING)).scalar_one())

    async def _change(self, operation: str, delivery: Delivery, values: dict[str, Any]) -> None:
        change = (
            update(deliveries)
            .where(
                deliveries.c.job_id == delivery.job_id,
                deliveries.c.number == delivery.number,
                deliveries.c.claim == delivery.claim,
            )
            .values(values)
        )
        with self._call(operation):
            await self._database.transact(lambda connection: connection.execute(change))


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        job_id=row.job_id,
        number=row.number,
        revision=row.revision,
        event=EventName(row.event),
        endpoint=Endpoint(source=row.source, url=row.url, secret=row.secret),
        created_at=row.created_at,
        status=DeliveryStatus(row.status),
        due_at=row.due_at,
        tries=row.tries,
        log=tuple(_try(each) for each in orjson.loads(row.log)),
        claim=row.claim,
    )


def _try(raw: dict[str, Any]) -> Try:
    return Try(
        at=raw["at"],
        outcome=Outcome(raw["outcome"]),
        code=raw["code"],
        duration_s=raw["duration_s"],
    )
