"""Programs as processes of their own, each held to one core, and never left behind."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

#: How long a program may take until it answers; LiteLLM needs ten seconds and more.
START_TIMEOUT_S = 90.0

#: How long it may take to leave.
STOP_TIMEOUT_S = 10.0

#: How often it is asked whether it is there.
_ASK_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is started, and where it answers 200 once it is ready."""

    command: Sequence[str]
    port: int
    health: str = "/healthz"
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A program that is up."""

    pid: int
    url: str
    port: int
    boot_s: float
    """From the start of its process to its first healthy answer."""


def free_port() -> int:
    """Return a port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """Return a clean environment: nobody's keys and nobody's configuration."""
    kept = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ} | more


@asynccontextmanager
async def running(program: Program, *, core: int, folder: Path) -> AsyncIterator[Running]:
    """Run a program on one core while the context lasts; what it says goes to a file in the folder.

    Raises `SystemExit`, with its last words, for a program that does not come up.
    """
    loop = asyncio.get_running_loop()
    said = folder / f"{program.port}.log"
    with said.open("ab") as output:
        began_s = loop.time()
        process = await asyncio.create_subprocess_exec(
            *program.command,
            env=program.environ,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    try:
        url = f"http://127.0.0.1:{program.port}"
        await _until_healthy(process, url + program.health, said)
        yield Running(pid=process.pid, url=url, port=program.port, boot_s=loop.time() - began_s)
    finally:
        await _stopped(process)


async def _until_healthy(process: asyncio.subprocess.Process, url: str, said: Path) -> None:
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(START_TIMEOUT_S):
            while process.returncode is None:
                with suppress(aiohttp.ClientError):
                    async with session.get(url) as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(_ASK_S)
    except TimeoutError:
        pass
    last_words = await asyncio.to_thread(said.read_text, errors="replace")
    raise SystemExit(f"It did not come up: {last_words[-2_000:]}")


async def _stopped(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            # Its own session, so its children go with it, and nobody else.
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
