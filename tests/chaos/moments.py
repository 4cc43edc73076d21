"""A process of Taxiway that ends itself at a chosen moment of a job's life, as `kill -9` would.

    CHAOS_LIFE=new CHAOS_MOMENT='…' python -m tests.chaos.moments serve --port 4000

The product has no hook for this. The loop's task factory is ours: the coroutine of every task that works for the
chosen job is stepped by hand, so each `await` at which it is suspended is seen twice, when the wait begins (the
question is on its way) and when it is over (the answer is there, and nobody has read it). That is what a moment
is: the chain of `file:line` from the task down to the `await`, which time it comes by there, and `begins` or
`is over`. Nothing is listed by hand, so a new `await` in a job's life is a new moment.

Without CHAOS_MOMENT the moments of the first such life are written to CHAOS_MOMENTS, one to a line.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any

from taxiway import runner
from taxiway.store.sqlite.writer import Writer

#: Only frames of the product count: what a library does between two awaits of ours is one place.
_PRODUCT = f"{os.sep}taxiway{os.sep}"

#: How a life begins: with a request, or with the claim of a job whose owner is gone.
LIVES = {"new": "accept:", "adopted": "job:"}

#: The task that commits, for this job as for all others.
WRITER = "store:commits"


class Life:
    """The first job of this process that comes into being in the chosen way, and the tasks that work for it."""

    def __init__(self, *, first: str, deadly: str | None, diary: Path | None) -> None:
        self._first = first
        self._deadly = deadly
        self._diary = diary
        self._tasks: set[asyncio.Task[Any]] = set()
        self._visits: Counter[str] = Counter()
        self._begun = False

    def takes(self, task: asyncio.Task[Any]) -> bool:
        """Return whether a task works for the job: it is the first one, or a child of one that does."""
        if task in self._tasks:
            return True
        if self._begun:
            return task.get_name() == WRITER
        if not task.get_name().startswith(self._first):
            return False
        self._begun = True
        self._tasks.add(task)
        return True

    def has(self, parent: asyncio.Task[Any] | None) -> bool:
        """Return whether a task is known to work for the job."""
        return parent in self._tasks

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Take in a child."""
        self._tasks.add(task)

    def at(self, place: str, edge: str) -> None:
        """Come by a place: end here, if this is the moment."""
        self._visits[f"{edge} {place}"] += 1
        moment = f"{edge} #{self._visits[f'{edge} {place}']} {place}"
        if moment == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._diary is not None:
            with self._diary.open("a") as diary:
                diary.write(f"{moment}\n")


class Stepped(Coroutine[Any, Any, Any]):
    """A coroutine whose every step is seen."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], life: Life) -> None:
        self._coroutine = coroutine
        self._life = life
        self._place: str | None = None

    def send(self, value: Any) -> Any:
        """Go on to the next wait."""
        return self._step(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Go on with an exception."""
        return self._step(self._coroutine.throw, *error)

    def close(self) -> None:
        """End it."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def _step(self, go: Any, *arguments: Any) -> Any:
        task = asyncio.current_task()
        mine = task is not None and self._life.takes(task)
        if mine and self._place is not None:
            self._life.at(self._place, "is over")
        waiting = go(*arguments)
        if mine:
            self._place = f"{_kind(task)} {place_of(self._coroutine)}"
            self._life.at(self._place, "begins")
        return waiting


def place_of(coroutine: Any) -> str:
    """Return where a coroutine is suspended: the product's frames from the task's own down to the wait."""
    places: list[str] = []
    while coroutine is not None:
        frame = next(
            (f for n in ("cr_frame", "ag_frame", "gi_frame") if (f := getattr(coroutine, n, None))),
            None,
        )
        if frame is not None and _PRODUCT in frame.f_code.co_filename:
            file = frame.f_code.co_filename.rpartition(_PRODUCT)[2]
            places.append(f"{file}:{frame.f_lineno}")
        coroutine = next(
            (
                w
                for n in ("cr_await", "ag_await", "gi_yieldfrom")
                if (w := getattr(coroutine, n, None))
            ),
            None,
        )
    return " > ".join(places) or "?"


def _kind(task: asyncio.Task[Any] | None) -> str:
    return "" if task is None else task.get_name().partition(":")[0].rstrip("-0123456789")


def watch(life: Life) -> None:
    """Step every task of the running loop."""

    def factory(
        loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **more: Any
    ) -> asyncio.Task[Any]:
        parent = asyncio.current_task(loop) if asyncio._get_running_loop() is loop else None
        task = asyncio.Task(Stepped(coroutine, life), loop=loop, **more)
        if life.has(parent):
            life.adopt(task)
        return task

    asyncio.get_running_loop().set_task_factory(factory)


def turn_the_clock(by_s: float, *, swing_s: float = 0.0) -> None:
    """Let this process's clock be wrong from the start, and jump back and forth by `swing_s` every second."""
    true_time, began = time.time, time.monotonic()  # noqa: TID251 - it is the clock that is broken here

    def wrong_time() -> float:
        swing = swing_s * (int(time.monotonic() - began) % 3 - 1)  # noqa: TID251
        return true_time() + by_s + swing

    time.time = wrong_time  # noqa: TID251


def slow_down_the_disk(by_s: float) -> None:
    """Let every transaction of SQLite take so much longer: the more of them a kill meets half-way."""
    commit = Writer._commit

    def slow_commit(self: Writer, group: Any) -> Any:
        time.sleep(by_s)
        return commit(self, group)

    Writer._commit = slow_commit  # type: ignore[method-assign]


def prepare() -> None:
    """Do to this process what its variables ask for, before the program starts."""
    environ = os.environ
    clock_s, swing_s = (float(environ.get(f"CHAOS_{n}_S", 0)) for n in ("CLOCK", "SWING"))
    if clock_s or swing_s:
        turn_the_clock(clock_s, swing_s=swing_s)
    if disk_s := float(environ.get("CHAOS_DISK_S", 0)):
        slow_down_the_disk(disk_s)
    if "CHAOS_LIFE" not in environ:
        return
    diary = environ.get("CHAOS_MOMENTS")
    life = Life(
        first=LIVES[environ["CHAOS_LIFE"]],
        deadly=environ.get("CHAOS_MOMENT"),
        diary=Path(diary) if diary else None,
    )
    make = runner.Runner.__init__

    def made(self: runner.Runner, *arguments: Any, **named: Any) -> None:
        watch(life)
        make(self, *arguments, **named)

    runner.Runner.__init__ = made  # type: ignore[method-assign]


if __name__ == "__main__":
    prepare()
    from taxiway.cli import main

    main()
