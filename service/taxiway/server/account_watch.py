"""The accounts at the providers, looked at once a minute: a failed job is a late way to learn that one is empty.

The look is free. A failed one is counted, and changes nothing that is shown: what was last known stays.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from aiohttp import ClientSession, web

from taxiway.cadence import every
from taxiway.errors import ProviderUnavailableError
from taxiway.metrics import Metrics
from taxiway.protocols import Note
from taxiway.providers.runway_account import Account, RunwayAccount, open_accounts
from taxiway.server.keys import LOGS, METRICS, RUNNER, SESSION, WATCH
from taxiway.settings import Deployment

#: Credits and quotas move with the jobs, whose own numbers are exact; this is to see them run out in time.
ACCOUNT_PERIOD_S = 60.0

#: The start is for the jobs that wait; and whoever only tries something out has left by then.
ACCOUNT_FIRST_S = 10.0


@asynccontextmanager
async def accounts(app: web.Application) -> AsyncIterator[None]:
    """Look at every account while the context lasts. It comes after the `watch` that runs its task."""
    runner = app[RUNNER]
    watching = watch_accounts(
        lambda: runner.settings.deployments,
        session=app[SESSION],
        metrics=app[METRICS],
        note=app[LOGS].note,
    )
    async with app[WATCH].running("account", watching):
        yield


async def watch_accounts(
    deployments: Callable[[], Sequence[Deployment]],
    *,
    session: ClientSession,
    metrics: Metrics,
    note: Note,
) -> None:
    """Look at the accounts behind the deployments every `ACCOUNT_PERIOD_S` until cancelled.

    The deployments are asked for each time: a configuration may be read anew.
    """
    rounds = metrics.background("account")
    known: Sequence[Deployment] | None = None
    found: tuple[RunwayAccount, ...] = ()
    async for _ in every(ACCOUNT_PERIOD_S, first_s=ACCOUNT_FIRST_S):
        if (now := deployments()) != known:
            known = now
            found = open_accounts(now, session=session, instruments=metrics, note=note)
            metrics.know_accounts(account.name for account in found)
        for account in found:
            with suppress(ProviderUnavailableError), rounds:
                show(account, await account.account(), metrics=metrics)


def show(account: RunwayAccount, seen: Account, *, metrics: Metrics) -> None:
    """Put what was seen of an account into the numbers, for the models that are on offer."""
    if seen.credits is not None:
        metrics.credits_balance(account.name, seen.credits)
    for public_name, model in account.models:
        limits = seen.limits.get(model)
        metrics.limits(
            account.name,
            public_name,
            slots=limits.slots if limits else None,
            daily_remaining=limits.daily_remaining if limits else None,
        )
