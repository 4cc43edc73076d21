"""What the service needs, in the order it is needed; it is let go of in the reverse order.

Read from top to bottom, `LIFECYCLE` is the start: the store is opened and brought up to date, the one session
to all providers is made, the deployments get their adapters, and the runner takes up every job that an earlier
process left unfinished. Only then does the port open.

Read from bottom to top it is the shutdown: nobody is asked any more whether all is well, the runner finishes
the submissions under way, whose answers are the only trace of what they bought, and lets go of the rest; what
was recorded is committed; connections, store and log are closed.

Concrete parts are chosen here, for the service, and in `api.py`, for those who import Taxiway instead.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from aiohttp import web

from taxiway.archive import default_url, open_archive
from taxiway.archive.spool import Spool
from taxiway.clock import Clock
from taxiway.journal import Journal
from taxiway.keyring import KeyRing
from taxiway.logs import Logs
from taxiway.metrics import Metrics, watch_loop
from taxiway.providers import open_session
from taxiway.purses import Purses
from taxiway.replicas import Replica
from taxiway.routing.dispatcher import Dispatcher
from taxiway.routing.fleet import Fleet
from taxiway.runner import Runner
from taxiway.seats import Seats
from taxiway.server.account_watch import accounts
from taxiway.server.budget_watch import show_budgets
from taxiway.server.drain import Drain
from taxiway.server.followers import Sweep
from taxiway.server.frames import job_frames
from taxiway.server.keys import (
    ARCHIVE,
    CLOCK,
    DRAIN,
    FLEET,
    JOB_FRAMES,
    JOURNAL,
    KEYRING,
    LINKS,
    LOGS,
    METRICS,
    OBSERVERS,
    PURSES,
    RUNNER,
    SEATS,
    SESSION,
    SETTINGS,
    SPOOL,
    STARTED_AT,
    STORE,
    SWEEP,
    TOKENS,
    WATCH,
    WEBHOOKS,
)
from taxiway.server.links import Links
from taxiway.server.retention import retention
from taxiway.server.stations import health_teller, open_stations
from taxiway.server.store_watch import backlog
from taxiway.server.tokens import Tokens
from taxiway.server.watch import Watch
from taxiway.server.webhooks.endpoints import Configured, Webhooks
from taxiway.server.webhooks.guard import Guard
from taxiway.server.webhooks.opening import office
from taxiway.settings import Deployment
from taxiway.store import open_store
from taxiway.storing import Keeper
from taxiway.taking import Taker
from taxiway.tracing import open_tracing
from taxiway.work import Workshop


@asynccontextmanager
async def logs(app: web.Application) -> AsyncIterator[None]:
    """Open what operators read. A log that was handed to `create_app` belongs to whoever made it."""
    if LOGS in app:
        yield
        return
    with Logs(app[SETTINGS], stream=sys.stdout.buffer, version=version("taxiway")) as app[LOGS]:
        yield


@asynccontextmanager
async def metrics(app: web.Application) -> AsyncIterator[None]:
    """Count what operators watch: by the models on offer and the routes of the URL map, and by nothing else."""
    settings = app[SETTINGS]
    names = [*(deployment.model_name for deployment in settings.deployments), *settings.aliases]
    app[METRICS] = Metrics(tuple(dict.fromkeys(names)), version=version("taxiway"))
    app[METRICS].know_routes(resource.canonical for resource in app.router.resources())
    app[LOGS].count_losses(app[METRICS].logs_dropped)
    yield


@asynccontextmanager
async def life(app: web.Application) -> AsyncIterator[None]:
    """Write down when the service began, and when it has let go of everything."""
    settings, loop = app[SETTINGS], asyncio.get_running_loop()
    app[LOGS].note(
        "service.started",
        host=settings.host,
        port=settings.port,
        database=settings.database_url.partition(":")[0],
        models=len({deployment.model_name for deployment in settings.deployments}),
    )
    began_s = loop.time()
    yield
    app[LOGS].note("service.stopped", duration_s=loop.time() - began_s)


@asynccontextmanager
async def clock(app: web.Application) -> AsyncIterator[None]:
    """Start the dates that agree with the loop, with what depends on them, and keep the switch for the way out."""
    app[CLOCK] = Clock()
    app[STARTED_AT] = int(app[CLOCK].now())
    app[DRAIN] = Drain()
    settings = app[SETTINGS]
    app[LINKS] = links = Links(
        public_url=settings.public_url, master_key=settings.master_key, now=app[CLOCK].now
    )
    app[JOB_FRAMES] = job_frames(links.url)
    app[TOKENS] = Tokens(master_key=settings.master_key, now=app[CLOCK].now)
    yield


@asynccontextmanager
async def store(app: web.Application) -> AsyncIterator[None]:
    """Open where jobs are kept. A store that was handed to `create_app` belongs to whoever made it."""
    if STORE in app:
        yield
        return
    numbers = app[METRICS]
    opened = await open_store(
        app[SETTINGS].database_url,
        lease_s=app[SETTINGS].lease_s,
        observe=numbers.store_operation,
        note=app[LOGS].note,
    )
    numbers.store_in_use(opened.backend, schema=opened.schema_version)
    app[STORE] = opened
    try:
        yield
    finally:
        await opened.close()


@asynccontextmanager
async def archive(app: web.Application) -> AsyncIterator[None]:
    """Open where images are kept. Without one they stay with the provider, whose links expire."""
    settings = app[SETTINGS]
    opened = open_archive(settings.artifacts_url or default_url(settings.database_url))
    if opened is not None:
        app[ARCHIVE] = opened
    app[SPOOL] = spool = Spool(app[CLOCK])
    try:
        yield
    finally:
        await spool.close()


@asynccontextmanager
async def session(app: web.Application) -> AsyncIterator[None]:
    """Open one pool of connections for every call to every provider."""
    async with open_session() as app[SESSION]:
        yield


@asynccontextmanager
async def fleet(app: web.Application) -> AsyncIterator[None]:
    """Give every deployment the adapter that speaks to its vendor."""
    settings = app[SETTINGS]
    app[FLEET] = Fleet(
        open_stations(app, settings),
        aliases=settings.aliases,
        hidden=settings.hidden_aliases,
        routing=settings.routing,
    )
    yield


@asynccontextmanager
async def tracing(app: web.Application) -> AsyncIterator[None]:
    """Begin to tell a collector of ended jobs, where OpenTelemetry's variables name one. Raises `ConfigError`."""

    def deployment(deployment_id: str) -> Deployment | None:
        station = app[FLEET].station(deployment_id)
        return None if station is None else station.deployment

    opened = open_tracing(os.environ, deployment=deployment, version=version("taxiway"))
    app[OBSERVERS] = (app[METRICS].observe, app[LOGS].observe)
    if opened is None:
        yield
        return
    app[OBSERVERS] = (*app[OBSERVERS], opened.observe)
    yield
    await opened.close()


