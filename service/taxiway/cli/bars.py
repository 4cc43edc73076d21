"""A job on the screen while it runs: a live bar on a terminal, plain lines everywhere else.

The number is always the last one the service told. The bar alone glides towards it, since Runway is asked
every two seconds and a bar that jumps looks like one that hangs.
"""

from collections.abc import Callable
from math import ceil
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from taxiway.cli.consoles import can_redraw, speaks_unicode
from taxiway.cli.documents import JobDocument, is_final
from taxiway.cli.wording import PHASES, spell, stage

#: How long the bar takes to glide to a new number.
_GLIDE_S = 0.8

#: Plain lines come at every change of phase, and at every so many per cent.
_PLAIN_STEP = 25

_BAR_WIDTH = 34
_REDRAWS_PER_S = 12


class Bar(Protocol):
    """Shows a job's states as they come. A context manager, so that the screen is always given back."""

    def __enter__(self) -> Self:
        """Take the screen."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the screen back."""
        ...

    def show(self, job: JobDocument) -> None:
        """Show a state."""
        ...

    def say(self, sentence: str) -> None:
        """Show a sentence beside the last state, until the next one comes."""
        ...


def bar_for(console: Console, *, now: Callable[[], float]) -> Bar:
    """Return the bar that suits a console. `now` gives the date in Unix seconds."""
    if can_redraw(console):
        return LiveBar(console, now=now)
    return PlainLines(console, now=now)


class Stopwatch:
    """How long a job has been going on, by this machine's clock or the service's, whichever says less."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began_at: float | None = None

    def read(self, job: JobDocument) -> float:
        """Return the seconds since the job was created."""
        finished_at = job["finished_at"]
        if finished_at is not None:
            return finished_at - job["created_at"]
        now = self._now()
        if self._began_at is None:
            self._began_at = min(now, job["created_at"])
        return now - self._began_at


class PlainLines:
    """One line per change of phase and per quarter: for logs, where nothing can be redrawn."""

    def __init__(self, console: Console, *, now: Callable[[], float]) -> None:
        self._console = console
        self._watch = Stopwatch(now)
        self._phase: str | None = None
        self._told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def show(self, job: JobDocument) -> None:
        """Print a line, where the state is news."""
        phase = job["phase"] or job["status"]
        step = job["progress"] // _PLAIN_STEP
        if phase == self._phase and step <= self._told:
            return
        self._phase, self._told = phase, step
        self._print(f"{spell(self._watch.read(job)):>9}  {stage(job)}")

    def say(self, sentence: str) -> None:
        """Print the sentence."""
        self._print(f"           {sentence}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)


class LiveBar:
    """One line that is redrawn: what happens, the bar, the percentage, time gone and time to go."""

    def __init__(self, console: Console, *, now: Callable[[], float]) -> None:
        self._console = console
        self._watch = Stopwatch(now)
        self._job: JobDocument | None = None
        self._sentence: str | None = None
        self._glide = Glide(now)
        self._eta = Countdown(now)
        fancy = speaks_unicode(console)
        self._spinner = Spinner("dots" if fancy else "line", style="cyan")
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=_REDRAWS_PER_S,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, job: JobDocument) -> None:
        """Show a state from the next redraw on."""
        self._glide.to(job["progress"])
        self._eta.set(job.get("eta_s"))
        self._job, self._sentence = job, None

    def say(self, sentence: str) -> None:
        """Show the sentence under the bar until the next state."""
        self._sentence = sentence

    def _render(self) -> RenderableType:
        job = self._job
        if job is None:
            return Text("")
        grid = Table.grid(padding=(0, 1))
        grid.add_row(
            self._spinner,
            Text(f"{job['phase'] or job['status']:<14}", style="bold"),
            self._gauge(job),
            Text(f"{job['progress']:>3} %"),
            Text(f"{spell(self._watch.read(job)):>8}", style="dim"),
            Text(self._eta.read(), style="dim"),
        )
        under = self._sentence or PHASES.get(job["phase"] or "", "")
        style = "yellow" if self._sentence else "dim"
        return Padding(Group(grid, Text(f"  {under}", style=style)), (0, 0, 0, 2))

    def _gauge(self, job: JobDocument) -> RenderableType:
        idle = job["progress"] == 0 and not is_final(job)
        width = min(_BAR_WIDTH, max(8, self._console.width - 46))
        return ProgressBar(total=100, completed=self._glide.read(), width=width, pulse=idle)


class Glide:
    """A number on its way from where it was to where it should be."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._start = 0.0
        self._end = 0.0
        self._since = now()

    def to(self, end: float) -> None:
        """Set out for a new number from wherever the old one has got to."""
        if end != self._end:
            self._start, self._end, self._since = self.read(), end, self._now()

    def read(self) -> float:
        """Return the number as it is now."""
        share = min(1.0, (self._now() - self._since) / _GLIDE_S)
        return self._start + (self._end - self._start) * (1 - (1 - share) ** 2)


class Countdown:
    """The time to go, counted down between two words of the service about it."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ends_at: float | None = None

    def set(self, eta_s: float | None) -> None:
        """Take the service's word; None where it does not know."""
        self._ends_at = None if eta_s is None else self._now() + eta_s

    def read(self) -> str:
        """Return the time to go as text; nothing while unknown."""
        if self._ends_at is None:
            return ""
        return f"{max(1, ceil(self._ends_at - self._now()))} s to go"
