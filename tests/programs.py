"""Programs that come in no Python package: found on the PATH, or unpacked from the package of a Debian.

    python tests/programs.py promtool

prints where it is. Unpacking installs nothing: the files go into `~/.cache/taxiway`, and no service is started.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

#: Program → the package it is in.
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
}

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "taxiway"


def find(name: str) -> str | None:
    """Return the path of a program, or None where there is neither the program nor a Debian to take it from."""
    installed = shutil.which(name)
    if installed is not None:
        return installed
    folder = CACHE / PACKAGES[name]
    if not folder.exists() and not _unpack(PACKAGES[name], folder):
        return None
    return shutil.which(name, path=folder / "usr" / "bin")


def _unpack(package: str, folder: Path) -> bool:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return False
    CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=CACHE) as scratch:
        _run("apt-get", "download", package, cwd=scratch)
        for archive in Path(scratch).glob("*.deb"):
            _run("dpkg", "-x", str(archive), f"{scratch}/files", cwd=scratch)
        unpacked = Path(scratch, "files")
        if not unpacked.exists():
            return False
        try:
            unpacked.rename(folder)
        except OSError:  # somebody else was faster
            return folder.exists()
    return True


def _run(*command: str, cwd: str) -> None:
    subprocess.run(command, cwd=cwd, capture_output=True, timeout=120, check=False)


if __name__ == "__main__":
    sys.stdout.write(f"{find(sys.argv[1]) or ''}\n")
