"""How a comparison of the books with Runway's account is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from taxiway.cli.consoles import out
from taxiway.cli.documents import JobDocument
from taxiway.cli.reconciliation import Comparison, Count, Line
from taxiway.cli.wording import plural, short_money

#: So many jobs are named; `taxiway jobs` and `--json` have the rest.
_NAMED = 20


def document(
    found: Sequence[Comparison], *, unknown: Sequence[JobDocument], elsewhere: Mapping[str, int]
) -> dict[str, Any]:
    """Return a comparison for programs."""
    return {
        "object": "reconciliation",
        "agrees": all(each.agrees for each in found),
        "accounts": [
            {
                "account": each.account,
                "balance_credits": each.balance,
                "agrees": each.agrees,
                "credits": [{**asdict(line), "difference": line.difference} for line in each.lines],
                "tasks": [{**asdict(count), "agrees": count.agrees} for count in each.counts],
            }
            for each in found
        ],
        "submission_unknown": [job["id"] for job in unknown],
        "deployments_not_configured": dict(elsewhere),
    }


def show(
    found: Sequence[Comparison],
    *,
    unknown: Sequence[JobDocument],
    elsewhere: Mapping[str, int],
    days: int,
) -> None:
    """Print a comparison for people: what agrees in a sentence, what does not in full."""
    for each in found:
        _show_account(each, days=days)
    _show_unknown(unknown)
    for name, amount in sorted(elsewhere.items()):
        _say(f"{plural(amount, 'credit')} are booked for {name}, which is not configured any more.")


def _show_account(found: Comparison, *, days: int) -> None:
    booked = sum(line.booked for line in found.lines)
    over = f"over {plural(days, 'day')}" if days > 1 else "today"
    balance = "" if found.balance is None else f", {found.balance:,} left"
    if found.agrees:
        ok = Text("agree", style="green")
        line = Text(f"{found.account}: the books and Runway ").append_text(ok)
        out().print(line.append(f" on {plural(booked, 'credit')} {over}{balance}."), soft_wrap=True)
        return
    line = Text(f"{found.account}: the books and Runway ").append("differ", style="red")
    out().print(line.append(f" {over}{balance}."), soft_wrap=True)
    differing = [line for line in found.lines if line.difference]
    if differing:
        out().print(_credits(differing))
    for count in found.counts:
        if not count.agrees:
            _say(_tasks(count))


def _credits(lines: Sequence[Line]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim", pad_edge=False)
    for heading in ("day", "model"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Runway", "booked", "difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(
            line.day, line.model, f"{line.runway:,}", f"{line.booked:,}", f"{line.difference:+,}"
        )
    return table


def _tasks(count: Count) -> str:
    booked = str(count.least) if count.least == count.most else f"{count.least} to {count.most}"
    return (
        f"{count.model}: Runway has made {plural(count.runway, 'task')} in 24 hours, "
        f"the books know of {booked}."
    )


def _show_unknown(unknown: Sequence[JobDocument]) -> None:
    if not unknown:
        return
    _say(
        f"{plural(len(unknown), 'submission')} without a known outcome, booked at the price: "
        "if Runway made no task of it, the books have that much too much."
    )
    for job in unknown[:_NAMED]:
        _say(f"  {job['id']}  {job['model']}  {short_money(job['cost'])}")
    if len(unknown) > _NAMED:
        _say(f"  and {len(unknown) - _NAMED} more")


def _say(sentence: str) -> None:
    out().print(sentence, markup=False, soft_wrap=True)
