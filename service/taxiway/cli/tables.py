"""Jobs as a table."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from taxiway.cli.consoles import out
from taxiway.cli.documents import JobDocument
from taxiway.cli.wording import COLOURS, age, short_money, stage

#: Ids are never cut, since they are there to be copied; the columns from the right go first.
_ROOM_FOR_SIZE = 92
_ROOM_FOR_PROMPT = 120


def print_jobs(jobs: Sequence[JobDocument], *, now: float, filtered: bool) -> None:
    """Print jobs as they come. `now` is the date in Unix seconds, for their ages."""
    console = out()
    if not jobs:
        console.print("No job is like that." if filtered else _NONE_YET, markup=False)
        return
    console.print(_table(jobs, console=console, now=now))


_NONE_YET = 'No job yet: `taxiway generate "a red fox in the snow"` asks for an image.'


def _table(jobs: Sequence[JobDocument], *, console: Console, now: float) -> Table:
    sizes, prompts = console.width >= _ROOM_FOR_SIZE, console.width >= _ROOM_FOR_PROMPT
    # Expanded, the prompt gets what the others leave. Otherwise a long one would take their room.
    table = Table(
        box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False, expand=prompts
    )
    table.add_column("job", no_wrap=True, min_width=36)
    table.add_column("status", no_wrap=True)
    table.add_column("model", no_wrap=True)
    if sizes:
        table.add_column("size", no_wrap=True)
    table.add_column("cost", justify="right", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    if prompts:
        table.add_column("prompt", no_wrap=True, style="dim", ratio=1)
    for job in jobs:
        table.add_row(
            job["id"],
            Text(stage(job), style=COLOURS[job["status"]]),
            Text(job["model"]),
            *([job["size"] or "?"] if sizes else []),
            short_money(job["cost"]),
            age(now - job["created_at"]),
            *([Text(" ".join(job["prompt"].split()))] if prompts else []),
        )
    return table
