"""OpenAI's client for Node, which no Python package has: npm installs it into a folder of the tests."""

import shutil
import subprocess
from pathlib import Path

VERSION = "6.49.0"
INSTALL_S = 90


def install(folder: Path) -> str | None:
    """Install the client into a folder; return why it cannot be, where it cannot."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "there is no Node here"
    (folder / "package.json").write_text('{"type": "module"}')
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    command = ["npm", "install", *options, f"openai@{VERSION}"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        return "npm takes too long"
    return None if done.returncode == 0 else "npm cannot install the client"
