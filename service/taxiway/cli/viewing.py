"""A job followed to its end: as a bar, as lines of JSON, or in silence."""

from collections.abc import Callable
from contextlib import aclosing

from rich.console import Console

from taxiway.cli.bars import bar_for
from taxiway.cli.client import Client
from taxiway.cli.consoles import err
from taxiway.cli.documents import JobDocument
from taxiway.cli.following import Following
from taxiway.cli.results import print_json
from taxiway.clock import Clock
from taxiway.errors import TaxiwayError


async def view(
    client: Client,
    job_id: str,
    *,
    first: JobDocument | None = None,
    console: Console | None = None,
) -> JobDocument:
    """Show a job as a bar until it is final and return it then. `first` is a state that is known already.

    Raises `TaxiwayError`, as the others here do.
    """
    with bar_for(console or err(), now=Clock().now) as bar:
        if first is not None:
            bar.show(first)
        following = Following(client, job_id, lost=bar.say, known=first is not None)
        return await to_its_end(following, see=bar.show)


async def stream(client: Client, job_id: str) -> JobDocument:
    """Print each state of a job as a line of JSON until it is final, and return it then."""
    return await to_its_end(Following(client, job_id, lost=_nothing), see=print_json)


async def settle(client: Client, job_id: str) -> JobDocument:
    """Wait in silence until a job is final and return it then."""
    return await to_its_end(Following(client, job_id, lost=_nothing, known=True), see=_nothing)


async def to_its_end(following: Following, *, see: Callable[[JobDocument], object]) -> JobDocument:
    """Hand every state of a job to `see`, and return the last."""
    last = None
    async with aclosing(following.states()) as states:
        async for last in states:
            see(last)
    if last is None:
        raise TaxiwayError("The job's stream ended without a word.")
    return last


def _nothing(_: object) -> None:
    """Show nothing."""
