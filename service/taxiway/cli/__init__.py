"""The command line: `taxiway …` and `python -m taxiway …`.

Every command is a thin shell in a file of its family, and imports what it needs when it is carried out, so that
`--help` and `--version` answer at once.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from taxiway.cli import db, keys
from taxiway.cli.check import check
from taxiway.cli.demo import demo
from taxiway.cli.endings import Session, run
from taxiway.cli.generate import generate
from taxiway.cli.jobs import cancel, jobs, watch
from taxiway.cli.options import Command, Group, examples
from taxiway.cli.reconcile import reconcile
from taxiway.cli.sandbox import sandbox
from taxiway.cli.serve import serve
from taxiway.cli.usage import usage

app = typer.Typer(
    cls=Group,
    add_completion=False,
    invoke_without_command=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=examples("taxiway demo", 'taxiway generate "a red fox in the snow" --size 1920x1080'),
)

_SERVING = "Serving"
_SERVICE = "A running service"


def main() -> None:
    """Carry out the command line of this process, and exit."""
    sys.exit(carry_out(sys.argv[1:]))


def carry_out(arguments: Sequence[str]) -> int:
    """Carry out a command line and return its exit code."""
    return run(typer.main.get_command(app), arguments)


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"taxiway {version('taxiway')}")
        raise typer.Exit


@app.callback()
def taxiway(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            is_eager=True,
            callback=_tell_version,
            help="Print the version and exit.",
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", metavar="", envvar="TAXIWAY_DEBUG", help="Show where an error comes from."
        ),
    ] = False,
) -> None:
    """Taxiway, the way onto Runway: images with live progress, exact cost, and each paid for once."""
    if isinstance(context.obj, Session):
        context.obj.debug = debug
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command(cls=Command, epilog=examples("taxiway demo", "taxiway demo --keep"))(demo)
app.command(
    cls=Command,
    rich_help_panel=_SERVING,
    epilog=examples("taxiway serve", "taxiway serve --config config.yaml --port 8080"),
)(serve)
app.command(
    cls=Command,
    rich_help_panel=_SERVING,
    epilog=examples("taxiway sandbox", "taxiway sandbox --duration 20 --fault 'poll:502 p=0.2'"),
)(sandbox)
app.command(cls=Command, rich_help_panel=_SERVING, epilog=examples("taxiway check config.yaml"))(
    check
)
app.command(
    cls=Command,
    rich_help_panel=_SERVICE,
    epilog=examples(
        'taxiway generate "a red fox in the snow"',
        'taxiway generate "a @cat on the moon" --reference cat=tom.png --n 2 --out pictures',
    ),
)(generate)
app.command(
    cls=Command,
    rich_help_panel=_SERVICE,
    epilog=examples("taxiway jobs", "taxiway jobs --status failed --json"),
)(jobs)
app.command(
    cls=Command,
    rich_help_panel=_SERVICE,
    epilog=examples("taxiway watch job_019ac3f0c1d27d51b7a1f6a2c8e94b30"),
)(watch)
app.command(
    cls=Command,
    rich_help_panel=_SERVICE,
    epilog=examples("taxiway cancel job_019ac3f0c1d27d51b7a1f6a2c8e94b30"),
)(cancel)
app.command(
    cls=Command,
    rich_help_panel=_SERVICE,
    epilog=examples("taxiway usage", "taxiway usage --by model,day --since 2026-11-01"),
)(usage)
app.command(
    cls=Command,
    rich_help_panel=_SERVICE,
    epilog=examples("taxiway reconcile --config config.yaml", "taxiway reconcile --days 7 --json"),
)(reconcile)

virtual_keys = typer.Typer(
    cls=Group, invoke_without_command=True, rich_markup_mode="rich", add_completion=False
)
virtual_keys.callback()(keys.group)
virtual_keys.command(
    cls=Command,
    epilog=examples(
        "taxiway keys create --alias ann --budget 10 --every 1mo",
        "taxiway keys create --models 'runwayml/gen4*' --rpm 30 --expires 12h",
    ),
)(keys.create)
virtual_keys.command(
    "list", cls=Command, epilog=examples("taxiway keys list", "taxiway keys list --json")
)(keys.list_)
virtual_keys.command(cls=Command, epilog=examples("taxiway keys revoke ann"))(keys.revoke)
app.add_typer(
    virtual_keys,
    name="keys",
    rich_help_panel=_SERVICE,
    epilog=examples("taxiway keys create --help"),
)

database = typer.Typer(
    cls=Group, invoke_without_command=True, rich_markup_mode="rich", add_completion=False
)
database.callback()(db.group)
database.command(
    cls=Command,
    epilog=examples("taxiway db upgrade", "taxiway db upgrade --database sqlite:///taxiway.db"),
)(db.upgrade)
app.add_typer(
    database, name="db", rich_help_panel=_SERVING, epilog=examples("taxiway db upgrade --help")
)
