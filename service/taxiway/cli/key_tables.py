"""Virtual keys as people read them: a table of them, a new one, those that are gone."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from taxiway.cli.consoles import err, out
from taxiway.cli.documents import KeyDocument, NewKeyDocument
from taxiway.cli.wording import age, dollars, plural
from taxiway.clock import Clock

#: One colour per status.
_COLOURS = {"active": "green", "blocked": "red", "expired": "yellow", "deleted": "magenta"}

#: The columns from the right go first where there is no room; ids are there to be copied.
_ROOM_FOR_LIMITS = 92
_ROOM_FOR_MODELS = 116
_ROOM_FOR_IDS = 150


def print_made(made: NewKeyDocument) -> None:
    """Print a new key alone on stdout, and beside it, for people, what it may do."""
    out().print(made["key"], markup=False, highlight=False, soft_wrap=True)
    console = err()
    name = made["key_alias"] or made["token"]
    line = Text(name, style="bold").append(f" {', '.join(_may(made))}", style="not bold")
    console.print(line, soft_wrap=True)
    for warning in made["warnings"]:
        console.print(Text(warning, style="yellow"), soft_wrap=True)
    console.print("Keep it: it is not shown again.", style="dim", soft_wrap=True)


def print_keys(keys: Sequence[KeyDocument], *, filtered: bool) -> None:
    """Print keys as they come."""
    console = out()
    if not keys:
        console.print("No key is like that." if filtered else _NONE_YET, markup=False)
        return
    console.print(_table(keys, console=console, now=Clock().now()))


def print_revoked(keys: Sequence[KeyDocument]) -> None:
    """Print which keys are gone, and what they have cost."""
    for key in keys:
        line = Text(_title(key), style="bold")
        line.append(f" is revoked; it has spent {dollars(key['total_spend'])}.", style="not bold")
        out().print(line, soft_wrap=True)


_NONE_YET = "No key yet: `taxiway keys create --alias ann --budget 10 --every 1mo` makes one."


def _table(keys: Sequence[KeyDocument], *, console: Console, now: float) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    limits, models = console.width >= _ROOM_FOR_LIMITS, console.width >= _ROOM_FOR_MODELS
    ids = console.width >= _ROOM_FOR_IDS
    for heading in ("key", "alias", "status"):
        table.add_column(heading, no_wrap=True)
    for heading in ("spent", "under way", "budget"):
        table.add_column(heading, justify="right", no_wrap=True)
    if limits:
        table.add_column("limits", no_wrap=True)
        table.add_column("used", justify="right", no_wrap=True)
    if models:
        table.add_column("models", no_wrap=True, overflow="ellipsis")
    if ids:
        table.add_column("id", no_wrap=True, style="dim")
    for key in keys:
        table.add_row(
            key["key_name"],
            Text(key["key_alias"] or ""),
            Text(key["status"], style=_COLOURS[key["status"]]),
            dollars(key["spend"]),
            dollars(key["reserved"]) if key["reserved"] else "",
            Text(_budget(key), style=_alarm(key)),
            *([", ".join(_limits(key)), _used(key, now)] if limits else []),
            *([Text(", ".join(key["models"]) or "all")] if models else []),
            *([key["token"]] if ids else []),
        )
    return table


def _title(key: KeyDocument) -> str:
    return key["key_alias"] or key["key_name"]


def _may(key: KeyDocument) -> Iterator[str]:
    models = key["models"]
    yield f"may use {', '.join(models) if models else 'every model'}"
    if key["max_budget"] is not None:
        yield f"for {_budget(key)}"
    yield from _limits(key)
    if key["expires"] is not None:
        yield f"until {key['expires'][:16].replace('T', ' ')} UTC"


def _budget(key: KeyDocument) -> str:
    if key["max_budget"] is None:
        return ""
    every = f" a {key['budget_duration']}" if key["budget_duration"] else ""
    return dollars(key["max_budget"]) + every.replace(" a ", " per ")


def _alarm(key: KeyDocument) -> str:
    budget = key["max_budget"]
    return "" if budget is None or key["spend"] + key["reserved"] < budget else "red"


def _limits(key: KeyDocument) -> Iterator[str]:
    if key["rpm_limit"] is not None:
        yield f"{plural(key['rpm_limit'], 'job')} a minute"
    if key["max_parallel_requests"] is not None:
        yield f"{key['max_parallel_requests']} at once"


def _used(key: KeyDocument, now: float) -> str:
    if key["last_active"] is None:
        return "never"
    return f"{age(now - datetime.fromisoformat(key['last_active']).timestamp())} ago"
