"""What a task costs by the catalogue, in Runway's credits: whole numbers, and None where nobody has said.

An unknown price is never 0: free and unknown are opposite answers to "may I spend this?".

`references` is the number of reference images of the request, `options` its body fields by the vendor's names.
"""

from collections.abc import Mapping
from itertools import product

from taxiway.catalogue import qualities
from taxiway.catalogue.entries import Model, Per, Price
from taxiway.jobs import MICRO_USD_PER_CREDIT


def credits(  # noqa: A001 - the vendor's word; the site module's `credits` is for prompts
    model: Model,
    *,
    ratio: str | None,
    quality: str | None,
    images: int,
    references: int,
    options: Mapping[str, object],
) -> int | None:
    """Return the credits of one task that makes `images` images; None where the price is unknown.

    `ratio` is the one sent, None for none. Without a `quality` the vendor's default counts.
    """
    if model.price is None:
        return None
    stands = quality or qualities.default(model, references=references, options=options)
    one = _one_image(model.price, tier=_tier(model.price, ratio), quality=stands)
    return _total(model.price, one, images=images, references=references)


def ceiling(
    model: Model,
    *,
    ratio: str | None,
    quality: str | None,
    images: int,
    references: int,
    options: Mapping[str, object],
) -> int | None:
    """Return the most that `credits` can come to: whatever is not known counts as its dearest case.

    None where even that is unknown, because some case has no price.
    """
    if model.price is None:
        return None
    stands = quality or qualities.default(model, references=references, options=options)
    tier = _tier(model.price, ratio)
    every_tier = tuple(tier.name for tier in model.price.tiers)
    every_quality = qualities.allowed(model, references=references, options=options)
    cases = product(
        (tier,) if tier is not None else every_tier or (None,),
        (stands,) if stands is not None else every_quality or (None,),
    )
    known = [_one_image(model.price, tier=tier, quality=quality) for tier, quality in cases]
    dearest = None if None in known else max(one for one in known if one is not None)
    return _total(model.price, dearest, images=images, references=references)


def usd(amount: int) -> float:
    """Return the price of an amount of credits in US dollars."""
    return amount * MICRO_USD_PER_CREDIT / 1_000_000


def money(microusd: int) -> str:
    """Return an amount in US dollars as people write it: two digits after the point, or as many as it has."""
    whole, micro = divmod(microusd, 1_000_000)
    return f"{whole}.{f'{micro:06}'.rstrip('0'):0<2}"


def _tier(price: Price, ratio: str | None) -> str | None:
    return next((tier.name for tier in price.tiers if ratio in tier.ratios), None)


def _one_image(price: Price, *, tier: str | None, quality: str | None) -> int | None:
    fitting = (
        rate.credits
        for rate in price.rates
        if rate.tier in (None, tier) and rate.quality in (None, quality)
    )
    return next(fitting, None)


def _total(price: Price, one: int | None, *, images: int, references: int) -> int | None:
    if one is None:
        return None
    surcharge = 0
    if price.reference is not None:
        times = images if price.reference.per is Per.OUTPUT else 1
        surcharge = price.reference.credits * references * times
    return one * images + surcharge
