"""A new configuration while the service runs: deployments and limits change, and no job or stream is dropped.

It is read when its files change and on SIGHUP. One that is broken is refused with a line in the log, and the old
one stays. Whatever a socket or the store was opened with needs a restart, and the log says so.
"""

import asyncio
from contextlib import suppress
from dataclasses import fields, replace
from typing import Protocol

from aiohttp import web

from taxiway.errors import ConfigError
from taxiway.server.keys import FLEET, LOGS, METRICS, PURSES, RUNNER
from taxiway.server.stations import open_stations
from taxiway.settings import Settings

#: How often the files are looked at. A change is read when it is this old: by then nobody is still writing.
PERIOD_S = 2.0

#: What takes effect without a restart.
RELOADED = frozenset(
    {
        "deployments",
        "aliases",
        "hidden_aliases",
        "routing",
        "num_retries",
        "job_timeout_s",
        "poll_interval_s",
        "resubmit_unknown",
        "retry_charged",
        "on_disconnect",
        "max_queued_jobs",
        "max_budget_microusd",
        "budget_duration",
        "provider_budgets",
        "budget_exceeded_status",
        "key_defaults",
        "key_bounds",
    }
)


class Source(Protocol):
    """Where settings come from. Both calls may take a while, and are made in a thread."""

    def read(self) -> Settings:
        """Return the settings as they are now. Raises `ConfigError`."""
        ...

    def stamp(self) -> object:
        """Return something that differs whenever reading again may give other settings."""
        ...


async def follow_source(app: web.Application, source: Source, asked: asyncio.Event) -> None:
    """Read a source anew whenever it has changed, or `asked` is set, until cancelled."""
    known = seen = await asyncio.to_thread(source.stamp)
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(PERIOD_S):
                await asked.wait()
        now = await asyncio.to_thread(source.stamp)
        if not asked.is_set() and (now == known or now != seen):
            seen = now
            continue
        asked.clear()
        await read_anew(app, source)
        known = seen = await asyncio.to_thread(source.stamp)


async def read_anew(app: web.Application, source: Source) -> None:
    """Read a source and let it take effect; where it is broken, say so and leave everything as it is."""
    note = app[LOGS].note
    try:
        settings = await asyncio.to_thread(source.read)
        reload(app, settings)
    except ConfigError as error:
        for problem in error.problems:
            note("config.refused", error=problem)


def reload(app: web.Application, settings: Settings) -> None:
    """Let other settings take effect, as far as they can without a restart. Raises `ConfigError`."""
    note, before = app[LOGS].note, app[RUNNER].settings
    fixed = [
        field.name
        for field in fields(settings)
        if field.name not in RELOADED
        and getattr(settings, field.name) != getattr(before, field.name)
    ]
    for name in fixed:
        note("config.restart_needed", message=f"{name} has changed, and takes effect at a restart.")
    after = replace(before, **{name: getattr(settings, name) for name in RELOADED})
    app[FLEET].replace(
        open_stations(app, after),
        aliases=after.aliases,
        hidden=after.hidden_aliases,
        routing=after.routing,
    )
    app[PURSES].offer(after)
    app[RUNNER].reload(after)
    app[METRICS].offer([each.model_name for each in after.deployments], aliases=after.aliases)
    note("config.reloaded", models=len({each.model_name for each in after.deployments}))
