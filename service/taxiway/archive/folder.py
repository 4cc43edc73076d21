"""Images as files in a folder of this machine, or of one that it has mounted."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from taxiway.artifacts import is_ours
from taxiway.errors import ArchiveError, ConfigError

T = TypeVar("T")

#: Bytes written and read at a time: few hops between threads for an image of some MB, little memory for many.
PIECE_BYTES = 512 * 1024

#: Of a file that is being written. It begins with a dot, as no name does.
_PART = ".part"


class Folder:
    """An archive in a folder; see `Archive` for what each call promises.

    Raises `ConfigError` for a folder that cannot be used.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"The folder of artifacts_url, {root}, cannot be made: {error.strerror}."
            ) from error
        if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
            raise ConfigError(f"The folder of artifacts_url, {root}, cannot be read and written.")

    async def put(self, name: str, chunks: AsyncIterator[bytes], *, content_type: str) -> None:
        """Write a file beside its place, and move it there when it is whole and on the disk."""
        path = self._path(name)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PART}")
        try:
            file = await _on_disk(_begin, part)
            try:
                await _write(file, chunks)
                await _on_disk(_finish, file, part, path)
            finally:
                file.close()
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    @asynccontextmanager
    async def open(
        self, name: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a file's bytes."""
        with await _on_disk(_to_read, self._path(name)) as file:
            yield _read(file, start=start, stop=stop)

    async def forget(self, before: float) -> int:
        """Delete the files that are older than a date, and the folders that are empty then."""
        return await _on_disk(self._forget, before)

    def _path(self, name: str) -> Path:
        parts = PurePosixPath(name).parts
        if not parts or any(part.startswith((".", "/")) for part in parts):
            raise ValueError(f"{name!r} is no name in an archive")
        return self._root.joinpath(*parts)

    def _forget(self, before: float) -> int:
        # Somebody may keep other things in the same place.
        return sum(_clear(each, before) for each in self._root.iterdir() if is_ours(each.name))


async def _on_disk(call: Callable[..., T], *arguments: object) -> T:
    """Return what a call in a thread returns. What the disk refuses is a fault of the archive."""
    try:
        return await asyncio.to_thread(call, *arguments)
    except OSError as error:
        raise ArchiveError(f"The folder of the images: {error.strerror or error}.") from error


async def _write(file: IO[bytes], chunks: AsyncIterator[bytes]) -> None:
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        if len(held) >= PIECE_BYTES:
            await _on_disk(file.write, held)
            held = bytearray()
    await _on_disk(file.write, held)


async def _read(file: IO[bytes], *, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
    await _on_disk(file.seek, start)
    left = sys.maxsize if stop is None else stop - start
    while left > 0 and (piece := await _on_disk(file.read, min(PIECE_BYTES, left))):
        left -= len(piece)
        yield piece


def _to_read(path: Path) -> IO[bytes]:
    return path.open("rb")


def _begin(part: Path) -> IO[bytes]:
    for last in (False, True):
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            return part.open("xb")
        except FileNotFoundError:  # somebody who tidies up has just removed the empty folder
            if last:
                raise
    raise AssertionError


def _finish(file: IO[bytes], part: Path, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    part.replace(path)


def _clear(folder: Path, before: float) -> int:
    forgotten = 0
    for below, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(below, name)
            with suppress(FileNotFoundError):  # another replica tidies up too
                if path.stat().st_mtime < before:
                    path.unlink()
                    forgotten += not name.endswith(_PART)
        with suppress(OSError):  # not empty
            Path(below).rmdir()
    return forgotten
