"""The service as a process: it binds, serves, and leaves when it is told to.

The way out, in order: the readiness probe fails and no job is taken any more; event streams end at once;
callers who wait for an image may keep the process for the shutdown budget, and are told the name of their job
when it is spent; then everything is let go of, as `lifecycle` says. With streams alone open that takes no time.
"""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit

from aiohttp import web

from taxiway.logs import Logs
from taxiway.server import create_app, health
from taxiway.server.binding import bound
from taxiway.server.connections import Listener
from taxiway.server.keys import DRAIN, LOGS, METRICS, RUNNER, SETTINGS, WATCH
from taxiway.server.lifecycle import leave
from taxiway.server.reloading import Source, follow_source
from taxiway.settings import Settings
from taxiway.store import Store

#: Above the idle limit of every load balancer (600 s at Google's, the longest), so that it is never the
#: service who closes a connection in the moment a request comes down it.
KEEPALIVE_S = 620.0

#: The kernel's queue of connections not yet accepted: thousands of viewers come back at a stroke.
BACKLOG = 4_096

#: What a handler may still take when everybody has been let go.
HANDLER_GRACE_S = 0.5


async def serve(
    settings: Settings,
    *,
    store: Store | None = None,
    logs: Logs | None = None,
    ready: Callable[[str], None] | None = None,
    source: Source | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then leave as the module says. A second signal ends the process at once.

    `ready` is called with the service's address as soon as it listens. `source` is where the settings come from:
    it is read anew when it changes, and on SIGHUP. Raises `OSError` for an address that cannot be had, and what
    opening the store raises.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    told = asyncio.Event()
    app = create_app(settings, store=store, logs=logs)
    async with AsyncExitStack() as more:
        # Before the store is opened: a second process on the same machine should get no further than this.
        ports = [each for each in (settings.port, settings.metrics_port) if each is not None]
        doors = [await more.enter_async_context(bound(settings.host, port)) for port in ports]
        url = await more.enter_async_context(_serving(app, doors[0]))
        for door in doors[1:]:
            await more.enter_async_context(_serving(_probes(app), door))
        if source is not None:
            asked = asyncio.Event()
            with suppress(NotImplementedError, AttributeError):  # Windows has no such signal
                loop.add_signal_handler(signal.SIGHUP, asked.set)
            following = follow_source(app, source, asked)
            await more.enter_async_context(app[WATCH].running("config", following))
        _on_signal(loop, told.set)
        app[LOGS].note(
            "service.ready",
            host=settings.host,
            port=urlsplit(url).port,
            jobs=app[RUNNER].unfinished,
            duration_s=loop.time() - began_s,
        )
        if ready is not None:
            ready(url)
        await told.wait()
        # Before the socket is closed: a probe should read why, and not meet a refused connection.
        await leave(app)


@asynccontextmanager
async def listening(app: web.Application, *, host: str, port: int) -> AsyncIterator[str]:
    """Start an application and let it listen while the context lasts; port 0 is one that is free.

    Yields its address. Raises `OSError` for an address that cannot be had, before it starts anything.
    """
    async with bound(host, port) as sockets, _serving(app, sockets) as url:
        yield url


@asynccontextmanager
async def _serving(app: web.Application, sockets: Sequence[socket.socket]) -> AsyncIterator[str]:
    """Start an application and let it listen on some sockets while the context lasts. Yields its address."""
    runner = Listener(
        app,
        access_log=None,  # `middleware.account` writes a line of its own
        handler_cancellation=False,
        keepalive_timeout=KEEPALIVE_S,
        shutdown_timeout=HANDLER_GRACE_S,
    )
    try:
        await runner.setup()
        for each in sockets:
            await web.SockSite(runner, each, backlog=BACKLOG).start()
        name, bound = runner.addresses[0][:2]
        yield f"http://{f'[{name}]' if ':' in name else name}:{bound}"
    finally:
        await runner.cleanup()


def _probes(app: web.Application) -> web.Application:
    """Return the application of the second port, which knows what the first one knows."""
    probes = web.Application()
    probes.add_routes([*health.PROBES, *health.NUMBERS])
    probes[DRAIN], probes[METRICS], probes[WATCH] = app[DRAIN], app[METRICS], app[WATCH]
    probes[SETTINGS] = app[SETTINGS]
    return probes


def _on_signal(loop: asyncio.AbstractEventLoop, tell: Callable[[], None]) -> None:
    """Call `tell` at the first signal to stop. The second one finds the system's own handler, which kills."""
    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        tell()

    with suppress(NotImplementedError):  # Windows: Ctrl-C ends the loop by itself
        for number in numbers:
            loop.add_signal_handler(number, stop)
