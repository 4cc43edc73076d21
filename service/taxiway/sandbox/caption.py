"""What was asked for, in small letters at the foot of a picture."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

#: Pillow's own font knows Latin letters; others would come out as boxes.
_LAST_LETTER = 0x24F
_LINES = 2
_SMALLEST_SIDE = 120


def write(picture: "Image.Image", *, prompt: str, note: str) -> None:
    """Write a prompt, and a note below it, onto a picture. A picture too small for letters is left alone."""
    from PIL import ImageDraw, ImageFont

    side = min(picture.size)
    if side < _SMALLEST_SIDE:
        return
    letters = max(10, round(side * 0.024))
    large, small = ImageFont.load_default(letters), ImageFont.load_default(round(letters * 0.72))
    margin = round(letters * 1.2)
    lines = _wrap(_readable(prompt), large, picture.width - 2 * margin)
    foot = round(letters * 1.3)
    top = picture.height - margin - foot - len(lines) * round(letters * 1.35)
    _shade(picture, from_row=max(0, top - 2 * letters))
    pen = ImageDraw.Draw(picture)
    y = top
    for line in lines:
        pen.text((margin, y), line, font=large, fill=(255, 255, 255))
        y += round(letters * 1.35)
    pen.text((margin, y + round(letters * 0.25)), note, font=small, fill=(222, 224, 232))


def _readable(prompt: str) -> str:
    return " ".join("".join(c if ord(c) <= _LAST_LETTER else " " for c in prompt).split())


def _wrap(text: str, font: "FreeTypeFont | ImageFont", width: int) -> list[str]:
    """Return at most two lines that fit; what does not fit ends in an ellipsis."""
    lines: list[str] = []
    line = ""
    for word in text[:400].split():
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
    lines.append(line)
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], lines[_LINES - 1] + " …"]
    return [_cut(each, font, width) for each in lines if each]


def _cut(line: str, font: "FreeTypeFont | ImageFont", width: int) -> str:
    while font.getlength(line) > width and len(line) > len(" …"):
        line = line.removesuffix(" …")[:-1] + " …"
    return line


def _shade(picture: "Image.Image", *, from_row: int) -> None:
    """Darken the foot of a picture, softly, so that white letters can be read on it."""
    from PIL import Image

    rows = picture.height - from_row
    mask = Image.linear_gradient("L").resize((picture.width, rows)).point(_darkness)
    if picture.mode == "RGB":
        picture.paste((6, 8, 16), (0, from_row), mask)


def _darkness(value: int) -> int:
    return round(value * 0.55)
