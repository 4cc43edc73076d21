"""What operators read. `Logs` is made once per service and handed to whoever has something to say.

Nothing here is global: two services in one process, or two tests, do not hear each other.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import BinaryIO, Self

import structlog
from structlog.contextvars import bind_contextvars, unbind_contextvars
from structlog.typing import FilteringBoundLogger, Processor

from taxiway.errors import cut
from taxiway.events import Event
from taxiway.logs.addresses import network_of
from taxiway.logs.jobs import JobLines
from taxiway.logs.libraries import captured
from taxiway.logs.names import LEVELS, Level, Name
from taxiway.logs.prompts import Prompts
from taxiway.logs.redaction import Redaction
from taxiway.logs.rendering import processors
from taxiway.logs.sink import CAPACITY, Sink
from taxiway.settings import Settings

#: Asked every few seconds by machines: a line each would bury the rest.
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})


class Logs:
    """The log of one service. A context manager: leaving it writes what waits.

    `stream` is binary: a terminal gets colours, everything else JSON. `instance` tells replicas apart. `key` is
    the installation's secret for digests of prompts; without one they compare within this process only.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        stream: BinaryIO,
        version: str,
        instance: str | None = None,
        key: bytes | None = None,
        capacity: int = CAPACITY,
    ) -> None:
        self._count_losses: Callable[[int], None] | None = None
        self._sink = Sink(stream, dropped=self._lost, capacity=capacity)
        steps = processors(
            service={
                "service.name": "taxiway",
                "service.version": version,
                "service.instance.id": instance or secrets.token_hex(4),
            },
            redaction=Redaction(_secrets(settings), prompts=settings.log_prompts),
            console=stream.isatty(),
        )
        log = _bound(self._sink, steps, settings.log_level)
        self._writers = {
            Level.DEBUG: log.debug,
            Level.INFO: log.info,
            Level.WARNING: log.warning,
            Level.ERROR: log.error,
        }
        self._shows_ticks = settings.log_level == "debug"
        prompts = Prompts(key, shown=settings.log_prompts)
        self._jobs = JobLines(prompts, debug=self._shows_ticks)
        if settings.log_prompts:
            self.note(Name.PROMPTS_LOGGED)

    def observe(self, event: Event) -> None:
        """Tell an event of a job: the observer to give to the journal."""
        if event.tick and not self._shows_ticks:
            return  # most events are ticks, and no line would come of it
        for name, level, fields in self._jobs.of(event):
            self._write(name, level, fields)

    def note(self, name: str, /, **fields: object) -> None:
        """Write a line that is not an event of a job: a name of `names.EVENTS`, fields of `fields.FIELDS`.

        `exc_info` may be an exception, or true for the one being handled. Never blocks, never raises.
        """
        self._write(name, LEVELS.get(name, Level.WARNING), fields)

    def access(
        self,
        method: str,
        *,
        route: str,
        path: str,
        code: int,
        duration_s: float,
        client: str | None = None,
        user_agent: str | None = None,
        **fields: object,
    ) -> None:
        """Write the one line of an HTTP request. `route` is the template, `path` is without its query.

        Of `client`, an IP address, the network is told: enough to see that many come from one place.
        """
        line = {
            "method": cut(method),
            "route": route,
            "path": cut(path),
            "code": code,
            "duration_s": duration_s,
            "client": client and network_of(client),
            "user_agent": user_agent and cut(user_agent),
            **fields,
        }
        self._write(Name.REQUEST_COMPLETED, _level_of(route, code), line)

    @staticmethod
    def bind(**fields: object) -> None:
        """Put fields on every line written in this context: by this coroutine and the tasks it starts."""
        bind_contextvars(**fields)

    @staticmethod
    def unbind(*names: str) -> None:
        """Take fields off again: the next request of a connection comes in the same context."""
        unbind_contextvars(*names)

    def capture_stdlib(self) -> AbstractContextManager[None]:
        """Write what libraries say through `logging`, from warning upwards, while the context lasts.

        It changes the process's root logger, so it is for whoever owns the process.
        """
        return captured(self._write)

    def count_losses(self, count: Callable[[int], None]) -> None:
        """Have `count` called with the number of lines given up, whenever some are, from any thread."""
        self._count_losses = count

    def close(self) -> bool:
        """Write what waits, for two seconds at most. Returns whether all was written."""
        return self._sink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _lost(self, lines: int) -> None:
        if self._count_losses is not None:
            self._count_losses(lines)

    def _write(self, name: str, level: Level, fields: dict[str, object]) -> None:
        self._writers[level](name, **fields)


def _bound(sink: Sink, steps: list[Processor], level: str) -> FilteringBoundLogger:
    # Bound to its parts here and now: structlog's global configuration is nobody's.
    log: FilteringBoundLogger = structlog.wrap_logger(
        sink,
        processors=steps,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
    ).bind()
    return log


def _level_of(route: str, code: int) -> Level:
    if route in PROBES:
        return Level.DEBUG
    return Level.WARNING if code >= 500 else Level.INFO


def _secrets(settings: Settings) -> Iterator[str]:
    for secret in (settings.master_key, *(one.api_key for one in settings.deployments)):
        if secret is not None:
            yield secret.reveal()
