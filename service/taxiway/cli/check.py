"""`taxiway check`: what a configuration means, without starting anything."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taxiway.cli.options import Json

if TYPE_CHECKING:
    from rich.table import Table

    from taxiway.config import Description


def check(
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="A config.yaml, LiteLLM's too; else the environment alone."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Say what a configuration would serve, and what is wrong with it.

    Nothing is started. Exits 1 if the service would not start.
    """
    from dataclasses import asdict

    from taxiway.cli.loading import load
    from taxiway.config import describe
    from taxiway.store import check_url

    loaded = load(config)
    check_url(loaded.settings.database_url)
    description = describe(loaded)
    if json:
        from taxiway.cli.results import print_json

        print_json({"object": "configuration", **asdict(description)})
    else:
        _print(description, name="The environment" if config is None else config.name)


def _print(description: "Description", *, name: str) -> None:
    from rich.text import Text

    from taxiway.cli.consoles import out

    console = out()
    console.print(_table(description))
    key = "with a master key" if description.has_master_key else "without a key, this machine only"
    console.print()
    for sentence in description.routing:
        console.print(sentence, markup=False, soft_wrap=True)
    console.print(f"Serves at {description.address}, {key}; keeps jobs in {description.database}.")
    for warning in description.warnings:
        console.print("[yellow]Warning:[/yellow]", end=" ")
        console.print(warning, markup=False, soft_wrap=True)
    console.print(Text(f"{name} is fine", style="green").append(_warned(description), "default"))


def _table(description: "Description") -> "Table":
    from rich.table import Table
    from rich.text import Text

    rows = description.rows
    more = {
        "deployment": any(row.share or row.limits for row in rows),
        "share": any(row.share for row in rows),
        "limits": any(row.limits for row in rows),
        "at": len({row.api_base for row in rows}) > 1,
    }
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    wanted = [heading for heading, shown in more.items() if shown]
    for heading in ("model", "is", "sizes", "price", "key", *wanted):
        table.add_column(heading, overflow="fold")
    for row in rows:
        told = {
            "deployment": row.deployment,
            "share": row.share,
            "limits": ", ".join(row.limits),
            "at": row.api_base,
        }
        name = Text(row.model_name, style="bold")
        if row.aliases:
            name.append(f" ({', '.join(row.aliases)})", style="not bold dim")
        table.add_row(
            name,
            row.model,
            "?" if row.sizes is None else str(row.sizes),
            row.price,
            Text("yes", style="green") if row.has_key else Text("none", style="red"),
            *(Text(told[heading]) for heading in wanted),
        )
    return table


def _warned(description: "Description") -> str:
    from taxiway.cli.wording import plural

    count = len(description.warnings)
    return f", with {plural(count, 'warning')}." if count else "."