@asynccontextmanager
async def purses(app: web.Application) -> AsyncIterator[None]:
    """Know what is left of the budgets of the configuration."""
    app[PURSES] = opened = Purses(app[STORE], app[SETTINGS], now=app[CLOCK].now)
    await opened.look()
    yield


@asynccontextmanager
async def journal(app: web.Application) -> AsyncIterator[None]:
    """Open the one way a job changes; log, metrics, traces and other programs read what it tells."""
    settings = app[SETTINGS]
    guard = Guard(settings.webhook_networks)
    app[WEBHOOKS] = webhooks = Webhooks(Configured(settings), guard=guard)
    app[JOURNAL] = opened = Journal(
        app[STORE],
        clock=app[CLOCK],
        observers=(*app[OBSERVERS], app[PURSES].observe, webhooks.observe),
        note=app[LOGS].note,
        instruments=app[METRICS],
        endpoints=webhooks.endpoints_of,
    )
    yield
    await opened.close()


@asynccontextmanager
async def keyring(app: web.Application) -> AsyncIterator[None]:
    """Know the virtual keys."""
    app[KEYRING] = opened = KeyRing(app[STORE], now=app[CLOCK].now)
    yield
    await opened.close()


@asynccontextmanager
async def runner(app: web.Application) -> AsyncIterator[None]:
    """Own every job's task, beginning with the jobs that an earlier process left."""
    known = app[KEYRING]
    app[SEATS] = seats = Seats(app[STORE], limit_of=known.limit)
    dispatcher = Dispatcher(
        app[FLEET],
        cooled=health_teller(app[LOGS].note),
        seats=seats,
        spending=app[PURSES],
    )
    known.changed = dispatcher.look
    seats.guests = dispatcher
    workshop = Workshop(
        journal=app[JOURNAL],
        fleet=app[FLEET],
        dispatcher=dispatcher,
        settings=app[SETTINGS],
        clock=app[CLOCK],
        instruments=app[METRICS],
        note=app[LOGS].note,
        lease_alive=app[STORE].lease_alive,
        taker=Taker(app.get(ARCHIVE), spool=app[SPOOL], note=app[LOGS].note),
        standing=app[STORE].standing,
        keeper=Keeper(app[ARCHIVE], fleet=app[FLEET]) if ARCHIVE in app else None,
    )
    app[RUNNER] = opened = Runner(
        workshop, store=app[STORE], know=known.know, left=seats.left, purses=app[PURSES]
    )
    yield
    await seats.close()
    await opened.close()


