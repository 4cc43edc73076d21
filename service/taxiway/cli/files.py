"""Images as files: their names, and the folder they go to."""

import asyncio
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from taxiway.cli.client import Client
from taxiway.cli.documents import JobDocument, Picture
from taxiway.errors import TaxiwayError
from taxiway.formats import suffix_of

#: Enough of a prompt to know an image by, short enough for every file system and a terminal's line.
_SLUG_MAX = 40

#: The end of a job's id is random, its start is a date.
_ID_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """An image that has become a file."""

    path: Path
    size_bytes: int
    picture: Picture


def ready(folder: Path) -> Path:
    """Return the folder once files can be put there, so that no image is paid for that has no place to go.

    Raises `TaxiwayError`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TaxiwayError(
            f"{folder} is not a folder that images could go to: {error.strerror}."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TaxiwayError(f"{folder} is not a folder that you may write to.")
    return folder


async def save(
    client: Client, job: JobDocument, *, folder: Path, prefix: str | None = None
) -> list[Saved]:
    """Fetch every image of a job into a folder. Raises `TaxiwayError` or `OSError`."""
    saved = []
    for picture in job["images"]:
        content = await client.image(job, picture)
        path = folder / file_name(job, picture, prefix=prefix)
        await asyncio.to_thread(path.write_bytes, content)
        saved.append(Saved(path=path, size_bytes=len(content), picture=picture))
    return saved


def file_name(job: JobDocument, picture: Picture, *, prefix: str | None = None) -> str:
    """Return a name that tells what is in the image and that no other job's image has."""
    start = prefix or slug(job["prompt"]) or "image"
    number = f"-{picture['index'] + 1}" if len(job["images"]) > 1 else ""
    ending = suffix_of(picture["content_type"])
    return f"{start}-{job['id'][-_ID_DIGITS:]}{number}.{ending}"


def slug(text: str) -> str:
    """Return the start of a text in small letters and hyphens, cut between words where that is possible."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    name = ""
    for word in words:
        if len(name) + len(word) + 1 > _SLUG_MAX:
            break
        name = f"{name}-{word}" if name else word
    return name or "".join(words)[:_SLUG_MAX]
