"""`taxiway sandbox`: a local Runway, with every way to go wrong."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from taxiway.sandbox import Sandbox

_TIME = "Time"
_LIMITS = "Limits and money"
_FAULTS = "Faults"


def sandbox(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0: a free one.")] = 9000,
    duration: Annotated[
        float,
        typer.Option(metavar="S", min=0, rich_help_panel=_TIME, help="How long an image takes."),
    ] = 6.0,
    queue: Annotated[
        float,
        typer.Option(metavar="S", min=0, rich_help_panel=_TIME, help="PENDING before that."),
    ] = 0.5,
    jitter: Annotated[
        float,
        typer.Option(
            metavar="SHARE", min=0, max=0.99, rich_help_panel=_TIME, help="Both vary by this share."
        ),
    ] = 0.0,
    time_scale: Annotated[
        float, typer.Option(metavar="X", rich_help_panel=_TIME, help="How much faster time goes.")
    ] = 1.0,
    url_ttl: Annotated[
        float,
        typer.Option(metavar="S", min=0, rich_help_panel=_TIME, help="How long image URLs last."),
    ] = 86_400.0,
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, rich_help_panel=_LIMITS, help="Tasks per model; more: THROTTLED."
        ),
    ] = None,
    daily_quota: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, rich_help_panel=_LIMITS, help="Tasks per model and day."),
    ] = None,
    balance: Annotated[
        int,
        typer.Option(metavar="CREDITS", min=0, rich_help_panel=_LIMITS, help="On the account."),
    ] = 1_000_000,
    api_keys: Annotated[
        list[str] | None,
        typer.Option(
            "--api-key",
            metavar="KEY",
            rich_help_panel=_LIMITS,
            help="Accept this key only; may be repeated. Without it any key will do.",
        ),
    ] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="FAULT",
            rich_help_panel=_FAULTS,
            help="What goes wrong, such as 'create:429 times=2', 'poll:502 p=0.1', 'slow:20', "
            "'fail:SAFETY.INPUT.TEXT prompt=rude'; may be repeated.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(metavar="N", rich_help_panel=_FAULTS, help="The same seed, the same jitter."),
    ] = 0,
) -> None:
    """Run a local Runway: no key, no cost, and every way to go wrong."""
    from taxiway.cli.listening import listening
    from taxiway.cli.loops import run_fast, until_told
    from taxiway.sandbox import SandboxSettings, serve
    from taxiway.sandbox.marks import parse_rule

    try:
        settings = SandboxSettings(
            duration_s=duration,
            queue_s=queue,
            jitter=jitter,
            time_scale=time_scale,
            url_ttl_s=url_ttl,
            concurrency=concurrency,
            daily_quota=daily_quota,
            balance=balance,
            api_keys=tuple(api_keys or ()),
            faults=tuple(parse_rule(fault) for fault in faults or ()),
            seed=seed,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error).removesuffix(".")) from error
    with listening(host, port):
        run_fast(until_told(serve(settings, host=host, port=port, ready=_announce)))


def _announce(sandbox: "Sandbox") -> None:
    from taxiway.cli.consoles import out

    console = out()
    console.print(f"[bold green]Sandbox Runway[/] at [bold]{sandbox.url}[/]")
    key = sandbox.settings.api_keys[0] if sandbox.settings.api_keys else "any"
    console.print("A service that uses it:", style="dim")
    console.print(
        f"  RUNWAYML_API_BASE={sandbox.url} RUNWAYML_API_SECRET={key} taxiway serve",
        markup=False,
        soft_wrap=True,
    )
    console.print(
        "A prompt may ask for a fault: 'a red fox [[fail:INTERNAL]]'.  Ctrl-C stops.",
        style="dim",
        markup=False,
    )
    console.file.flush()
