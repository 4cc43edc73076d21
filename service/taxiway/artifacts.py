"""What the engine expects of the place where images are kept, and how things are named there.

Images lie in a folder per day, below it in one per job, so that people find them too. The files that came with
requests lie apart, each under the digest of its bytes: the same file sent twice is one file.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Protocol

from taxiway.formats import suffix_of
from taxiway.jobs import Asset, Job

#: The folder of what came with requests, beside the folders of the days.
REFERENCES = "references"

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

#: Opens the bytes of a file that came with a request. Raises `ArchiveError`.
OpenAsset = Callable[[Asset], AbstractAsyncContextManager[AsyncIterator[bytes]]]


class Archive(Protocol):
    """Files by name. A name holds a whole file or none: what is half written is never seen.

    Raises `ArchiveError` where it cannot do its part, within a minute.
    """

    async def put(self, name: str, chunks: AsyncIterator[bytes], *, content_type: str) -> None:
        """Keep bytes under a name, in the place of what was there. Whatever `chunks` raises passes through."""
        ...

    def open(
        self, name: str, *, start: int = 0, stop: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a file's bytes, from `start` to before `stop`. Reading them may raise `ArchiveError` too."""
        ...

    async def forget(self, before: float) -> int:
        """Delete every image and reference kept before a date, in Unix seconds; return how many files it was."""
        ...


#: Before the name of an image that no archive took: see `spooled`.
_SPOOLED = "spool:"


def spooled(name: str) -> str | None:
    """Return the name of an image in the spool of the process that made it; None for one in the archive.

    There an image waits for whoever asked for it whose bytes came with the provider's answer, and that no
    archive took. It is gone with the process, or after a while.
    """
    return name.removeprefix(_SPOOLED) if name.startswith(_SPOOLED) else None


def in_spool(name: str) -> str:
    """Return the name that an image bears of which `name` is that in the spool."""
    return _SPOOLED + name


def is_ours(folder: str) -> bool:
    """Return whether a folder at the top holds images or references: others may keep things in the same place."""
    return folder == REFERENCES or _DAY.fullmatch(folder) is not None


def image_name(job: Job, index: int | str, *, content_type: str) -> str:
    """Return the name of an image of a job; `index` is its own there."""
    day = datetime.fromtimestamp(job.created_at, UTC).date().isoformat()
    return f"{day}/{job.id}/{index}.{suffix_of(content_type)}"


def asset_name(asset: Asset) -> str:
    """Return the name of a file that came with a request."""
    return f"{REFERENCES}/{asset.digest}.{suffix_of(asset.content_type)}"
