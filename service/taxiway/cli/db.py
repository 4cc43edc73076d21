"""`taxiway db`: the database behind the service."""

import typer

from taxiway.cli.options import Config, Database

#: Bringing a schema up to date needs no vendor, so a job that does nothing else need not know the key.
_NO_KEY = {"RUNWAYML_API_SECRET": "not-needed"}


def upgrade(config: Config = None, database: Database = None) -> None:
    """Bring a database to the current schema. `serve` does the same when it starts."""
    import asyncio

    from taxiway.cli.consoles import out
    from taxiway.cli.loading import load
    from taxiway.store import upgrade as upgrade_store

    settings = load(config, otherwise=_NO_KEY, database_url=database).settings
    done = asyncio.run(upgrade_store(settings.database_url))
    kind = settings.database_url.partition(":")[0]  # the rest may carry a password
    if done.before is None:
        sentence = f"The {kind} database is new, and at schema {done.after}."
    elif done.before == done.after:
        sentence = f"The {kind} database is at schema {done.after} already."
    else:
        sentence = f"The {kind} database went from schema {done.before} to {done.after}."
    out().print(sentence, markup=False, soft_wrap=True)


def group(context: typer.Context) -> None:
    """Look after the database."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
