"""Where finished images are kept: a folder, or a bucket of S3, Google or Azure. `open_archive` opens it.

A folder is this package's own few lines: it must work wherever Taxiway is installed, and an atomic file is a
rename. Buckets are reached through obstore, a compiled library of 16 MB that only those install who use one.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from taxiway.archive.folder import Folder
from taxiway.artifacts import Archive
from taxiway.errors import ConfigError

_ACCEPTED = "accepted are file:///path, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix and none"

_BUCKETS = ("s3", "gs", "az")


def open_archive(url: str) -> Archive | None:
    """Return the archive behind an address, None for `none`.

    Raises `ConfigError` for an address or a folder that cannot be used. A bucket is not asked before it is used:
    what is wrong with it is said then, and the images stay with the provider.
    """
    if url == "none":
        return None
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("file", *_BUCKETS):
        # Not shown: it may hold a key in the wrong place.
        raise ConfigError(f"artifacts_url is not an address of an archive; {_ACCEPTED}.")
    if scheme == "file":
        return Folder(_path(url))
    if not rest.partition("/")[0]:
        raise ConfigError(f"artifacts_url names no bucket; {_ACCEPTED}.")
    from taxiway.archive.bucket import open_bucket

    return open_bucket(url)


def default_url(database_url: str) -> str:
    """Return where images are kept if nobody says where: in a folder beside the SQLite file, else nowhere."""
    scheme, _, rest = database_url.partition("://")
    path = rest.partition("/")[2]
    if scheme not in ("sqlite", "sqlite+aiosqlite") or not path:
        return "none"
    file = Path(path).absolute()
    return file.with_name(f"{file.stem}-images").as_uri()


def _path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.strip("/"):
        raise ConfigError(
            "artifacts_url must be file:// and an absolute path, as in file:///var/taxiway."
        )
    return Path(unquote(parts.path))
