"""How a command ends: with an exit code and, where it failed, one sentence on stderr. Never with a traceback.

0 done, 1 not done, 2 used wrongly, 130 interrupted.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

import typer

from taxiway.cli.options import elsewhere
from taxiway.errors import ConfigError, TaxiwayError

INTERRUPTED = 130


@dataclass(slots=True, kw_only=True)
class Session:
    """What the global options say."""

    debug: bool = False
    """Show where an error comes from."""


class Program(Protocol):
    """A command as typer builds it."""

    def main(
        self, args: Sequence[str], prog_name: str, *, standalone_mode: bool, obj: object
    ) -> object:
        """Carry the arguments out; returns an exit code, or whatever the command returned."""
        ...


def run(program: Program, arguments: Sequence[str]) -> int:
    """Carry out a command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(
                errors="replace"
            )  # a tick that cannot be written is no reason to fail
    session = Session()
    try:
        code = program.main(arguments, "taxiway", standalone_mode=False, obj=session)
    except typer.Exit as end:
        return end.exit_code
    except Exception as error:  # the outermost place: a traceback is for --debug alone
        if session.debug:
            raise
        sentences, code = _words_of(error)
        for sentence in sentences:
            complain(sentence)
    return code if isinstance(code, int) else 0


def complain(sentence: str) -> None:
    """Write an error's sentence."""
    from taxiway.cli.consoles import err

    console = err()
    console.print("[bold red]Error:[/bold red]", end=" ")
    console.print(sentence, markup=False, soft_wrap=True)


def leave(job_id: str | None, *, url: str) -> NoReturn:
    """End after Ctrl-C: say what becomes of the job."""
    from taxiway.cli.consoles import err

    if job_id is None:
        sentence = f"Whether the service took the request, `taxiway jobs{elsewhere(url)}` tells."
    else:
        where = elsewhere(url)
        sentence = (
            f"The job goes on: `taxiway watch {job_id}{where}` shows it, "
            f"`taxiway cancel {job_id}{where}` stops it."
        )
    err().print(sentence, markup=False, soft_wrap=True)
    raise typer.Exit(INTERRUPTED)


def _words_of(error: Exception) -> tuple[Sequence[str], int]:
    """Return what to say about an error, and the exit code. Only a configuration can need several sentences."""
    if isinstance(error, typer.TyperException):
        return [_usage(error)], error.exit_code
    if isinstance(error, ConfigError):
        return error.problems, 1
    if isinstance(error, TaxiwayError):
        return [error.message], 1
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return [f"{error.strerror or error}{where}."], 1
    kind = type(error).__name__
    return [f"{kind}: {error} (a fault of Taxiway's own; --debug shows where it is)."], 1


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    path = "taxiway" if context is None else context.command_path
    message = error.format_message().replace("\n\t", " ").removesuffix(".")
    return f"{message.replace('Value error, ', '')} (see `{path} --help`)."
