"""What several commands share: their options, and help pages that show an example."""

import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

DEFAULT_URL = "http://127.0.0.1:4000"


def service_url(text: str) -> str:
    """Return a service's base URL, without the `/v1` that SDKs want at its end. Refuses anything but HTTP."""
    url = text.strip().rstrip("/").removesuffix("/v1")
    if not _is_base(url):
        raise typer.BadParameter(f"a URL looks like {DEFAULT_URL}, {text!r} does not")
    return url


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port out of range, or brackets around no IPv6 address
        return False
    return named and re.search(r"[\s?#]", url) is None


def key(text: str | None) -> str | None:
    """Return a key without the line's end of a file it was read from. Refuses what no header can carry."""
    stripped = None if text is None else text.strip()
    if stripped and not stripped.isprintable():
        raise typer.BadParameter("a key is one line of text")
    return stripped


Url = Annotated[
    str,
    typer.Option(
        "--url", metavar="URL", envvar="TAXIWAY_URL", callback=service_url, help="The service."
    ),
]

Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        envvar="TAXIWAY_KEY",
        callback=key,
        help="The key it asks for.",
        show_default=False,
    ),
]


def job_id(text: str) -> str:
    """Return a job's id. Refuses what cannot be one, before it becomes a part of an address."""
    if not re.fullmatch(r"job_[0-9A-Za-z]+", text):
        raise typer.BadParameter(f"a job's id begins with job_, {text!r} does not")
    return text


JobId = Annotated[
    str, typer.Argument(metavar="JOB", callback=job_id, help="The job's id, `job_…`.")
]

Json = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON, for programs.")]

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="A config.yaml, LiteLLM's too."),
]

Database = Annotated[
    str | None,
    typer.Option(
        "--database", "--database-url", metavar="URL", help="Such as sqlite:///taxiway.db."
    ),
]


def elsewhere(url: str) -> str:
    """Return what a suggested command needs so that it reaches the same service."""
    return "" if url == os.environ.get("TAXIWAY_URL", DEFAULT_URL) else f" --url {url}"


def examples(*lines: str) -> str:
    """Return the foot of a help page."""
    body = "\n".join(f"  [cyan]{line}[/cyan]" for line in lines)
    return f"[bold]{'Example' if len(lines) == 1 else 'Examples'}[/bold]\n{body}"


class Command(TyperCommand):
    """A command whose help calls `--help` no `<bool>`, and writes arguments as their names."""

    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:  # type: ignore[override] # as below
        """Return the parts of the usage line."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def get_help_option(self, ctx: typer.Context) -> TyperOption | None:  # type: ignore[override] # the base's context is the same class under its private name
        """Return the option without a type."""
        return _untyped(super().get_help_option(ctx))


class Group(TyperGroup):
    """The same for a group of commands."""

    def get_help_option(self, ctx: typer.Context) -> TyperOption | None:  # type: ignore[override] # as above
        """Return the option without a type."""
        return _untyped(super().get_help_option(ctx))


def _untyped(option: TyperOption | None) -> TyperOption | None:
    if option is not None:
        option.metavar = ""
    return option
