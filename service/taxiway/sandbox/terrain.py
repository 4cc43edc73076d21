"""Outlines of ridges, dunes, woods and towns, as points from left to right."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from taxiway.sandbox.palettes import Land

Point = tuple[float, float]

#: Left, right, top.
House = tuple[float, float, float]

#: How many layers of land lie behind one another.
LAYERS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of land: its outline, its depth from 0 (far) to 1 (near), and the houses on it."""

    outline: list[Point]
    depth: float
    houses: tuple[House, ...] = ()


def layers(land: Land, *, dice: random.Random, aspect: float) -> list[Layer]:
    """Return the land from far to near. Coordinates are shares of width and height, from the top left."""
    made = []
    count = LAYERS if land != "sea" else 3
    for index in range(count):
        depth = index / (count - 1)
        if land == "city" and depth < 0.9:
            made.append(_skyline(depth, dice, aspect))
        else:
            made.append(Layer(outline=_outline(land, depth, dice, aspect), depth=depth))
    return made


def _outline(land: Land, depth: float, dice: random.Random, aspect: float) -> list[Point]:
    level, height, roughness, sharp = _shape(land, depth)
    points = _ridge(level, height, roughness, sharp, dice, aspect)
    wooded = (land == "forest" and depth > 0.3) or (land in ("mountains", "hills") and depth > 0.7)
    return _woods(points, depth, dice, aspect) if wooded else points


def _shape(land: Land, depth: float) -> tuple[float, float, float, bool]:
    """Return where the outline lies, how high it rises, how rough it is, and whether it has peaks."""
    if land == "mountains":
        return 0.56 + 0.36 * depth, 0.30 - 0.18 * depth, 0.56 - 0.10 * depth, depth < 0.7
    if land == "dunes":
        return 0.60 + 0.32 * depth, 0.10 + 0.04 * depth, 0.22, False
    if land == "sea":
        return 0.600 + 0.012 * depth, 0.10 - 0.07 * depth, 0.50, True
    if land == "forest":
        return 0.56 + 0.38 * depth, 0.16 - 0.04 * depth, 0.40, False
    return 0.60 + 0.32 * depth, 0.13 - 0.02 * depth, 0.34, False


def _ridge(
    level: float, height: float, roughness: float, sharp: bool, dice: random.Random, aspect: float
) -> list[Point]:
    """Return a sum of octaves of noise, folded into peaks where it is to be sharp."""
    steps = int(min(900, 220 * max(1.0, aspect)))
    waves = [_noise(dice) for _ in range(6)]
    offset = dice.uniform(0, 100)
    points = []
    for step in range(steps + 1):
        x = step / steps
        value, strength, pitch, total = 0.0, 1.0, 1.6 * aspect / 1.78 + 0.4, 0.0
        for wave in waves:
            sample = wave(x * pitch + offset)
            value += strength * ((1 - abs(2 * sample - 1)) if sharp else sample)
            total += strength
            strength *= roughness
            pitch *= 2.1
        points.append((x, level - height * (value / total - 0.35) * 1.6))
    return points


def _noise(dice: random.Random) -> Callable[[float], float]:
    values = [dice.random() for _ in range(256)]

    def sample(x: float) -> float:
        left = math.floor(x)
        share = x - left
        smooth = share * share * (3 - 2 * share)
        first, second = values[left % 256], values[(left + 1) % 256]
        return first + (second - first) * smooth

    return sample


def _woods(points: list[Point], depth: float, dice: random.Random, aspect: float) -> list[Point]:
    """Plant conifers along an outline."""
    tall, x = 0.028 + 0.075 * depth * depth, 0.0
    outline: list[Point] = []
    steps = len(points) - 1
    while x < 1.0:
        ground = points[min(steps, int(x * steps))][1]
        height = tall * dice.uniform(0.45, 1.0)
        half = height * dice.uniform(0.17, 0.24) / aspect
        outline += _conifer(x, ground, height, half)
        x += half * dice.uniform(1.0, 2.2) + (dice.random() < 0.06) * half * 6
    return [(0.0, points[0][1]), *outline, (1.0, points[-1][1])]


def _conifer(x: float, ground: float, height: float, half: float) -> list[Point]:
    left, right = [], []
    for tier in range(4):
        width = half * (1 - tier / 4.4)
        y = ground - height * tier / 4
        left += [(x - width, y), (x - width * 0.55, y - height * 0.11)]
        right += [(x + width, y), (x + width * 0.55, y - height * 0.11)]
    return [*left, (x, ground - height), *reversed(right)]


def _skyline(depth: float, dice: random.Random, aspect: float) -> Layer:
    outline: list[Point] = []
    houses: list[House] = []
    x, ground = -0.02, 0.64 + 0.34 * depth
    tallest = 0.40 - 0.14 * depth
    while x < 1.02:
        width = dice.uniform(0.016, 0.045) * (1 + 0.6 * depth) * 1.78 / aspect
        top = ground - tallest * (0.25 + 0.75 * dice.random() ** 2.2)
        outline.append((x, top))
        outline += _roof(x, width, top, tallest, dice)
        outline.append((x + width, top))
        houses.append((x, x + width, top))
        x += width
        if dice.random() < 0.3:
            street = width * 0.5
            outline += [(x, ground), (x + street, ground)]
            x += street
    return Layer(outline=outline, depth=depth, houses=tuple(houses))


def _roof(x: float, width: float, top: float, tallest: float, dice: random.Random) -> list[Point]:
    middle, kind = x + width / 2, dice.random()
    if kind < 0.16:  # a mast
        thin = width * 0.03
        spire = top - tallest * dice.uniform(0.08, 0.2)
        return [(middle - thin, top), (middle, spire), (middle + thin, top)]
    if kind < 0.38:  # a smaller storey on top
        inset, rise = width * 0.24, tallest * 0.07
        left, right = x + inset, x + width - inset
        return [(left, top), (left, top - rise), (right, top - rise), (right, top)]
    return []
