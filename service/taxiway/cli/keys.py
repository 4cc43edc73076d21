"""`taxiway keys`: the virtual keys of a running service. They need its master key."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from taxiway.cli.options import DEFAULT_URL, Json, Key, Url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taxiway.cli.client import Client
    from taxiway.cli.documents import KeyDocument

Status = Literal["active", "blocked", "expired", "deleted"]

_Master = Key
_Named = Annotated[
    list[str],
    typer.Argument(metavar="KEY...", help="Keys, their ids (`vk_…`), or their aliases."),
]


def group(context: typer.Context) -> None:
    """Hand out keys with budgets and limits, and take them back."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def create(
    alias: Annotated[
        str | None, typer.Option("--alias", metavar="NAME", help="A label for it.")
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="What it may ask for, with commas; `*` matches anything."
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(metavar="USD", min=0, help="What its jobs may cost.")
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When the budget begins anew: 1d, 1w, 1mo."),
    ] = None,
    rpm: Annotated[int | None, typer.Option(metavar="N", min=1, help="Jobs in any minute.")] = None,
    parallel: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Jobs under way at once; more wait.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long it is good: 12h, 30d, 6mo.")
    ] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: _Master = None,
) -> None:
    """Make a key. It is printed this once, alone on stdout."""
    import asyncio

    fields = {
        "key_alias": alias,
        "models": None if models is None else [each.strip() for each in models.split(",")],
        "max_budget": budget,
        "budget_duration": every,
        "rpm_limit": rpm,
        "max_parallel_requests": parallel,
        "duration": expires,
    }
    asked = {name: value for name, value in fields.items() if value is not None}
    asyncio.run(_create(asked, json=json, url=url, key=key))


def list_(
    status: Annotated[
        Status | None, typer.Option(metavar="STATUS", help="active, blocked, expired or deleted.")
    ] = None,
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only keys with this in their alias or name.")
    ] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: _Master = None,
) -> None:
    """List the keys, newest first, with what they have spent."""
    import asyncio

    query = {"status": status, "search": search}
    asked = {name: value for name, value in query.items() if value is not None}
    asyncio.run(_list(asked, json=json, url=url, key=key))


def revoke(
    keys: _Named,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: _Master = None,
) -> None:
    """Delete keys for good. What they have asked for goes on, and stays in the books."""
    import asyncio

    asyncio.run(_revoke(keys, json=json, url=url, key=key))


async def _create(fields: "Mapping[str, object]", *, json: bool, url: str, key: str | None) -> None:
    from taxiway.cli.client import Client
    from taxiway.cli.key_tables import print_made
    from taxiway.cli.results import print_json

    async with Client(url, key=key) as client:
        made = await client.make_key(fields)
    if json:
        print_json(made)
    else:
        print_made(made)


async def _list(query: dict[str, str], *, json: bool, url: str, key: str | None) -> None:
    from taxiway.cli.client import Client
    from taxiway.cli.key_tables import print_keys
    from taxiway.cli.results import print_json

    async with Client(url, key=key) as client:
        found = await client.keys(query)
    if json:
        print_json(found)
    else:
        print_keys(found, filtered=bool(query))


async def _revoke(named: list[str], *, json: bool, url: str, key: str | None) -> None:
    from taxiway.cli.client import Client
    from taxiway.cli.key_tables import print_revoked
    from taxiway.cli.results import print_json
    from taxiway.errors import TaxiwayError

    gone: list[KeyDocument] = []
    missing = []
    async with Client(url, key=key) as client:
        for name in dict.fromkeys(named):
            found = await _find(client, name)
            if found is None:
                missing.append(name)
            else:
                await client.delete_key(found["token"])
                gone.append(found)
    if json:
        print_json({"deleted_keys": [each["token"] for each in gone]})
    else:
        print_revoked(gone)
    if missing:
        shown = ", ".join(each if not each.startswith("sk-") else "sk-…" for each in missing)
        raise TaxiwayError(f"There is no key {shown}; `taxiway keys list` shows what there is.")


async def _find(client: "Client", name: str) -> "KeyDocument | None":
    """Return the key that is meant, None where there is none."""
    if name.startswith(("sk-", "vk_")):
        return await client.key_info(name)
    found = await client.keys({"key_alias": name})
    return found[0] if found else None
