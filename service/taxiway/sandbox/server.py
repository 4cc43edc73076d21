"""The sandbox as a server: one application, one socket, one record per request."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Self

from aiohttp import web

from taxiway.sandbox import answers
from taxiway.sandbox.api import add_api
from taxiway.sandbox.control import add_control
from taxiway.sandbox.delivery import respond
from taxiway.sandbox.faultbook import FaultBook
from taxiway.sandbox.faults import Fault, Outcome, Step
from taxiway.sandbox.keys import RECORD, WORLD
from taxiway.sandbox.records import Leak, RequestLog
from taxiway.sandbox.settings import SandboxSettings
from taxiway.sandbox.storage import add_storage
from taxiway.sandbox.tasks import RunwayTask
from taxiway.sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: The kernel's queue of connections not yet accepted: a benchmark opens thousands at a stroke.
_BACKLOG = 4_096


class Sandbox:
    """A local Runway on a real socket. An asynchronous context manager, or `start` and `stop`."""

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self._world = World(settings or SandboxSettings())
        self._world.open_connections = lambda: self.open_connections
        self._runner: web.AppRunner | None = None
        self._url: str | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Open the socket; port 0 = one that is free. Raises `OSError` for a port that is taken."""
        if self._runner is not None:
            raise RuntimeError("This sandbox has already been started.")
        self._world.clock.start()
        # A caller who leaves ends a handler that never answers; a stop need not wait for those either.
        runner = web.AppRunner(
            self._app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, backlog=_BACKLOG).start()
        except OSError:
            await runner.cleanup()
            raise
        address = runner.addresses[0]
        name = f"[{address[0]}]" if ":" in address[0] else address[0]
        self._url = f"http://{name}:{address[1]}"
        self._runner = runner

    async def stop(self) -> None:
        """Close the socket and every connection. What was seen can still be read."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    @property
    def url(self) -> str:
        """The base URL, the API being under `/v1`. Raises `RuntimeError` before the start."""
        if self._url is None:
            raise RuntimeError("This sandbox has not been started.")
        return self._url

    @property
    def settings(self) -> SandboxSettings:
        """The settings as they are now."""
        return self._world.settings

    def change(self, **changes: Any) -> None:
        """Change settings while running, by name. Raises `ValueError` that names the field."""
        self._world.change(**changes)

    def will(self, *steps: Step | Outcome | Fault | str) -> None:
        """Script the next creates, one step each: `sandbox.will("fail:INTERNAL", "ok")`.

        A step is an `Outcome`, a `Fault`, a `Step` of both, or a text in the notation of `marks`.
        """
        self._world.faults.will(*steps)

    @property
    def faults(self) -> FaultBook:
        """The faults in force."""
        return self._world.faults

    @property
    def tasks(self) -> Mapping[str, RunwayTask]:
        """Every task ever created, by id, oldest first; deleted ones too."""
        self._world.settle()
        return MappingProxyType(self._world.tasks)

    @property
    def creates_by_prompt(self) -> Counter[str]:
        """How many tasks were created for each prompt."""
        return self._world.creates_by_prompt

    @property
    def requests(self) -> RequestLog:
        """The latest requests to the vendor's routes and its storage."""
        return self._world.log

    @property
    def leaks(self) -> list[Leak]:
        """Where a key was shown that must not be."""
        return self._world.leaks

    @property
    def balance(self) -> int:
        """Credits on the account now."""
        self._world.settle()
        return self._world.ledger.balance

    @property
    def charged_credits(self) -> int:
        """Credits taken at creation, in all."""
        return self._world.ledger.charged

    @property
    def refunded_credits(self) -> int:
        """Credits given back since, in all; charged less refunded is what was spent."""
        self._world.settle()
        return self._world.ledger.refunded

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        server = self._runner.server if self._runner is not None else None
        return len(server.connections) if server is not None else 0

    def reset(self) -> None:
        """Start afresh: no tasks, no log, the settings and faults of the start. The socket stays."""
        self._world.reset()

    def _app(self) -> web.Application:
        app = web.Application(
            middlewares=[_record, _control_errors],
            client_max_size=self._world.settings.max_body_bytes,
        )
        app[WORLD] = self._world
        add_api(app)
        add_storage(app)
        add_control(app)
        return app


async def serve(
    settings: SandboxSettings,
    *,
    host: str,
    port: int,
    ready: Callable[[Sandbox], None] | None = None,
) -> None:
    """Run a sandbox until cancelled. `ready` is called once it listens. Raises `OSError` for a taken port."""
    sandbox = Sandbox(settings)
    await sandbox.start(host=host, port=port)
    try:
        if ready is not None:
            ready(sandbox)
        await asyncio.Event().wait()
    finally:
        await sandbox.stop()


@web.middleware
async def _record(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Write every request of the vendor's routes down, and refuse in the vendor's manner."""
    world = request.app[WORLD]
    if not request.rel_url.path.startswith(("/v1/", "/storage/")):
        return await handler(request)
    record = world.log.add(request, at=world.clock.real(), date=world.clock.date())
    request[RECORD] = record
    try:
        response = await handler(request)
    except web.HTTPRequestEntityTooLarge:
        response = respond(answers.too_long())
    except web.HTTPException as error:
        response = respond(answers.no_route(error.status))
    # Of an answer that never left, the caller knows nothing.
    if request.transport is not None and not request.transport.is_closing():
        record.status = response.status
    return response


@web.middleware
async def _control_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what the control routes cannot use with a sentence."""
    if not request.rel_url.path.startswith("/sandbox/"):
        return await handler(request)
    try:
        return await handler(request)
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=400)
