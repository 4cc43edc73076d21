"""From the size a caller asks for to the ratio a model is sent.

A caller writes `WxH`, the vendor `W:H`. A size is either accepted as it is or refused. The one exception are
five common sizes, which programs written for other services ask for out of habit: they become the nearest
picture the model makes. Nothing else is ever replaced.

`references` is the number of reference images of the request, `options` its body fields by the vendor's names.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType

from taxiway.catalogue.checks import PAIR
from taxiway.catalogue.entries import Model, is_set
from taxiway.errors import BadRequestError

#: Sizes that every model answers, with its nearest picture where it cannot make them exactly.
COMMON_SIZES = ("1024x1024", "1792x1024", "1024x1792", "1920x1080", "1080x1920")
AUTO = "auto"

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_NO_OPTIONS: Mapping[str, object] = MappingProxyType({})


def resolve(
    model: Model, size: str | None, *, references: int, options: Mapping[str, object]
) -> str | None:
    """Return the ratio to send for a size; None: `ratio` is left out and the model decides.

    Raises `BadRequestError` for a size the model does not make, with the list of those it does.
    """
    if size is None or size == AUTO:
        return None if is_set(options, model.ratio_excluded_by) else model.ratio_default
    ratios = _ratios(model, references=references, options=options)
    if size in ratios and not PAIR.fullmatch(size):
        return size
    if asked := _SIZE.fullmatch(size):
        ratio = f"{asked[1]}:{asked[2]}"
        if ratio in ratios or _is_free(model, int(asked[1]), int(asked[2]), options=options):
            return ratio
    if size in COMMON_SIZES:
        return _nearest(size, ratios)
    raise _refusal(model, size, references=references, options=options)


def accepted(
    model: Model, *, references: int | None = None, options: Mapping[str, object] = _NO_OPTIONS
) -> tuple[str, ...]:
    """Return every size the model takes by name: `auto`, special values, its own sizes, the common ones.

    With `references` None it is the list over all requests, whatever reference images they carry.
    """
    ratios = model.ratios
    if references is not None:
        ratios = _ratios(model, references=references, options=options)
    specials = [ratio for ratio in ratios if not PAIR.fullmatch(ratio)]
    own = [size for ratio in ratios if (size := to_size(ratio)) is not None]
    return tuple(dict.fromkeys([AUTO, *specials, *own, *COMMON_SIZES]))


def to_size(ratio: str | None) -> str | None:
    """Return the size of a ratio as `WxH`; None where the picture's real size is the model's choice."""
    if ratio is None or not PAIR.fullmatch(ratio):
        return None
    return ratio.replace(":", "x")


def _ratios(model: Model, *, references: int, options: Mapping[str, object]) -> tuple[str, ...]:
    if is_set(options, model.ratio_excluded_by):
        return ()
    barred = (
        model.ratios_only_without_references if references else model.ratios_only_with_references
    )
    if references < model.ratio_needs_references:
        return tuple(ratio for ratio in model.ratios if not PAIR.fullmatch(ratio))
    return tuple(r for r in model.ratios if r not in barred) if barred else model.ratios


def _is_free(model: Model, width: int, height: int, *, options: Mapping[str, object]) -> bool:
    if model.free_area is None or is_set(options, model.ratio_excluded_by):
        return False
    least, most = model.free_area
    return least <= width * height <= most


@lru_cache(maxsize=512)  # a few sizes by a few lists, each some fifty fractions to compare
def _nearest(size: str, ratios: tuple[str, ...]) -> str | None:
    pairs = [ratio for ratio in ratios if PAIR.fullmatch(ratio)]
    wanted = _sides(size)
    return min(pairs, key=lambda ratio: _distance(_sides(ratio), wanted), default=None)


def _distance(made: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, Fraction, int]:
    """Return how far a picture is from the wanted one: shape first, then area, then the larger.

    Shapes are compared in whole percent, since 1.7778 against 1.78 must not decide between 4.6 and 9.4
    megapixels; areas as exact fractions, since a rounding error must not decide a tie.
    """
    (width, height), (wanted_width, wanted_height) = made, wanted
    low, high = sorted((width * wanted_height, wanted_width * height))
    percent_off = (200 * (high - low) + low) // (2 * low)  # rounded half up
    area, wanted_area = width * height, wanted_width * wanted_height
    area_off = Fraction(max(area, wanted_area), min(area, wanted_area))
    return percent_off, area_off, -area


def _sides(pair: str) -> tuple[int, int]:
    width, height = re.split("[x:]", pair)
    return int(width), int(height)


def _refusal(
    model: Model, size: str, *, references: int, options: Mapping[str, object]
) -> BadRequestError:
    sizes = ", ".join(accepted(model, references=references, options=options))
    area = ""
    if model.free_area is not None:
        least, most = model.free_area
        area = f", and any WIDTHxHEIGHT of {least} to {most} pixels in all"
    return BadRequestError(
        f"The model {model.id} does not make the size {size!r} from this request; it takes {sizes}{area}.",
        code="invalid_size",
        param="size",
    )
