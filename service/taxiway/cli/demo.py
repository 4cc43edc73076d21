"""`taxiway demo`: the whole way from a prompt to a saved image, on this machine, without a key."""

from typing import Annotated

import typer


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", metavar="", help="Leave the service up until Ctrl-C.")
    ] = False,
    duration: Annotated[
        float, typer.Option(metavar="S", min=0, hidden=True, help="How long the image takes.")
    ] = 6.0,
) -> None:
    """Make an image with a local Runway and the real service: no key, no cost, ten seconds."""
    from taxiway.cli.demonstration import demonstrate
    from taxiway.cli.loops import run_fast

    run_fast(demonstrate(keep=keep, duration_s=duration))
