"""Where an embedded database can live: on a local disk, in a folder that can be written."""

import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from taxiway.errors import ConfigError

#: Network file systems by the `f_type` of Linux's statfs(2), from linux/magic.h and the kernel's own sources.
#: SQLite's WAL needs shared memory that all its users see; here it would corrupt the database in silence.
NETWORK_FILE_SYSTEMS: Mapping[int, str] = MappingProxyType(
    {
        0x6969: "NFS",
        0x517B: "SMB",
        0xFE534D42: "SMB",
        0xFF534D42: "CIFS",
    }
)

_STATFS_BYTES = 256  # struct statfs has at most 120 on Linux


def prepare(path: str, *, refused: Mapping[int, str] = NETWORK_FILE_SYSTEMS) -> Path:
    """Make the database's folder and return the file's absolute path, links resolved.

    Raises `ConfigError` where the folder cannot be made, lies on a refused file system, or the file is none that
    can be read and written.
    """
    file = Path(path).resolve()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The folder of the database {file} cannot be made: {error.strerror}."
        ) from error
    if kind := refused.get(file_system(file.parent)):
        raise ConfigError(
            f"The database {file} is on a network file system ({kind}), where SQLite loses data; "
            "choose a local disk."
        )
    if file.exists() and not (file.is_file() and os.access(file, os.R_OK | os.W_OK)):
        raise ConfigError(f"The database {file} is not a file that can be read and written.")
    return file


def file_system(folder: Path) -> int:
    """Return the magic number of the file system under a folder, 0 where the system does not say."""
    if sys.platform != "linux":
        return 0
    found = ctypes.create_string_buffer(_STATFS_BYTES)
    if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(folder), found) != 0:
        return 0
    # The first field, a long; the numbers have 32 bits.
    return ctypes.c_ulong.from_buffer(found).value & 0xFFFFFFFF
