"""The suite in several processes (`pytest -n 2`): which chapters go together, and which tests run alone."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

#: What a chapter says that starts the service in several processes, or holds real time to bounds.
CROWDED = ("from tests.processes import", "pytest.mark.quiet")

ROOT = Path(__file__).parents[1]


@cache
def part(chapter: str) -> str:
    """Return what a chapter belongs to: to all that are crowded, to its package, or to itself."""
    text = (ROOT / chapter).read_text()
    if any(words in text for words in CROWDED):
        return "crowded"
    package = (ROOT / chapter).with_name("__init__.py")
    return str(package) if package.exists() else chapter


class Chapters(LoadScopeScheduling):
    """Whole chapters, in their order. One process has all that are crowded, one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return part(nodeid.split("::", 1)[0])


@contextmanager
def machine(*, alone: bool) -> Iterator[None]:
    """Run a test beside those of the other processes, or alone: when theirs have ended, and before their next."""
    with Path(__file__).open() as turnstile, (ROOT / "pyproject.toml").open() as room:
        # Whoever waits to be alone keeps the others from going in meanwhile.
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(turnstile, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(room, fcntl.LOCK_UN)
