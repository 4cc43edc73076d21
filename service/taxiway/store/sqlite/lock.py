"""One process at a time on an embedded database.

Two services on one file would poll, and pay for, the same jobs. The kernel holds the lock for as long as the
process lives and drops it however the process ends, `kill -9` included, so no stale lock needs a hand.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from taxiway.errors import ConfigError, StoreLockedError


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold an exclusive lock on `<file>.lock`.

    Raises `StoreLockedError` while somebody else holds it, `ConfigError` where the lock file cannot be made.
    """
    beside = file.with_name(f"{file.name}.lock")
    try:
        # Closed to children: a lock lives as long as its last open descriptor.
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigError(
            f"The folder of the database {file} cannot be written: {error.strerror}."
        ) from error
    try:
        _take(descriptor, file)
        yield
    finally:
        # The file stays: removing it would let two processes hold one each.
        os.close(descriptor)


def _take(descriptor: int, file: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreLockedError(
            f"The database {file} is in use by another process{_holder(descriptor)}; "
            "stop that one first, or give this one a database of its own."
        ) from error
    # For the sentence above only: the lock is the kernel's, not this number.
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def _holder(descriptor: int) -> str:
    with suppress(OSError, ValueError):
        return f" (pid {int(os.pread(descriptor, 20, 0))})"
    return ""
