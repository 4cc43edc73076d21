"""The configuration of a running service: read anew when one of its files has changed."""

import os
from collections.abc import Callable
from pathlib import Path

from taxiway.config import Loaded
from taxiway.settings import Settings


class ConfigSource:
    """What `read` reads, which `loaded` was the first time. `warn` gets every finding of a later time."""

    def __init__(
        self, loaded: Loaded, *, read: Callable[[], Loaded], warn: Callable[[str], None]
    ) -> None:
        self._files = loaded.files
        self._read = read
        self._warn = warn

    def read(self) -> Settings:
        """Return the settings as they are now. Raises `ConfigError`."""
        loaded = self._read()
        self._files = loaded.files
        for finding in loaded.findings:
            self._warn(finding.sentence)
        return loaded.settings

    def stamp(self) -> object:
        """Return what tells one state of the files from another.

        Links are followed: Kubernetes changes a mounted file by letting a link lead elsewhere.
        """
        return [_stamp(file) for file in self._files]


def _stamp(file: Path) -> object:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
