"""The same landscapes as vectors, for the model that draws vectors."""

import random

from taxiway.sandbox.palettes import Colour, choose, mix
from taxiway.sandbox.terrain import layers

_STOPS = (0, 30, 60, 100)


def paint_vector(prompt: str, *, seed: bytes, size: tuple[int, int], note: str) -> bytes:
    """Return a landscape as an SVG file. The same arguments make the same picture."""
    dice = random.Random(seed)  # noqa: S311 - a picture is no secret
    light, land = choose(prompt, dice=dice)
    if land == "sea":
        land = "hills"  # water is a mirror, which vectors are not
    width, height = size
    x, y = dice.uniform(0.2, 0.8) * width, dice.uniform(*light.lamp_at) * height
    radius = light.lamp_size * min(size)
    stops = "".join(
        f'<stop offset="{at}%" stop-color="{_hex(colour)}"/>'
        for at, colour in zip(_STOPS, light.sky, strict=True)
    )
    shapes = []
    for layer in layers(land, dice=dice, aspect=width / height):
        colour = mix(light.haze, light.near, share=0.12 + 0.88 * layer.depth)
        outline = " ".join(f"{px * width:.1f},{py * height:.1f}" for px, py in layer.outline)
        corners = f"0,{height} {outline} {width},{height}"
        shapes.append(f'<polygon points="{corners}" fill="{_hex(colour)}"/>')
    return "\n".join(
        (
            _head(width, height),
            f"<title>{_escape(prompt)}</title><desc>{_escape(note)}</desc>",
            f'<defs><linearGradient id="sky" x2="0" y2="0.7">{stops}</linearGradient>',
            f'<radialGradient id="glow">{_glow(_hex(light.glow))}</radialGradient></defs>',
            f'<rect width="{width}" height="{height}" fill="url(#sky)"/>',
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius * 6:.1f}" fill="url(#glow)"/>',
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{_hex(light.lamp)}"/>',
            *shapes,
            "</svg>\n",
        )
    ).encode()


def _head(width: int, height: int) -> str:
    box = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>'


def _glow(colour: str) -> str:
    inner = f'<stop stop-color="{colour}" stop-opacity="0.8"/>'
    return f'{inner}<stop offset="1" stop-color="{colour}" stop-opacity="0"/>'


def _hex(colour: Colour) -> str:
    return f"#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}"


def _escape(text: str) -> str:
    """Return a text that is safe in XML; what XML 1.0 forbids altogether is left out."""
    allowed = "".join(
        c for c in text if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd"
    )
    return allowed.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
