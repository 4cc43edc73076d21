"""`taxiway usage`: what was spent, as the books of a running service have it."""

from typing import TYPE_CHECKING, Annotated

import typer

from taxiway.cli.options import DEFAULT_URL, Json, Key, Url
from taxiway.errors import TaxiwayError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taxiway.cli.client import Client
    from taxiway.cli.documents import UsageDocument, UsageRow


def usage(
    by: Annotated[
        str, typer.Option(metavar="LIST", help="What to see apart: model, key, day, with commas.")
    ] = "model",
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only what was booked from then on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only what was booked before.")
    ] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Show what was spent, in dollars and in credits."""
    import asyncio

    query = {"by": by, "since": since, "until": until}
    asked = {name: value for name, value in query.items() if value is not None}
    asyncio.run(_usage(asked, json=json, url=url, key=key))


async def _usage(query: dict[str, str], *, json: bool, url: str, key: str | None) -> None:
    from taxiway.cli.client import Client
    from taxiway.cli.results import print_json

    async with Client(url, key=key) as client:
        found = await client.usage(query)
        names = {} if json or "key" not in found["by"] else await _names(client)
    if json:
        print_json(found)
    else:
        _print(found, names)


async def _names(client: "Client") -> dict[str, str]:
    """Return what people call the keys, by their ids; nothing for whoever may not list them."""
    try:
        listed = [await client.keys({"status": status}) for status in ("deleted", "active")]
        listed += [await client.keys({"status": status}) for status in ("blocked", "expired")]
    except TaxiwayError:
        return {}
    return {key["token"]: key["key_alias"] or key["key_name"] for keys in listed for key in keys}


def _print(found: "UsageDocument", names: "Mapping[str, str]") -> None:
    from rich.table import Table

    from taxiway.cli.consoles import out

    total, console = found["total"], out()
    if not total["attempts"] and not total["reserved"]["usd"]:
        console.print("Nothing was spent.", markup=False)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for heading in found["by"] or [""]:
        table.add_column(heading.replace("_", " "), no_wrap=True)
    for heading in ("jobs", "tasks", "credits", "cost", "under way"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in found["data"]:
        groups = [str(row.get(name)) or "none" for name in found["by"]]
        groups = [names.get(group, group) for group in groups]
        table.add_row(*groups, *_numbers(row))
    heads = ["total", *[""] * (len(found["by"]) - 1)]
    table.add_row(*heads, *_numbers(total), style="bold")
    console.print(table)
    _print_doubts(total)


def _numbers(row: "UsageRow") -> list[str]:
    from taxiway.cli.wording import dollars, short_money

    reserved = row["reserved"]["usd"]
    return [
        f"{row['jobs']:,}",
        f"{row['tasks']:,}",
        f"{row['cost']['credits']:,}",
        short_money(row["cost"]),
        dollars(reserved) if reserved else "",
    ]


def _print_doubts(total: "UsageRow") -> None:
    from taxiway.cli.consoles import out
    from taxiway.cli.wording import dollars, plural

    cost = total["cost"]
    if estimated := cost["estimated_usd"]:
        sentence = (
            f"~ {dollars(estimated)} of it is estimated: the provider has not named the charge."
        )
        out().print(sentence, markup=False, soft_wrap=True)
    if unknown := cost["unknown_charges"]:
        sentence = (
            f"{plural(unknown, 'attempt')} of a model without a published price are in no sum."
        )
        out().print(sentence, markup=False, soft_wrap=True)
