"""`taxiway demo`: what a stranger sees in the first minute."""

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson
import pytest
from PIL import Image

pytestmark = pytest.mark.looptime(False)

DEMO = (sys.executable, "-m", "taxiway", "demo", "--duration", "1")

#: Variables that would lead a service to the real Runway, lock it, or move it.
OF_THE_USER = {
    "RUNWAYML_API_BASE": "http://127.0.0.1:1",
    "RUNWAYML_API_SECRET": "key_of_somebody",
    "TAXIWAY_MASTER_KEY": "sk-of-the-house",
    "TAXIWAY_PORT": "1",
    "TAXIWAY_URL": "http://127.0.0.1:1",
}

#: What a terminal obeys instead of showing it.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A demo that has run where nothing can be redrawn."""

    code: int
    out: str
    err: str
    folder: Path
    took_s: float


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """One run of the demo for the tests that only look at it."""
    folder = tmp_path_factory.mktemp("demo")
    began_s = time.perf_counter()
    done = subprocess.run(
        DEMO,
        cwd=folder,
        env=surroundings(folder, **OF_THE_USER),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Shown(
        code=done.returncode,
        out=done.stdout,
        err=done.stderr,
        folder=folder,
        took_s=time.perf_counter() - began_s,
    )


def surroundings(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a demo whose temporary files go to a folder of the test."""
    return {"PATH": os.environ["PATH"], "TMPDIR": str(folder), **more}


@pytest.mark.quiet
def test_the_demo_makes_an_image(shown: Shown) -> None:
    """A PNG of the size that was asked for lies in the current folder, within the promised time."""
    (name,) = (name for name in os.listdir(shown.folder) if name.endswith(".png"))
    with Image.open(shown.folder / name) as image:
        image.load()
        shape = (image.format, image.size)

    assert (0, "") == (shown.code, shown.err)
    assert ("PNG", (1920, 1080)) == shape
    assert re.search(rf"image +{name}, 1920x1080 px, \d+ KB\n", shown.out)
    assert shown.took_s < 15


def test_the_summary_says_what_was_bought(shown: Shown) -> None:
    """What it cost, how many Runway tasks it took, which job it was and where the service is."""
    expected = {
        "service": r"http://127\.0\.0\.1:\d+",
        "cost": r"\$0\.08 \(8 credits\)",
        "bought": r"1 Runway task",
        "job": r"job_[0-9a-f]{32}",
    }

    assert [] == [
        name for name, text in expected.items() if not re.search(rf"  {name} +{text}\n", shown.out)
    ]


def test_a_log_shows_progress_in_lines(shown: Shown) -> None:
    """Where nothing can be redrawn, each phase is a line, and no escape sequence is written."""
    stages = re.findall(r"^ +[0-9.]+ s  (\w+)", shown.out, re.MULTILINE)

    assert "\x1b" not in shown.out
    assert ["queued", "running", "completed"] == [
        stage for stage in dict.fromkeys(stages) if stage in ("queued", "running", "completed")
    ]


def test_the_services_own_log_stays_off_the_screen(shown: Shown) -> None:
    """The log is in the folder that the demo names, whole and in JSON, and nothing of it on the screen."""
    (log,) = re.findall(r"log +(\S+)\n", shown.out)
    events = [orjson.loads(line)["event"] for line in Path(log).read_text().splitlines()]

    assert "service.started" not in shown.out
    assert ["service.started", "service.stopped"] == [events[0], events[-1]]
    assert "job.completed" in events


def test_the_users_own_settings_have_no_part(shown: Shown) -> None:
    """Variables that would lead the service elsewhere change nothing; no key leaves the machine."""
    assert "Done in" in shown.out
    assert OF_THE_USER["RUNWAYML_API_BASE"] + "\n" not in shown.out


async def start(*options: str, folder: Path, output: int = PIPE, **environ: str) -> Process:
    """Start the demo in a folder."""
    return await asyncio.create_subprocess_exec(
        *(*DEMO, *options),
        cwd=folder,
        env=surroundings(folder, **environ),
        stdin=DEVNULL,
        stdout=output,
        stderr=output,
    )


async def test_a_terminal_gets_a_bar(tmp_path: Path) -> None:
    """On a terminal one bar is redrawn in place, and gives way to the summary and, where it can, the image."""
    here, there = pty.openpty()
    process = await start(folder=tmp_path, output=there, TERM="xterm-kitty", COLUMNS="80")
    os.close(there)
    raw = await asyncio.to_thread(drain, here)
    await process.wait()
    text = CONTROL.sub("", raw.decode())

    assert 0 == process.returncode
    assert "━━━━━━━━" in text
    assert re.search(r"running +━+.*\d+ %", text)
    assert "✓ Done in " in text
    assert "━" not in text.partition("✓ Done")[2]
    assert "\x1b_Ga=T," in text.partition("✓ Done")[2]


async def test_keep_leaves_the_service_up(tmp_path: Path) -> None:
    """`--keep` says where the service is and what to do with it; Ctrl-C ends it well."""
    process = await start("--keep", folder=tmp_path)
    assert process.stdout is not None
    async with asyncio.timeout(20):
        text = (await process.stdout.readuntil(b"/v1/jobs\n")).decode()
    (url,) = re.findall(r"curl (\S+)\n", text)
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        jobs = await response.json()
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(10):
        _, err = await process.communicate()

    assert ["completed"] == [job["status"] for job in jobs["data"]]
    assert (0, b"") == (process.returncode, err)


def drain(terminal: int) -> bytes:
    """Return everything that is written to a terminal until nobody writes any more."""
    read = b""
    while True:
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # what Linux says when the other side is closed
            break
        if not chunk:
            break
        read += chunk
    os.close(terminal)
    return read
