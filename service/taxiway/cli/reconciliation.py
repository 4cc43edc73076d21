"""The books and Runway's own account, side by side: pure arithmetic over what both say."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from taxiway.cli.documents import JobDocument, UsageRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The credits of one model on one day (UTC), by Runway's account and by the books."""

    day: str
    model: str
    """The vendor's name."""
    runway: int
    booked: int
    """Charged, estimated and reserved: Runway charges when a task is created, too."""

    @property
    def difference(self) -> int:
        """What the books have too much; negative where they have too little."""
        return self.booked - self.runway


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The tasks of one model in the last 24 hours."""

    model: str
    runway: int
    least: int
    """Tasks that the books are sure of."""
    most: int
    """And those that may belong to these hours or not, or may have been bought or not."""

    @property
    def agrees(self) -> bool:
        """Whether Runway's figure is one that the books allow."""
        return self.least <= self.runway <= self.most


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One account, compared."""

    account: str
    balance: int | None
    lines: Sequence[Line]
    counts: Sequence[Count]

    @property
    def agrees(self) -> bool:
        """Whether there is nothing to look into."""
        return all(not line.difference for line in self.lines) and all(
            count.agrees for count in self.counts
        )


def lines_of(
    spent: Mapping[tuple[str, str], int], rows: Iterable[UsageRow], *, deployments: Collection[str]
) -> list[Line]:
    """Compare credits by day and model; `rows` are by deployment, the vendor's model and day."""
    booked: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row["deployment"] in deployments:
            credits_ = row["cost"]["credits"] or 0
            booked[row["day"], row["upstream_model"]] += credits_ + row["reserved"]["credits"]
    return [
        Line(day=day, model=model, runway=spent.get((day, model), 0), booked=booked[day, model])
        for day, model in sorted({*spent, *booked})
    ]


def counts_of(
    made: Mapping[str, int],
    *,
    ended: Iterable[UsageRow],
    ended_early: Iterable[UsageRow],
    doubtful: Iterable[JobDocument],
    deployments: Collection[str],
) -> list[Count]:
    """Compare tasks by model, over the last 24 hours.

    `ended` are the rows of attempts that ended within them, `ended_early` those of the first minutes of that time,
    which may have begun before it. `doubtful` are the jobs under way, and those whose submission is unknown.
    """
    sure = _tasks(ended, deployments)
    before = _tasks(ended_early, deployments)
    perhaps: Counter[str] = Counter()
    for attempt in chain.from_iterable(job["attempts"] for job in doubtful):
        if attempt["deployment"] in deployments and attempt["status"] in ("in_progress", "unknown"):
            perhaps[attempt["model"]] += 1
    return [
        Count(
            model=model,
            runway=made.get(model, 0),
            least=sure[model] - before[model],
            most=sure[model] + perhaps[model],
        )
        # Runway names every model, whether or not there is anything to count.
        for model in sorted({*(name for name, n in made.items() if n), *sure, *perhaps})
    ]


def unclaimed(rows: Iterable[UsageRow], *, deployments: Collection[str]) -> dict[str, int]:
    """Return what is booked for deployments that are not configured any more, in credits."""
    found: Counter[str] = Counter()
    for row in rows:
        if row["deployment"] not in deployments:
            found[row["deployment"]] += row["cost"]["credits"] or 0
    return {name: amount for name, amount in found.items() if amount}


def _tasks(rows: Iterable[UsageRow], deployments: Collection[str]) -> Counter[str]:
    tasks: Counter[str] = Counter()
    for row in rows:
        if row["deployment"] in deployments:
            tasks[row["upstream_model"]] += row["tasks"]
    return tasks
