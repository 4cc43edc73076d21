"""What README shows is run: its configuration is served, and its commands and programs ask that service."""

import asyncio
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from taxiway.config import load_settings
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.settings import Settings

pytestmark = pytest.mark.looptime(False)

ROOT = Path(__file__).parents[1]

#: Where the service of README is.
HERE = "http://localhost:4000"


def blocks(page: str, language: str, *, beginning: str) -> str:
    """Return the one block of a page in a language that begins like this."""
    text = (ROOT / page).read_text()
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    [block] = [each for each in found if each.startswith(beginning)]
    return str(block)


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway that needs half a second."""
    return SandboxSettings(duration_s=0.4, queue_s=0.1, pictures="plain")


@pytest.fixture
def settings(sandbox: Sandbox, tmp_path: Path) -> Settings:
    """The settings of README's `config.yaml`, with a look every fifth of a second."""
    path = tmp_path / "config.yaml"
    path.write_text(blocks("README.md", "yaml", beginning="# config.yaml"))
    environ = {"RUNWAYML_API_KEY": "key_of_the_tests", "RUNWAYML_API_BASE": sandbox.url}
    settings = load_settings(path=path, environ=environ).settings
    return replace(settings, database_url="memory://", artifacts_url="none", poll_interval_s=0.2)


async def run(*command: str, **environ: str) -> str:
    """Run a command, and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl(url: str, sandbox: Sandbox) -> None:
    """The command is answered with an image."""
    said = await run("sh", "-c", blocks("README.md", "sh", beginning="curl ").replace(HERE, url))

    assert f'"url":"{sandbox.url}/' in said
    assert 1 == len(sandbox.tasks)


async def test_the_openai_sdk(url: str, sandbox: Sandbox) -> None:
    """The program prints the address of an image, and then events up to the last."""
    program = blocks("README.md", "python", beginning="from openai").replace(HERE, url)
    lines = (await run(sys.executable, "-c", program)).splitlines()

    assert lines[0].startswith(f"{sandbox.url}/")
    assert "image_generation.progress 0" == lines[1]
    assert "image_generation.completed None" == lines[-1]


async def test_python_without_a_server(sandbox: Sandbox) -> None:
    """The program prints the address of an image, and its price."""
    program = blocks("docs/asking.md", "python", beginning="from taxiway")
    environ = {"RUNWAYML_API_SECRET": "key_of_the_tests", "RUNWAYML_API_BASE": sandbox.url}
    said = await run(sys.executable, "-c", program, **environ)

    assert re.fullmatch(rf"{sandbox.url}/\S+ 0\.08\n", said)
