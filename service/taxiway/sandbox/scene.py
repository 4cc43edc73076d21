"""A landscape for a prompt: something to look at while no real picture is paid for.

Soft things (sky, glow, clouds) are painted small and enlarged; outlines are drawn at twice the size and
reduced, which smooths them. The cost so hardly depends on the size that was asked for.
"""

import math
import random
from typing import TYPE_CHECKING

from taxiway.sandbox.palettes import Colour, Land, Light, choose, mix
from taxiway.sandbox.terrain import Layer, layers

if TYPE_CHECKING:
    from PIL import Image

#: The canvas has at most so many pixels; larger pictures are enlarged from it.
_CANVAS_PIXELS = 520_000
_SOFT_WIDTH = 256


def canvas_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size a picture is painted at."""
    width, height = size
    shrink = min(1.0, (_CANVAS_PIXELS / (width * height)) ** 0.5)
    return max(8, round(width * shrink)), max(8, round(height * shrink))


def paint(prompt: str, *, seed: bytes, size: tuple[int, int]) -> "tuple[Image.Image, Image.Image]":
    """Return a landscape, and a mask of what is not sky. The same arguments make the same picture."""
    from PIL import Image

    dice = random.Random(seed)  # noqa: S311 - a picture is no secret
    light, land = choose(prompt, dice=dice)
    width, height = size
    lamp = (dice.uniform(0.2, 0.8), dice.uniform(*light.lamp_at))
    picture = _sky(light, lamp, dice, size)
    cover = Image.new("L", size, 0)
    _stars(picture, light, dice)
    _lamp(picture, light, lamp)
    made = layers(land, dice=dice, aspect=width / height)
    for layer in made:
        _lay(picture, cover, layer, light, land)
        _windows(picture, layer, light, dice)
    if land == "sea":
        _water(picture, cover, light, lamp, dice)
    _fliers(picture, light, dice)
    return picture, cover


def _sky(
    light: Light, lamp: tuple[float, float], dice: random.Random, size: tuple[int, int]
) -> "Image.Image":
    from PIL import Image, ImageFilter

    soft = (_SOFT_WIDTH, max(8, round(_SOFT_WIDTH * size[1] / size[0])))
    sky = _gradient(light.sky, soft, until=0.66)
    reach = round(max(soft) * 0.75)
    glow = Image.radial_gradient("L").resize((reach, reach)).point(_fade)
    centre = (round(lamp[0] * soft[0] - reach / 2), round(lamp[1] * soft[1] - reach / 2))
    sky.paste(Image.new("RGB", (reach, reach), light.glow), centre, glow)
    clouds = Image.new("L", soft, 0)
    for _ in range(dice.randrange(3, 8)):
        _cloud(clouds, dice)
    clouds = clouds.filter(ImageFilter.GaussianBlur(soft[1] * 0.012 + 0.6))
    sky.paste(Image.new("RGB", soft, light.cloud), (0, 0), clouds)
    return sky.resize(size, Image.Resampling.BICUBIC)


def _fade(distance: int) -> int:
    near = max(0.0, 1 - distance / 182)
    return round(200 * near * near * math.sqrt(near))


def _cloud(clouds: "Image.Image", dice: random.Random) -> None:
    from PIL import ImageDraw

    pen = ImageDraw.Draw(clouds)
    width, height = clouds.size
    x, y = dice.uniform(-0.1, 1.0) * width, dice.uniform(0.06, 0.5) * height
    long, thick = dice.uniform(0.10, 0.30) * width, dice.uniform(0.008, 0.022) * height
    strength = dice.randrange(50, 130)
    for _ in range(dice.randrange(3, 7)):
        left, rise = x + dice.uniform(-0.4, 0.5) * long, dice.uniform(-1.6, 1.6) * thick
        reach = long * dice.uniform(0.4, 1.0)
        pen.ellipse((left, y + rise, left + reach, y + rise + 2 * thick), fill=strength)


def _gradient(stops: tuple[Colour, ...], size: tuple[int, int], *, until: float) -> "Image.Image":
    """Return a vertical gradient; the last stop is reached at `until` of the height."""
    from PIL import Image

    height = size[1]
    column = Image.new("RGB", (1, height))
    for y in range(height):
        place = min(1.0, y / max(1, height - 1) / until) * (len(stops) - 1)
        left = min(int(place), len(stops) - 2)
        column.putpixel((0, y), mix(stops[left], stops[left + 1], share=place - left))
    return column.resize(size, Image.Resampling.NEAREST)


def _stars(picture: "Image.Image", light: Light, dice: random.Random) -> None:
    width, height = picture.size
    for _ in range(light.stars):
        x, y = dice.randrange(width), int(dice.random() ** 1.5 * height * 0.55)
        bright = dice.uniform(0.25, 1.0) ** 2
        place = picture.getpixel((x, y))
        if isinstance(place, tuple):
            dim = (place[0], place[1], place[2])
            picture.putpixel((x, y), mix(dim, (255, 255, 255), share=bright))


def _lamp(picture: "Image.Image", light: Light, lamp: tuple[float, float]) -> None:
    from PIL import Image, ImageDraw

    width, height = picture.size
    radius = max(2, round(light.lamp_size * min(width, height)))
    disc = Image.new("L", (8 * radius, 8 * radius), 0)
    ImageDraw.Draw(disc).ellipse((2 * radius, 2 * radius, 6 * radius, 6 * radius), fill=255)
    disc = disc.resize((4 * radius, 4 * radius), Image.Resampling.BOX)
    corner = (round(lamp[0] * width - 2 * radius), round(lamp[1] * height - 2 * radius))
    picture.paste(Image.new("RGB", disc.size, light.lamp), corner, disc)


def _lay(
    picture: "Image.Image", cover: "Image.Image", layer: Layer, light: Light, land: Land
) -> None:
    """Lay one layer of land over the picture; its foot fades into the haze before the next."""
    from PIL import Image, ImageDraw

    width, height = picture.size
    top = max(0.0, min(y for _, y in layer.outline))
    first_row = max(0, min(height - 2, int(top * height) - 1))
    rows = height - first_row
    mask = Image.new("L", (width * 2, rows * 2), 0)
    points = [(x * width * 2, (y * height - first_row) * 2) for x, y in layer.outline]
    ImageDraw.Draw(mask).polygon([(-2, rows * 2), *points, (width * 2 + 2, rows * 2)], fill=255)
    mask = mask.reduce(2)
    crest = mix(light.haze, light.near, share=0.12 + 0.88 * layer.depth**1.15)
    foot = mix(crest, light.haze, share=0.55 * (1 - layer.depth) + 0.06)
    if land == "dunes":
        crest, foot = mix(crest, light.glow, share=0.34), mix(foot, light.near, share=0.30)
    shade = _gradient((crest, mix(crest, foot, share=0.5), foot), (1, rows), until=0.6)
    shade = shade.resize((width, rows), Image.Resampling.NEAREST)
    picture.paste(shade, (0, first_row), mask)
    cover.paste(255, (0, first_row), mask)


def _windows(picture: "Image.Image", layer: Layer, light: Light, dice: random.Random) -> None:
    """Light some windows of the houses on a layer; the farther, the fainter."""
    from PIL import ImageDraw

    width, height = picture.size
    pen = ImageDraw.Draw(picture, "RGBA")
    pitch = max(4.0, min(width, height) * (0.011 + 0.008 * layer.depth))
    lit = (*mix((255, 222, 150), light.glow, share=0.25), int(60 + 170 * layer.depth))
    for left, right, top in layer.houses:
        busy = dice.uniform(0.05, 0.4)
        columns = int((right - left) * width / pitch)
        for row in range(1, min(30, int((1 - top) * height / (pitch * 1.4)))):
            for column in range(1, columns):
                if dice.random() < busy:
                    x, y = left * width + column * pitch, top * height + row * pitch * 1.4
                    pen.rectangle((x, y, x + pitch * 0.35, y + pitch * 0.5), fill=lit)


def _water(
    picture: "Image.Image",
    cover: "Image.Image",
    light: Light,
    lamp: tuple[float, float],
    dice: random.Random,
) -> None:
    """Mirror the upper part in the lower, darker, and set glints under the lamp."""
    from PIL import Image, ImageDraw, ImageOps

    width, height = picture.size
    line = round(0.618 * height)
    depth = height - line
    mirrored = ImageOps.flip(picture.crop((0, max(0, line - depth), width, line)))
    mirrored = mirrored.resize((max(1, width // 10), depth)).resize((width, depth))
    tone = Image.new("RGB", (width, depth), mix(light.sky[1], light.near, share=0.5))
    picture.paste(Image.blend(mirrored, tone, 0.42), (0, line))
    cover.paste(255, (0, line, width, height))
    pen = ImageDraw.Draw(picture, "RGBA")
    for _ in range(130):
        near = dice.random()
        y = line + 2 + near * depth * 0.95
        spread = (0.02 + 0.11 * near) * min(width, height)
        x = lamp[0] * width + dice.gauss(0, 1) * spread
        long = (0.006 + 0.030 * near) * min(width, height) * dice.uniform(0.5, 1.5)
        thick = max(1.0, near * height * 0.004)
        glint = (*light.lamp, int(150 * (1 - 0.6 * near)))
        pen.ellipse((x - long, y, x + long, y + thick), fill=glint)


def _fliers(picture: "Image.Image", light: Light, dice: random.Random) -> None:
    """Draw a few birds, and now and then an aeroplane on its way."""
    from PIL import ImageDraw

    width, height = picture.size
    unit = min(width, height)
    pen = ImageDraw.Draw(picture, "RGBA")
    if dice.random() < 0.5:
        x, y = dice.uniform(0.15, 0.7) * width, dice.uniform(0.1, 0.3) * height
        for step in range(40):
            trail = (255, 255, 255, 4 + step * 3)
            along = step * unit * 0.008
            pen.line(
                (x + along, y - along * 0.22, x + along * 1.03 + 3, y - along * 0.22 - 1),
                fill=trail,
                width=max(1, unit // 360),
            )
    flock = (dice.uniform(0.15, 0.85) * width, dice.uniform(0.22, 0.42) * height)
    for _ in range(dice.randrange(0, 8)):
        x, y = flock[0] + dice.gauss(0, 0.05) * unit, flock[1] + dice.gauss(0, 0.025) * unit
        wing = unit * dice.uniform(0.006, 0.012)
        shade = (*light.near, 200)
        for side in (-1, 1):
            bend = (x + side * wing * 0.6, y - wing * 0.55)
            pen.line((x, y, *bend, x + side * wing * 1.4, y - wing * 0.25), fill=shade, width=1)
