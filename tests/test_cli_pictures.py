"""Pictures in terminals: shown where the terminal can, small, and never where they would be garbage."""

import io
import os
import pty
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from taxiway.cli.files import Saved, file_name
from taxiway.cli.pictures import show_pictures

KITTY = {"TERM": "xterm-kitty"}
ITERM = {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}

Show = Callable[..., str]


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Shows images in a terminal of a kind, and returns what it is sent."""

    def shown(*paths: Path, environ: Mapping[str, str], width: int = 100) -> str:
        for name in ("TERM", "TERM_PROGRAM", "LC_TERMINAL", "TMUX", "STY"):
            monkeypatch.delenv(name, raising=False)
        for name, text in environ.items():
            monkeypatch.setenv(name, text)
        here, there = pty.openpty()
        written = io.StringIO()
        written.isatty = lambda: os.isatty(there)  # type: ignore[method-assign] # as the terminal's own file
        show_pictures(
            Console(file=written, width=width, force_terminal=True), [saved(p) for p in paths]
        )
        os.close(there)
        os.close(here)
        return written.getvalue()

    return shown


def saved(path: Path) -> Saved:
    """Return an image as it has been saved."""
    picture = {"index": 0, "url": "", "size": None, "content_type": "image/png"}
    return Saved(path=path, size_bytes=path.stat().st_size, picture=picture)  # type: ignore[arg-type] # a dictionary, as JSON has it


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """An image as Runway makes it."""
    Image.effect_noise((1920, 1080), 60).convert("RGB").save(tmp_path / "wide.png")
    return tmp_path / "wide.png"


@pytest.fixture
def high(tmp_path: Path) -> Path:
    """The same on its end, and not as a PNG."""
    Image.new("RGB", (1080, 1920), "orange").save(tmp_path / "high.webp")
    return tmp_path / "high.webp"


def size_of(content: bytes) -> tuple[int, int]:
    """Return the size of a PNG."""
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        image.load()
        return image.size


def test_kitty_is_sent_a_small_png_in_parts(show: Show, wide: Path) -> None:
    """Each part is short enough, the last one says so, no answer is asked for, and together they are the image."""
    text = show(wide, environ=KITTY)
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)

    assert "a=T,f=100,c=48,q=2,m=1" == parts[0][0]
    assert {"m=1"} == {control for control, _ in parts[1:-1]}
    assert "m=0" == parts[-1][0]
    assert max(len(part) for _, part in parts) <= 4096
    assert (480, 270) == size_of(b64decode("".join(part for _, part in parts)))
    assert "" == re.sub(r"\x1b_G[^\x1b]*\x1b\\", "", text).strip()


def test_iterm2_is_sent_a_small_png(show: Show, wide: Path) -> None:
    """In one piece, with its length and how wide it is to be."""
    text = show(wide, environ=ITERM)
    found = re.fullmatch(
        r"\s*\x1b\]1337;File=inline=1;size=(\d+);width=48;preserveAspectRatio=1:(.*)\x07\n", text
    )

    assert found is not None
    assert int(found[1]) == len(b64decode(found[2]))
    assert (480, 270) == size_of(b64decode(found[2]))


def test_no_image_fills_the_screen(show: Show, wide: Path, high: Path) -> None:
    """A high one is sixteen lines high, and so narrower; in a narrow window none is wider than that."""
    assert "c=18," in show(high, environ=KITTY)
    assert "c=26," in show(wide, environ=KITTY, width=30)


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({"TERM": "xterm-ghostty"}, id="Ghostty"),
        pytest.param({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, id="Ghostty's program"),
        pytest.param({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, id="WezTerm"),
        pytest.param({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, id="iTerm2 over SSH"),
    ],
)
def test_others_can_do_it_too(show: Show, wide: Path, environ: Mapping[str, str]) -> None:
    """Each is known by what it says of itself."""
    assert "\x1b" in show(wide, environ=environ)


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({"TERM": "xterm-256color"}, id="any other"),
        pytest.param({"TERM": "dumb", "TERM_PROGRAM": "iTerm.app"}, id="dumb"),
        pytest.param({**KITTY, "TMUX": "/tmp/tmux,1,0"}, id="kitty under tmux"),  # noqa: S108
        pytest.param({"TERM": "screen", "LC_TERMINAL": "iTerm2"}, id="iTerm2 under screen"),
        pytest.param({}, id="nothing known"),
    ],
)
def test_where_nothing_can_be_shown_nothing_is_written(
    show: Show, wide: Path, environ: Mapping[str, str]
) -> None:
    """Not a byte."""
    assert "" == show(wide, environ=environ)


def test_into_a_pipe_no_picture_goes(monkeypatch: pytest.MonkeyPatch, wide: Path) -> None:
    """Not even from inside kitty."""
    monkeypatch.setenv("TERM", "xterm-kitty")
    written = io.StringIO()
    show_pictures(Console(file=written, force_terminal=True), [saved(wide)])

    assert "" == written.getvalue()


def test_what_cannot_be_drawn_is_left_out(show: Show, wide: Path, tmp_path: Path) -> None:
    """An SVG, and a file that is broken, are saved and not shown; the next image is."""
    drawing, broken = tmp_path / "drawing.svg", tmp_path / "broken.png"
    drawing.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    broken.write_bytes(wide.read_bytes()[:2000])

    assert "" == show(drawing, broken, environ=KITTY)
    assert 1 == show(drawing, broken, wide, environ=KITTY).count("a=T")


@pytest.mark.parametrize(
    ("content_type", "name"),
    [("image/svg+xml", "a-fox-abcdef.svg"), ("image/jpeg", "a-fox-abcdef.jpg")],
)
def test_a_file_is_called_after_its_format(content_type: str, name: str) -> None:
    """Drawings too."""
    picture = {"index": 0, "content_type": content_type}
    job = {"id": "job_abcdef", "prompt": "A fox", "images": [picture]}

    assert name == file_name(job, picture)  # type: ignore[arg-type] # as much of a job as a name needs