@asynccontextmanager
async def replica(app: web.Application) -> AsyncIterator[None]:
    """Take a lease, take up every job that nobody owns, and listen to the other replicas."""
    async with Replica(
        store=app[STORE],
        journal=app[JOURNAL],
        runner=app[RUNNER],
        keyring=app[KEYRING],
        seats=app[SEATS],
        lease_s=app[SETTINGS].lease_s,
        note=app[LOGS].note,
    ):
        yield
        # Submissions under way are finished under the lease: without it, others would give them up for lost.
        await app[RUNNER].close()


@asynccontextmanager
async def sweep(app: web.Application) -> AsyncIterator[None]:
    """Look once a second at every connection that waits."""
    app[SWEEP] = sweep = Sweep(app[SETTINGS])
    async with app[WATCH].running("sweep", sweep.run()):
        yield
    sweep.close()


@asynccontextmanager
async def watch(app: web.Application) -> AsyncIterator[None]:
    """Learn what the probes tell: whether the loop is free, and whether the store answers."""
    app[WATCH] = watching = Watch(note=app[LOGS].note)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(watching.running("loop", watch_loop(app[METRICS])))
        asking = watching.ask_store(app[STORE], app[METRICS])
        await stack.enter_async_context(watching.running("store", asking))
        looking = app[PURSES].keep_looking(show_budgets(app[METRICS]))
        await stack.enter_async_context(watching.running("budgets", looking))
        yield


LIFECYCLE: tuple[Callable[[web.Application], AbstractAsyncContextManager[None]], ...] = (
    logs,
    metrics,
    life,
    clock,
    tracing,
    store,
    archive,
    session,
    fleet,
    purses,
    journal,
    keyring,
    runner,
    replica,
    watch,
    sweep,
    backlog,
    accounts,
    retention,
    office,
)

#: The last bytes of the answers that the end of the shutdown budget brings.
ANSWER_GRACE_S = 1.0


async def leave(app: web.Application) -> None:
    """Take nothing new, let viewers go, and return when nobody waits for an image or the budget is spent."""
    if not app[DRAIN].begun:
        app[DRAIN].begin()
        app[METRICS].draining(now=True)
        app[LOGS].note("service.draining", jobs=app[RUNNER].unfinished, streams=app[SWEEP].viewers)
        app[SWEEP].drain()
    await app[DRAIN].patience(app[SETTINGS].shutdown_budget_s + ANSWER_GRACE_S)
