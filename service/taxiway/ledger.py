"""The books: what each attempt reserves and what it was charged, derived from jobs and from nothing else.

While an attempt is open, its `reserved_credits` add up to what it may cost; when it ends, that is taken back and
`charged_credits` says what it did cost. So the sum over all entries is, at any moment, what is spent and what may
still be spent. Whole micro-USD, and beside it the credits of what is counted in these.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache

from taxiway.jobs import Attempt, AttemptStatus, CreditsSource, Job

_DAY_S = 86_400

#: Neither credits nor micro-USD.
_NOTHING = (0, 0)


class EntryKind(StrEnum):
    """Why an entry was made."""

    RESERVE = "reserve"
    """An attempt was opened, by the price list."""
    ADJUST = "adjust"
    """What an open attempt holds back has changed: the provider named its estimate, or it goes elsewhere."""
    SETTLE = "settle"
    """The attempt ended. Every attempt has one of these in the end."""


class Grouping(StrEnum):
    """What usage can be added up by."""

    MODEL = "model"
    """The public name, as asked."""
    KEY = "key"
    """The scope: the API key's id."""
    DAY = "day"
    """The date in UTC, `YYYY-MM-DD`."""
    UPSTREAM_MODEL = "upstream_model"
    """The provider's name of the model."""
    DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the books."""

    job_id: str
    attempt: int
    at: float
    kind: EntryKind
    reserved_credits: int
    """By how much the reservation grows; negative where it shrinks."""
    charged_credits: int | None
    """Zero until the attempt ends; None where nobody can know the charge, or it is not in credits."""
    reserved_microusd: int
    charged_microusd: int | None
    """As the credits; None where nobody can know the charge."""
    exact: bool
    """Whether the provider itself has named the charge."""
    source: CreditsSource | None
    model: str
    upstream_model: str
    deployment: str
    upstream_id: str | None

    @property
    def day(self) -> str:
        """The entry's date in UTC, `YYYY-MM-DD`."""
        return _day(int(self.at // _DAY_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What some entries come to. `group` has one value for each grouping asked for."""

    group: tuple[str, ...]
    jobs: int
    """Jobs of which an attempt has ended."""
    attempts: int
    """Attempts that have ended."""
    tasks: int
    """Of these, the ones the provider had taken: it gave them an id."""
    unknown: int
    """Of these, the ones whose charge nobody knows: it is in no sum."""
    charged_credits: int
    """Charged by the provider, to the credit."""
    estimated_credits: int
    """Ended attempts whose charge the provider has not told, at the last estimate."""
    reserved_credits: int
    """What attempts under way may still cost. Within bounds of time it can be negative."""
    charged_microusd: int
    """The same three in money, and with what is not counted in credits."""
    estimated_microusd: int
    reserved_microusd: int

    @property
    def spent_microusd(self) -> int:
        """Charged and estimated."""
        return self.charged_microusd + self.estimated_microusd


def entries(job: Job, *, before: Job | None, at: float) -> Sequence[Entry]:
    """Return what brings the books from an earlier state of a job (None: from nothing) to this one.

    Any earlier state will do: the entries of two steps and those of one that leads over both add up to the same.
    """
    known = () if before is None else before.attempts
    if job.attempts is known:
        return ()
    made: list[Entry] = []
    for i, attempt in enumerate(job.attempts):
        earlier = known[i] if i < len(known) else None
        if attempt is not earlier:
            made.extend(_entries(job, attempt, earlier, at))
    return made


def summarised(group: tuple[str, ...], entries: Iterable[Entry]) -> Usage:
    """Return what entries come to."""
    listed = list(entries)
    ends = [entry for entry in listed if entry.kind is EntryKind.SETTLE]
    return Usage(
        group=group,
        jobs=len({entry.job_id for entry in ends}),
        attempts=len(ends),
        tasks=sum(entry.upstream_id is not None for entry in ends),
        unknown=sum(entry.charged_microusd is None for entry in ends),
        charged_credits=sum(entry.charged_credits or 0 for entry in ends if entry.exact),
        estimated_credits=sum(entry.charged_credits or 0 for entry in ends if not entry.exact),
        reserved_credits=sum(entry.reserved_credits for entry in listed),
        charged_microusd=sum(entry.charged_microusd or 0 for entry in ends if entry.exact),
        estimated_microusd=sum(entry.charged_microusd or 0 for entry in ends if not entry.exact),
        reserved_microusd=sum(entry.reserved_microusd for entry in listed),
    )


def _entries(job: Job, attempt: Attempt, before: Attempt | None, at: float) -> Iterator[Entry]:
    held, holds = _held(before), _held(attempt)
    if before is not None and any(held) and _place(before) != _place(attempt):
        yield _entry(job, before, at, kind=EntryKind.ADJUST, held=held)
        held = _NOTHING
    if not _open(attempt):
        if before is None or _open(before):
            yield _entry(job, attempt, at, kind=EntryKind.SETTLE, held=held)
    elif before is None:
        yield _entry(job, attempt, at, kind=EntryKind.RESERVE, holds=holds)
    elif holds != held:
        yield _entry(job, attempt, at, kind=EntryKind.ADJUST, held=held, holds=holds)


def _entry(
    job: Job,
    attempt: Attempt,
    at: float,
    *,
    kind: EntryKind,
    held: tuple[int, int] = _NOTHING,
    holds: tuple[int, int] = _NOTHING,
) -> Entry:
    """Return an entry that takes back what was held and holds something else."""
    ended = kind is EntryKind.SETTLE
    return Entry(
        job_id=job.id,
        attempt=attempt.index,
        at=at,
        kind=kind,
        reserved_credits=holds[0] - held[0],
        charged_credits=attempt.credits if ended else 0,
        reserved_microusd=holds[1] - held[1],
        charged_microusd=attempt.microusd if ended else 0,
        exact=not ended or attempt.credits_source is CreditsSource.CHARGED,
        source=attempt.credits_source,
        model=job.request.model,
        upstream_model=attempt.model,
        deployment=attempt.deployment,
        upstream_id=attempt.upstream_id,
    )


def _open(attempt: Attempt) -> bool:
    return attempt.status is AttemptStatus.IN_PROGRESS


def _held(attempt: Attempt | None) -> tuple[int, int]:
    """Return what an attempt holds back, in credits and in micro-USD.

    That is its estimate while it is open, and nothing for an unknown price.
    """
    if attempt is None or not _open(attempt):
        return _NOTHING
    return attempt.credits or 0, attempt.microusd or 0


def _place(attempt: Attempt) -> tuple[str, str]:
    """Return where an attempt's money goes: a refused submission may be repeated elsewhere."""
    return attempt.deployment, attempt.model


@lru_cache(maxsize=16)
def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
