"""What a viewer has seen already, and with that, what comes first.

A cursor is the job's revision, which the store knows: any replica gives the same answer, after a crash too.
"""

import re
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from taxiway.jobs import Job

_CURSOR = re.compile(r"[0-9]{1,18}")

#: Stands for a cursor that cannot be read: beyond every revision, so the job is sent whole.
UNREADABLE = -1

Resume = Literal["replayed", "current", "gap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a stream begins. `seen` is the revision the viewer has, 0 where it is sent the job whole."""

    seen: int = 0
    resume: Resume | None = None
    """What a viewer with a cursor meets; None for one without."""
    nothing_left: bool = False
    """The viewer has the end: 204 is the only answer that stops an `EventSource` for good."""


def read_cursor(request: web.Request) -> int | None:
    """Return the revision a viewer names, `UNREADABLE`, or None.

    The header wins, even unreadable: an `EventSource` repeats the query of its first URL on every reconnect,
    and only the header moves on.
    """
    text = _cursor(request)
    if text is None:
        return None
    return int(text) if _CURSOR.fullmatch(text) else UNREADABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """A viewer's cursor over several jobs: the revision of each that it has, 0 for none."""

    revisions: tuple[int, ...]
    readable: bool = True
    """Whether they are what the viewer said, and not a beginning for want of it."""


def read_positions(request: web.Request, count: int) -> Positions | None:
    """Return the revisions a viewer names, one for each of `count` jobs, or None; see `read_cursor`."""
    text = _cursor(request)
    if text is None:
        return None
    words = text.split(".")
    if len(words) != count or not all(map(_CURSOR.fullmatch, words)):
        return Positions(revisions=(0,) * count, readable=False)
    return Positions(revisions=tuple(map(int, words)))


def start_of(job: Job, cursor: int | None) -> Start:
    """Return how the stream of a job begins for a viewer with this cursor."""
    if cursor is None:
        return Start()
    if cursor == job.revision:
        return Start(seen=cursor, resume="current", nothing_left=job.final)
    return Start(resume="replayed" if 0 <= cursor < job.revision else "gap")


def _cursor(request: web.Request) -> str | None:
    return request.headers.get("Last-Event-ID", request.query.get("starting_after"))
