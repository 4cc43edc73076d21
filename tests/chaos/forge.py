"""Many processes of Taxiway, quickly: one process imports the program once, and is forked for each of them.

A start costs a second of CPU for imports alone, and this suite starts hundreds. What runs in a child is the
command line itself, from `main()` on, and it dies like any other process: nothing in it knows of its parent.

Run as a program this is the parent: orders come as lines of JSON on stdin, `[number, pid]` and then
`[number, pid, exit code]` go to stdout. It ends with its stdin, and its children with it.
"""

import asyncio
import json
import os
import random
import selectors
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent


class Child:
    """A process, with as much of `asyncio.subprocess.Process` as `tests.processes` uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.gone = asyncio.Event()

    def send_signal(self, number: int) -> None:
        """Send it a signal. Raises `ProcessLookupError` for one that is gone."""
        if self.returncode is not None:
            raise ProcessLookupError(self.pid)
        os.kill(self.pid, number)

    async def wait(self) -> int:
        """Return its exit code, negative for the signal that ended it."""
        await self.gone.wait()
        return self.returncode or 0


class Forge:
    """The parent, seen from here. An asynchronous context manager."""

    def __init__(self) -> None:
        self._parent: asyncio.subprocess.Process | None = None
        self._asked: dict[int, asyncio.Future[Child]] = {}
        self._children: dict[int, Child] = {}
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Forge":
        self._parent = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.chaos.forge"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._parent is not None
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        await self._parent.wait()
        if self._reading is not None:
            await self._reading

    async def child(
        self, *arguments: str, environ: Mapping[str, str], folder: Path, log: Path
    ) -> Child:
        """Run `taxiway …` with these variables in a folder; what it writes is appended to the log."""
        assert self._parent is not None
        assert self._parent.stdin is not None
        number = len(self._asked)
        self._asked[number] = asyncio.get_running_loop().create_future()
        order = [number, arguments, dict(environ), str(folder), str(log)]
        self._parent.stdin.write(json.dumps(order).encode() + b"\n")
        return await self._asked[number]

    async def _read(self) -> None:
        assert self._parent is not None
        assert self._parent.stdout is not None
        async for line in self._parent.stdout:
            number, pid, *code = json.loads(line)
            if not code:
                self._children[pid] = Child(pid)
                self._asked[number].set_result(self._children[pid])
                continue
            child = self._children.pop(pid)
            child.returncode = code[0]
            child.gone.set()


def preload() -> None:
    """Import what a child would import, without starting anything."""
    import aiosqlite  # noqa: F401
    import asyncpg  # noqa: F401
    import uvloop  # noqa: F401

    import taxiway.cli.listening
    import taxiway.cli.loading
    import taxiway.cli.loops
    import taxiway.cli.source
    import taxiway.logs
    import taxiway.sandbox
    import taxiway.server.running
    import taxiway.store.postgres
    import taxiway.store.sqlite  # noqa: F401


def become(arguments: Sequence[str], environ: Mapping[str, str], folder: str, log: str) -> None:
    """Turn a fresh fork into the program."""
    os.chdir(folder)
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for source, target in ((null, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["taxiway", *arguments]
    random.seed()
    from tests.chaos.moments import prepare

    prepare()
    from taxiway.cli import main

    main()


def work() -> None:
    """Fork whenever that is asked for, and tell of every end."""
    bell, rope = os.pipe()
    os.set_blocking(rope, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(rope)
    children: dict[int, int] = {}
    orders = b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(0, selectors.EVENT_READ)
        waiting.register(bell, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                read = os.read(key.fd, 65536)
                if key.fd == bell:
                    _tell_of_ends(children)
                elif not read:
                    for pid in children:
                        os.kill(pid, signal.SIGKILL)
                    return
                else:
                    *whole, orders = (orders + read).split(b"\n")
                    for line in whole:
                        _obey(json.loads(line), children)


def _obey(order: list[Any], children: dict[int, int]) -> None:
    number, *how = order
    pid = os.fork()
    if not pid:
        os._exit(_live(how))
    children[pid] = number
    _say(number, pid)


def _live(how: list[Any]) -> int:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        become(*how)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - a child must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 1


def _tell_of_ends(children: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            _say(children.pop(pid), pid, os.waitstatus_to_exitcode(status))


def _say(*words: int) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    preload()
    work()
