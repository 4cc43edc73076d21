"""Connections to PostgreSQL, made so that a server that has fallen silent holds nobody up for long."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from taxiway.errors import ConfigError, StoreError
from taxiway.store.faults import words

try:
    import asyncpg  # type: ignore[import-untyped]
except ImportError as error:
    raise ConfigError(
        "PostgreSQL needs the driver asyncpg; install taxiway[postgres], or choose another database_url."
    ) from error

#: How long a connection may take to be made.
_CONNECT_S = 3.0

#: How long the server may take to answer a statement before it counts as down.
ANSWER_S = 5.0

#: The server gives up by itself a little earlier, so that an overloaded one frees its locks and says why. For as
#: long it bears with a process that is stopped in the middle of a transaction, and holds its locks.
_SOONER = 0.9

#: Look every row up in its index. A plan is made once for a connection, often while the table is empty; to read
#: all of it looks cheap then: at 4,000 jobs a group took two seconds by such a plan.
_BY_KEY = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}

#: How long a connection may take to say goodbye.
GOODBYE_S = 1.0

#: Everything that says that the database did not do its part. A time-out is an OSError.
FAULTS: tuple[type[Exception], ...] = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

#: What PostgreSQL, or the driver on its behalf, says about the values of a row.
ABOUT_A_ROW: tuple[type[Exception], ...] = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.exceptions._base.DataError,  # noqa: SLF001 - the driver's own, whose public name the server's hides
)

#: Two transactions that wait for each other: PostgreSQL ends one of them, which may be repeated at once.
DEADLOCK: type[Exception] = asyncpg.DeadlockDetectedError


class Driver(Protocol):
    """What we use of a connection of asyncpg, which has no types of its own."""

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement."""
        ...

    async def fetch(self, query: str, *args: object) -> Sequence[Any]:
        """Run a statement and return its rows."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Open a transaction."""
        ...

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None:
        """Listen to a channel."""
        ...

    def add_termination_listener(self, callback: Callable[..., None]) -> None:
        """Call back when the connection is gone."""
        ...

    def is_closed(self) -> bool:
        """Return whether the connection is gone."""
        ...

    async def close(self, *, timeout: float) -> None:
        """Say goodbye."""
        ...

    def terminate(self) -> None:
        """Leave without a word."""
        ...


class Server:
    """Where the database is, and how a connection to it is made."""

    def __init__(self, url: str, *, name: str, answer_s: float = ANSWER_S) -> None:
        self.answer_s = answer_s
        self._dsn = dsn_of(url)
        self._name = name

    async def connect(self, *, patient: bool = False, by_key: bool = False) -> Driver:
        """Return a new connection. On a patient one a statement may take as long as it needs.

        One that goes `by_key` is for statements that know the keys of all their rows.

        Raises `ConfigError` for an address that cannot be read, `StoreError` when the server does not take us.
        """
        limit = f"{self.answer_s * _SOONER * 1000:.0f}ms"
        limits = {"statement_timeout": limit, "idle_in_transaction_session_timeout": limit}
        try:
            connection: Driver = await asyncpg.connect(
                self._dsn,
                timeout=_CONNECT_S,
                command_timeout=None if patient else self.answer_s,
                server_settings={
                    "application_name": f"taxiway {self._name}",
                    # Compiling our statements takes longer than running them.
                    "jit": "off",
                    # What is waited for must be seen when it is there.
                    "default_transaction_isolation": "read committed",
                    **({} if patient else limits),
                    **(_BY_KEY if by_key else {}),
                },
            )
        except asyncpg.ClientConfigurationError as error:
            raise _unreadable() from error
        except FAULTS as error:
            raise StoreError(f"The database cannot be reached: {words(error)}.") from error
        except ValueError as error:  # a port that is no number, say
            raise _unreadable() from error
        return connection


class Link:
    """One connection that is made when it is needed, and made anew after it broke. Has one user at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: Driver | None = None

    async def connection(self) -> Driver:
        """Return the connection. Raises `StoreError`."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._server.connect(by_key=True)
        return self._connection

    def drop(self) -> None:
        """Forget a connection whose state nobody knows."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Say goodbye to the server, or leave without, if it does not answer."""
        if self._connection is not None:
            await goodbye(self._connection)
            self._connection = None


async def goodbye(connection: Driver) -> None:
    """Close a connection in good order within a moment, or cut it off."""
    with suppress(*FAULTS):
        await connection.close(timeout=GOODBYE_S)
    connection.terminate()


#: Options of Prisma's, in which LiteLLM's users have their address: about its own pool and statements. Whatever
#: the driver does not know, it asks of the server, who would refuse the connection.
_OF_OTHER_CLIENTS = frozenset(
    (
        *("connect_timeout", "connection_limit", "pgbouncer", "pool_timeout", "socket_timeout"),
        *("sslaccept", "statement_cache_size"),
    )
)

_DRIVERS_WORDS = {"ssl": "sslmode", "schema": "search_path"}


def dsn_of(url: str) -> str:
    """Return a database URL as the driver takes it.

    It has no driver in the scheme, libpq's word for TLS, and nothing that is meant for other clients.
    """
    parts = urlsplit(url)
    options = [
        (_DRIVERS_WORDS.get(k, k), v)
        for k, v in parse_qsl(parts.query)
        if k not in _OF_OTHER_CLIENTS
    ]
    return f"postgresql://{parts.netloc}{parts.path}" + (
        f"?{urlencode(options, safe='/')}" if options else ""
    )


def _unreadable() -> ConfigError:
    # The driver's words are not shown: they may quote the password.
    return ConfigError(
        "database_url is none that PostgreSQL can use; "
        "accepted is postgresql+asyncpg://user:password@host:5432/database."
    )
