"""The table of `README.md`, and where the last one is kept."""
# ruff: noqa: T201

from collections.abc import Sequence
from functools import reduce
from operator import add
from pathlib import Path

from tests.chaos.account import Account
from tests.chaos.rows import Row, Size

LAST_RUN = Path(__file__).with_name("last_run.md")

_COLUMNS = {
    "jobs": "jobs",
    "kills": "kills",
    "images": "images",
    "tasks": "Runway tasks",
    "ended": "refused or cancelled",
    "unknown": "submissions unknown",
    "orphans": "tasks of these",
    "bought_twice": "bought twice",
    "images_lost": "images lost",
    "events_lost": "events lost",
    "left_waiting": "left without an end",
    "difference": "ledger difference",
}


def write(
    rows: Sequence[Row], accounts: Sequence[Account], *, machine: str, size: Size, whole: bool
) -> None:
    """Print the table; that of a whole run is kept."""
    text = "\n".join(table(rows, accounts))
    print(text)
    if whole:
        everything = reduce(add, accounts)
        conditions = (
            f"{machine}; three rows at a time; lease 1 s, an image takes half a second. Of the moments of a "
            f"life one in {size.every} was to be died at: {everything.moments}, of which "
            f"{everything.reached} came to pass."
        )
        LAST_RUN.write_text(f"{conditions}\n\n{text}\n")


def table(rows: Sequence[Row], accounts: Sequence[Account]) -> list[str]:
    """Return the table's lines."""
    lines = [
        f"| store | what happened | {' | '.join(_COLUMNS.values())} |",
        f"|---|---|{'--:|' * len(_COLUMNS)}",
    ]
    for row, account in zip(rows, accounts, strict=True):
        lines.append(_line(row.store, row.what, account))
    lines.append(_line("", "all of it", reduce(add, accounts)))
    return lines


def _line(store: str, what: str, account: Account) -> str:
    figures = (f"{getattr(account, name):,}" for name in _COLUMNS)
    return f"| {store} | {what} | {' | '.join(figures)} |"
