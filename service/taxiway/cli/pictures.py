"""Pictures on the screen, in the terminals that can show them: in kitty's way or in iTerm2's.

Which terminal it is, the environment says. It is not asked itself, since its answer would have to be read from the
keyboard's own line. Inside tmux or screen nothing is shown: they swallow pictures, or garble them.
"""

import io
import os
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import Console

from taxiway.cli.consoles import can_redraw
from taxiway.cli.files import Saved

#: So many pictures of one job are shown, each so large at most, in cells.
_SHOWN_MAX = 4
_COLUMNS_MAX = 48
_ROWS_MAX = 16

#: A cell is about twice as high as it is wide, and some ten pixels wide.
_CELL_RATIO = 2
_CELL_PIXELS = 10

#: kitty takes that many characters at a time.
_CHUNK = 4096

Way = Callable[[bytes, int], Iterator[str]]


def show_pictures(console: Console, saved: Sequence[Saved]) -> None:
    """Show images that were saved, where the terminal can; elsewhere do nothing."""
    way = _way_of(os.environ) if can_redraw(console) else None
    if way is None:
        return
    for each in saved[:_SHOWN_MAX]:
        small = _shrunk(each, width=console.width)
        if small is not None:
            content, columns = small
            console.file.write(f"\n  {''.join(way(content, columns))}\n")
            console.file.flush()


def _way_of(environ: Mapping[str, str]) -> Way | None:
    """Return how a terminal wants its pictures, None where it shows none."""
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if "TMUX" in environ or "STY" in environ or term.startswith(("tmux", "screen")):
        return None
    if term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return _kitty
    if program in ("iTerm.app", "WezTerm") or environ.get("LC_TERMINAL") == "iTerm2":
        return _iterm
    return None


def _shrunk(saved: Saved, *, width: int) -> tuple[bytes, int] | None:
    """Return an image small, as a PNG, and how many columns it takes; None for what cannot be drawn."""
    from PIL import Image

    try:
        with Image.open(saved.path) as image:
            ratio = image.width / image.height
            columns = min(_COLUMNS_MAX, width - 4, round(_ROWS_MAX * _CELL_RATIO * ratio))
            size = columns * _CELL_PIXELS
            image.thumbnail((size, round(size / ratio) + 1))
            written = io.BytesIO()
            image.convert("RGBA").save(written, "PNG")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None  # it is saved all the same; an SVG is none of Pillow's
    return written.getvalue(), columns


def _kitty(content: bytes, columns: int) -> Iterator[str]:
    text = b64encode(content).decode()
    for start in range(0, len(text), _CHUNK):
        # Shown at once, a PNG, so many columns wide, and no answer wanted.
        first = f"a=T,f=100,c={columns},q=2," if start == 0 else ""
        more = int(start + _CHUNK < len(text))
        yield f"\x1b_G{first}m={more};{text[start : start + _CHUNK]}\x1b\\"


def _iterm(content: bytes, columns: int) -> Iterator[str]:
    text = b64encode(content).decode()
    yield f"\x1b]1337;File=inline=1;size={len(content)};width={columns};preserveAspectRatio=1:{text}\x07"
