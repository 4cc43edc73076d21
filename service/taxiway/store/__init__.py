"""What survives a restart. `open_store` turns a database URL into a store.

Importing this package costs nothing: SQLAlchemy is loaded by those who open a database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from taxiway.errors import ConfigError
from taxiway.protocols import JobStore, Note, no_note
from taxiway.store.connections import Connections
from taxiway.store.timing import Observe

_ACCEPTED = (
    "accepted are sqlite+aiosqlite:///path/to/taxiway.db, "
    "postgresql+asyncpg://user:password@host/database and memory://"
)

#: URL schemes → the backend behind them. All spellings of a database mean the same one.
_BACKENDS = {
    "memory": "memory",
    "sqlite": "sqlite",
    "sqlite+aiosqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "postgresql+asyncpg": "postgresql",
}

#: How long a replica's jobs stay its own after its last sign of life.
LEASE_S = 15.0


class Store(JobStore, Protocol):
    """A job store that can say what it is, and what it does."""

    @property
    def backend(self) -> str:
        """What keeps the jobs: `sqlite`, `postgresql` or `memory`."""
        ...

    @property
    def schema_version(self) -> str:
        """The number of the last migration applied; empty where there is no schema."""
        ...

    def connections(self) -> Connections:
        """Return what the connections do at this moment: without a query, and also while nothing answers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """What an upgrade found and what it left. `before` is None for a new database."""

    before: str | None
    after: str


async def open_store(
    url: str, *, lease_s: float = LEASE_S, observe: Observe | None = None, note: Note = no_note
) -> Store:
    """Open the store behind a database URL, with its schema brought up to date.

    `lease_s` is for databases that several processes share. `observe` is told the name of every operation and the
    seconds it took, after it ended; `note` of a migration and of trouble that no caller hears of.
    Raises `ConfigError` for a URL or a place that cannot be used, `StoreLockedError` while another process
    holds the file, `StoreError` when the database does not do its part.
    """
    backend = _backend(url)
    if backend == "memory":
        from taxiway.store.memory import MemoryStore

        return MemoryStore(observe=observe)
    if backend == "postgresql":
        from taxiway.store import postgres

        return await postgres.open_store(url, lease_s=lease_s, observe=observe, note=note)
    from taxiway.store import sqlite

    return await sqlite.open_store(_path(url), observe=observe, note=note)


async def upgrade(url: str) -> Upgrade:
    """Bring a database to the current schema and let go of it. Raises as `open_store` does."""
    backend = _backend(url)
    if backend == "memory":
        raise ConfigError("memory:// has no schema: it keeps nothing that could be upgraded.")
    if backend == "postgresql":
        from taxiway.store import postgres

        before, after = await postgres.upgrade(url)
    else:
        from taxiway.store import sqlite

        before, after = await sqlite.upgrade(_path(url))
    return Upgrade(before=before, after=after)


def files_of(url: str) -> Mapping[str, Path]:
    """Return the files of an embedded database by what they are, `database` and `wal`; none of any other."""
    if _backend(url) != "sqlite":
        return {}
    path = _path(url)
    return {"database": Path(path), "wal": Path(f"{path}-wal")}


def check_url(url: str) -> None:
    """Look at the address of a database, and open nothing. Raises `ConfigError` where it cannot be one."""
    if _backend(url) == "sqlite":
        _path(url)


def _backend(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    if not separator:
        # The text is not shown: it may be a password in the wrong place.
        raise ConfigError(f"database_url is not a URL; {_ACCEPTED}.")
    if scheme not in _BACKENDS:
        raise ConfigError(f"database_url has the unknown scheme {scheme!r}; {_ACCEPTED}.")
    return _BACKENDS[scheme]


def _path(url: str) -> str:
    """Return the path in an SQLite URL: three slashes before a relative one, four before an absolute one."""
    host, slash, path = url.partition("://")[2].partition("/")
    if host or not slash or not path or path == ":memory:":
        raise ConfigError(f"database_url names no file; {_ACCEPTED}.")
    if "?" in path:
        raise ConfigError("database_url has options after '?'; an SQLite database takes none here.")
    return path
