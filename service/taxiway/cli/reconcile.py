"""`taxiway reconcile`: whether the books say what Runway has charged."""

from typing import TYPE_CHECKING, Annotated

import typer

from taxiway.cli.options import DEFAULT_URL, Config, Json, Key, Url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taxiway.cli.client import Client
    from taxiway.cli.documents import JobDocument, UsageRow
    from taxiway.cli.reconciliation import Comparison
    from taxiway.settings import Settings

#: Runway's usage goes back so far in one answer.
_DAYS_MAX = 90

_DAY_S = 86_400


def reconcile(
    config: Config = None,
    days: Annotated[
        int, typer.Option(metavar="N", min=1, max=_DAYS_MAX, help="How far to look back.")
    ] = 30,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Compare the books of a running service with Runway's own account.

    The accounts are those of the configuration. Exits 1 where credits or tasks differ. It buys nothing.
    """
    import asyncio

    from taxiway.cli.loading import load

    settings = load(config).settings
    agrees = asyncio.run(_reconcile(settings, days=days, json=json, url=url, key=key))
    if not agrees:
        raise typer.Exit(1)


async def _reconcile(
    settings: "Settings", *, days: int, json: bool, url: str, key: str | None
) -> bool:
    from taxiway.cli.client import Client
    from taxiway.cli.reconciled import document, show
    from taxiway.cli.results import print_json
    from taxiway.clock import Clock

    async with Client(url, key=key) as client:
        found, unknown, elsewhere = await _compare(client, settings, days=days, now=Clock().now())
    if json:
        print_json(document(found, unknown=unknown, elsewhere=elsewhere))
    else:
        show(found, unknown=unknown, elsewhere=elsewhere, days=days)
    return all(comparison.agrees for comparison in found)


async def _compare(
    client: "Client", settings: "Settings", *, days: int, now: float
) -> "tuple[list[Comparison], list[JobDocument], dict[str, int]]":
    """Return the accounts compared, the jobs whose submission is unknown, and what no account is behind."""
    from datetime import UTC, datetime, timedelta

    from taxiway.cli.reconciliation import Comparison, counts_of, lines_of, unclaimed
    from taxiway.errors import ConfigError
    from taxiway.protocols import NoInstruments, no_note
    from taxiway.providers import open_session
    from taxiway.providers.runway_account import open_accounts

    today = datetime.fromtimestamp(now, UTC).date()
    first, before = today - timedelta(days=days - 1), today + timedelta(days=1)
    async with open_session() as session:
        accounts = open_accounts(
            settings.deployments, session=session, instruments=NoInstruments(), note=no_note
        )
        if not accounts:
            raise ConfigError("No deployment has a key, so there is no account to compare with.")
        # Runway first: what is bought between the two looks is then a job under way, and no surprise.
        theirs = [
            (
                each,
                await each.account(),
                await each.spent(first=first, before=before),
                await each.made(),
            )
            for each in accounts
        ]
    rows = await _rows(client, "day", since=first.isoformat())
    ended = await _rows(client, since=str(now - _DAY_S))
    ended_early = await _rows(
        client, since=str(now - _DAY_S), until=str(now - _DAY_S + settings.job_timeout_s)
    )
    unknown = await client.every_job({"error": "submission_unknown", "since": first.isoformat()})
    open_ = await client.every_job({"status": "queued,in_progress"})
    recent = [job for job in unknown if job["created_at"] > now - _DAY_S]
    found = [
        Comparison(
            account=each.name,
            balance=seen.credits,
            lines=lines_of(spent, rows, deployments=each.deployments),
            counts=counts_of(
                made,
                ended=ended,
                ended_early=ended_early,
                doubtful=[*open_, *recent],
                deployments=each.deployments,
            ),
        )
        for each, seen, spent, made in theirs
    ]
    configured = frozenset().union(*(each.deployments for each in accounts))
    return found, unknown, unclaimed(rows, deployments=configured)


async def _rows(client: "Client", *more: str, **bounds: str) -> "Sequence[UsageRow]":
    by = ",".join(("deployment", "upstream_model", *more))
    return (await client.usage({"by": by, **bounds}))["data"]
