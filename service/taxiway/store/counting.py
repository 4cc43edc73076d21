"""How many jobs are unfinished, by phase: a phase is written in the document only."""

from dataclasses import dataclass

import orjson
from sqlalchemy import ColumnElement
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from taxiway.jobs import Phase
from taxiway.protocols import Backlog
from taxiway.store import reading

#: How PostgreSQL's codes for data begin that it cannot do something with, such as bytes that are no JSON.
_OF_DATA = "22"

_PHASES = {phase.value: phase for phase in Phase}


@dataclass(frozen=True, slots=True)
class Counted:
    """What was found, and the ids of those whose document is damaged."""

    backlog: Backlog
    damaged: tuple[str, ...] = ()


async def backlog(connection: AsyncConnection, *, phase: ColumnElement[str]) -> Counted:
    """Count what is unfinished. The database looks into the documents, and sends none where it can read them all.

    A word of a newer release is passed over: it is known to be there, and not what it is.
    """
    try:
        rows = (await connection.execute(reading.backlog(phase))).all()
    except DBAPIError as error:
        if not str(getattr(error.orig, "sqlstate", None)).startswith(_OF_DATA):
            raise
    else:
        if all(name is not None for name, _, _ in rows):
            return Counted({_PHASES[name]: (n, at) for name, n, at in rows if name in _PHASES})
    return await _one_by_one(connection)


async def _one_by_one(connection: AsyncConnection) -> Counted:
    """Count by reading the documents.

    PostgreSQL does not say which of them it could not read, and it stumbles over sound JSON that has a NUL in it.
    """
    found: dict[Phase | None, tuple[int, float]] = {}
    damaged: list[str] = []
    page, last = reading.PAGE, (-1.0, "")
    while page == reading.PAGE:
        asked = {"created_at": last[0], "job": last[1]}
        rows = (await connection.execute(reading.UNFINISHED_AFTER, asked)).all()
        for job_id, created_at, document in rows:
            last = (created_at, job_id)
            named = _named(document)
            if named is None:
                damaged.append(job_id)
            elif named not in _PHASES:
                continue
            phase = None if named is None else _PHASES[named]
            count, oldest_at = found.get(phase, (0, created_at))
            found[phase] = (count + 1, oldest_at)
        page = len(rows)
    return Counted(found, tuple(damaged))


def _named(document: bytes) -> str | None:
    """Return the phase that a document names, None where it is damaged."""
    try:
        phase = orjson.loads(document)["phase"]
    except (ValueError, TypeError, LookupError):
        return None
    return phase if isinstance(phase, str) else None
