"""The two outputs: results on stdout, all that accompanies them on stderr."""

from rich.console import Console

#: Wide enough for every table: what is piped into another program must not be cut to a window.
_PIPED_WIDTH = 200


def out() -> Console:
    """Return the console for results."""
    return _console(stderr=False)


def err() -> Console:
    """Return the console for progress, warnings and errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, emoji=False)
    if not can_redraw(console):
        console.width = _PIPED_WIDTH
    return console


def can_redraw(console: Console) -> bool:
    """Tell whether a person sees this, and not a log: colours may be forced, a terminal may not."""
    return console.file.isatty() and not console.is_dumb_terminal


def speaks_unicode(console: Console) -> bool:
    """Tell whether ticks and spinners can be written here."""
    return console.encoding.lower().startswith("utf")
