"""`taxiway jobs`, `watch` and `cancel`: the jobs of a running service."""

from typing import Annotated, Literal

import typer

from taxiway.cli.options import DEFAULT_URL, JobId, Json, Key, Url

Status = Literal["queued", "in_progress", "completed", "failed", "cancelled"]

#: Stopping a Runway task takes a call or two; a viewer who waits longer is better told so.
_STOP_WAIT_S = 20.0


def jobs(
    status: Annotated[
        Status | None,
        typer.Option(metavar="STATUS", help="queued, in_progress, completed, failed or cancelled."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only jobs of this model.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="How many.")] = 20,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """List the jobs, newest first."""
    import asyncio

    query = {"status": status, "model": model, "limit": str(limit)}
    asked = {name: value for name, value in query.items() if value is not None}
    asyncio.run(_list(asked, json=json, url=url, key=key))


def watch(
    job_id: JobId,
    json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print each state as a line of JSON.")
    ] = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Watch a job live until it ends."""
    import asyncio

    from taxiway.cli.endings import leave

    try:
        asyncio.run(_watch(job_id, json=json, url=url, key=key))
    except KeyboardInterrupt:
        leave(job_id, url=url)


def cancel(job_id: JobId, json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Stop a job, at the provider too."""
    import asyncio

    asyncio.run(_cancel(job_id, json=json, url=url, key=key))


async def _list(query: dict[str, str], *, json: bool, url: str, key: str | None) -> None:
    from taxiway.cli.client import Client
    from taxiway.cli.results import print_json
    from taxiway.cli.tables import print_jobs
    from taxiway.clock import Clock

    async with Client(url, key=key) as client:
        found = await client.jobs(query)
    if json:
        print_json(found)
    else:
        print_jobs(found, now=Clock().now(), filtered=bool(query.keys() - {"limit"}))


async def _watch(job_id: str, *, json: bool, url: str, key: str | None) -> None:
    from taxiway.cli.client import Client
    from taxiway.cli.results import print_job, raise_failure
    from taxiway.cli.viewing import stream, view

    async with Client(url, key=key) as client:
        job = await (stream if json else view)(client, job_id)
    raise_failure(job)
    if not json:
        print_job(job)


async def _cancel(job_id: str, *, json: bool, url: str, key: str | None) -> None:
    import asyncio
    from contextlib import suppress

    from taxiway.cli.client import Client
    from taxiway.cli.documents import is_final
    from taxiway.cli.results import print_cancelled, print_json
    from taxiway.cli.viewing import settle

    async with Client(url, key=key) as client:
        before = await client.job(job_id)
        job = await client.cancel(job_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_WAIT_S):
                job = await settle(client, job_id)
    if json:
        print_json(job)
    else:
        print_cancelled(job, late=is_final(before))
