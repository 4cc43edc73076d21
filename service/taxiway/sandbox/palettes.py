"""Light and land for the sandbox's pictures, chosen by words of the prompt, else by chance."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")

Colour = tuple[int, int, int]
Land = Literal["mountains", "hills", "sea", "dunes", "city", "forest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """An hour of the day: the sky from zenith to horizon, its lamp, and what distance fades to."""

    sky: tuple[Colour, Colour, Colour, Colour]
    lamp: Colour
    glow: Colour
    haze: Colour
    near: Colour
    lamp_at: tuple[float, float]
    """Least and greatest height of the lamp, as a share of the picture from the top."""
    lamp_size: float
    stars: int = 0
    cloud: Colour = (255, 255, 255)


LIGHTS: Mapping[str, Light] = {
    "dawn": Light(
        sky=((58, 78, 138), (139, 132, 184), (238, 172, 168), (255, 222, 190)),
        lamp=(255, 246, 222),
        glow=(255, 214, 170),
        haze=(244, 190, 178),
        near=(44, 38, 72),
        lamp_at=(0.50, 0.58),
        lamp_size=0.060,
        cloud=(255, 214, 206),
    ),
    "day": Light(
        sky=((38, 108, 186), (86, 156, 218), (156, 206, 236), (224, 240, 244)),
        lamp=(255, 253, 236),
        glow=(255, 250, 222),
        haze=(188, 216, 232),
        near=(24, 66, 62),
        lamp_at=(0.14, 0.26),
        lamp_size=0.045,
    ),
    "golden": Light(
        sky=((64, 66, 118), (176, 104, 116), (244, 152, 88), (255, 218, 138)),
        lamp=(255, 244, 206),
        glow=(255, 196, 104),
        haze=(250, 178, 108),
        near=(52, 24, 42),
        lamp_at=(0.44, 0.54),
        lamp_size=0.072,
        cloud=(255, 192, 140),
    ),
    "dusk": Light(
        sky=((20, 22, 58), (66, 44, 108), (164, 72, 124), (244, 142, 116)),
        lamp=(255, 226, 196),
        glow=(246, 132, 118),
        haze=(188, 92, 128),
        near=(16, 12, 36),
        lamp_at=(0.48, 0.58),
        lamp_size=0.066,
        stars=70,
        cloud=(222, 128, 142),
    ),
    "night": Light(
        sky=((6, 10, 28), (14, 26, 58), (30, 54, 96), (66, 98, 138)),
        lamp=(240, 244, 250),
        glow=(132, 164, 208),
        haze=(50, 80, 120),
        near=(4, 8, 20),
        lamp_at=(0.16, 0.30),
        lamp_size=0.048,
        stars=260,
        cloud=(84, 110, 150),
    ),
    "mist": Light(
        sky=((122, 146, 158), (158, 178, 184), (196, 208, 206), (226, 228, 220)),
        lamp=(252, 250, 238),
        glow=(244, 240, 222),
        haze=(204, 214, 210),
        near=(38, 58, 62),
        lamp_at=(0.28, 0.40),
        lamp_size=0.058,
        cloud=(240, 242, 238),
    ),
}

_LIGHT_WORDS: Mapping[str, tuple[str, ...]] = {
    "dawn": ("dawn", "sunrise", "morning", "spring", "pink", "pastel"),
    "day": ("day", "noon", "summer", "blue", "sunny", "beach", "snow", "winter"),
    "golden": ("sunset", "golden", "autumn", "desert", "orange", "warm", "fox", "fire", "savanna"),
    "dusk": ("dusk", "evening", "twilight", "purple", "neon", "violet", "cyberpunk"),
    "night": ("night", "moon", "star", "stars", "space", "dark", "galaxy", "midnight", "owl"),
    "mist": ("mist", "fog", "foggy", "rain", "storm", "grey", "gray", "cloud", "clouds", "winter"),
}

_LAND_WORDS: Mapping[Land, tuple[str, ...]] = {
    "sea": ("sea", "ocean", "lake", "boat", "ship", "island", "beach", "water", "whale", "harbour"),
    "mountains": ("mountain", "mountains", "alps", "peak", "snow", "glacier", "volcano", "eagle"),
    "dunes": ("desert", "dune", "dunes", "sand", "mars", "camel", "sahara"),
    "city": ("city", "street", "tower", "skyline", "neon", "building", "cyberpunk", "robot"),
    "forest": ("forest", "wood", "woods", "tree", "trees", "fox", "bear", "deer", "owl", "jungle"),
    "hills": ("hill", "hills", "meadow", "field", "farm", "garden", "sheep", "runway", "airport"),
}


def choose(prompt: str, *, dice: random.Random) -> tuple[Light, Land]:
    """Return the hour and the land of a prompt."""
    words = set(re.findall(r"[a-z]+", prompt.lower()))
    return LIGHTS[_match(words, _LIGHT_WORDS, dice)], _match(words, _LAND_WORDS, dice)


def _match(words: set[str], table: Mapping[T, tuple[str, ...]], dice: random.Random) -> T:
    named = [name for name in table if words.intersection((name,))]
    fitting = named or [name for name, known in table.items() if words.intersection(known)]
    return dice.choice(fitting or list(table))


def mix(first: Colour, second: Colour, *, share: float) -> Colour:
    """Return a colour between two; share 0 is the first, 1 the second."""
    return (
        round(first[0] + (second[0] - first[0]) * share),
        round(first[1] + (second[1] - first[1]) * share),
        round(first[2] + (second[2] - first[2]) * share),
    )
