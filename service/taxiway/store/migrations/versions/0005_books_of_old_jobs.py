"""The books of jobs that are older than the books. Adds rows only, and only where the ledger's sums lack them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

MICRO_USD_PER_CREDIT = 10_000

#: So many jobs are read at once: a document may be long.
BATCH = 500

JOBS = sa.table(
    "jobs",
    *map(sa.column, ("id", "model", "created_at", "scope", "document")),
)
LEDGER = sa.table(
    "ledger",
    *map(
        sa.column,
        (
            *("job_id", "attempt", "at", "day", "kind", "reserved_credits", "charged_credits"),
            *("reserved_microusd", "charged_microusd", "source", "exact", "model"),
            *("upstream_model", "deployment", "upstream_id", "key_id"),
        ),
    ),
)


#: What each attempt of a job holds back, in credits and in micro-USD, and whether its end is in the ledger.
Books = Mapping[tuple[str, int], tuple[int, int, bool]]


def upgrade() -> None:
    connection = op.get_bind()
    first = connection.scalar(sa.select(sa.func.min(LEDGER.c.at)))
    for batch in older_jobs(connection, first):
        books = {} if first is None else booked(connection, [job.id for job in batch])
        if rows := [row for job in batch for row in missing(job, books)]:
            connection.execute(sa.insert(LEDGER), rows)


def older_jobs(connection: sa.Connection, first: float | None) -> Iterator[Sequence[Any]]:
    """Every job that was there when the first entry was made."""
    jobs = sa.select(JOBS).order_by(JOBS.c.created_at, JOBS.c.id).limit(BATCH)
    if first is not None:
        jobs = jobs.where(JOBS.c.created_at < first)
    place = sa.tuple_(JOBS.c.created_at, JOBS.c.id)
    batch = connection.execute(jobs).all()
    while batch:
        yield batch
        last = batch[-1]
        batch = connection.execute(jobs.where(place > sa.tuple_(last.created_at, last.id))).all()


def booked(connection: sa.Connection, job_ids: Sequence[str]) -> Books:
    """What the ledger says of some jobs."""
    ends = sa.func.max(sa.case((LEDGER.c.kind == "settle", 1), else_=0)).label("ended")
    sums = [
        sa.func.sum(LEDGER.c[f"reserved_{name}"]).label(name) for name in ("credits", "microusd")
    ]
    rows = connection.execute(
        sa.select(LEDGER.c.job_id, LEDGER.c.attempt, *sums, ends)
        .where(LEDGER.c.job_id.in_(job_ids))
        .group_by(LEDGER.c.job_id, LEDGER.c.attempt)
    )
    return {
        (row.job_id, row.attempt): (int(row.credits), int(row.microusd), bool(row.ended))
        for row in rows
    }


def missing(job: Any, books: Books) -> list[dict[str, object]]:
    """The rows that a job's attempts lack."""
    try:
        attempts = json.loads(job.document)["attempts"]
        return [row for attempt in attempts if (row := row_of(job, attempt, books))]
    except (ValueError, TypeError, LookupError):  # whoever needs this job will be told of it
        return []


def row_of(job: Any, attempt: dict[str, Any], books: Books) -> dict[str, object] | None:
    known = books.get((job.id, attempt["index"]))
    held, held_money, settled = known or (0, 0, False)
    ended = attempt["status"] != "in_progress"
    cost = attempt.get("credits")
    money = attempt.get("price_microusd")
    if money is None and cost is not None:
        money = cost * MICRO_USD_PER_CREDIT
    holds, holds_money = (0, 0) if ended else (cost or 0, money or 0)
    settles = ended and not settled
    if (held, held_money) == (holds, holds_money) and known and not settles:
        return None
    at = attempt.get("finished_at") or attempt.get("submitted_at") or job.created_at
    source = attempt.get("credits_source")
    kind = "adjust" if known else "reserve"
    return {
        "job_id": job.id,
        "attempt": attempt["index"],
        "at": at,
        "day": datetime.fromtimestamp(at, UTC).date().isoformat(),
        "kind": "settle" if settles else kind,
        "reserved_credits": holds - held,
        "charged_credits": cost if settles else 0,
        "reserved_microusd": holds_money - held_money,
        "charged_microusd": money if settles else 0,
        "source": source,
        "exact": not settles or source == "charged",
        "model": job.model,
        "upstream_model": attempt["model"],
        "deployment": attempt["deployment"],
        "upstream_id": attempt.get("upstream_id"),
        "key_id": job.scope,
    }
