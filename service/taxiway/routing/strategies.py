"""Which of several deployments takes a task, all of them having room for it.

Whatever the strategy, one that the provider holds tasks back at comes after those where it does not: such a task
would only wait over there instead of here.
"""

import random
from collections.abc import Callable, Sequence

from taxiway.routing.stations import Station
from taxiway.settings import Deployment, Routing, Strategy

#: Returns the micro-USD that the task would cost at a station; None where nobody knows.
Estimate = Callable[[Station], int | None]


def choose(
    stations: Sequence[Station],
    *,
    routing: Routing,
    estimate: Estimate,
    now_s: float,
    draw: random.Random,
) -> Station:
    """Return the station that takes the task. `stations` must not be empty."""
    if len(stations) == 1:
        return stations[0]
    stations = [s for s in stations if not s.traffic.throttled] or stations
    match routing.strategy:
        case Strategy.SIMPLE_SHUFFLE:
            best = stations
        case Strategy.LEAST_BUSY:
            best = least_busy(stations)
        case Strategy.LATENCY:
            best = fastest(stations, routing=routing, now_s=now_s)
        case Strategy.COST:
            best = least_busy(cheapest(stations, estimate))
    return _drawn(best, draw)


def shares(stations: Sequence[Station]) -> list[float]:
    """Return the stations' weights."""
    return weights([station.deployment for station in stations])


def weights(deployments: Sequence[Deployment]) -> list[float]:
    """Return `weight` where one of the deployments has it, else `rpm`, else `tpm`, else a one for each.

    A deployment without the number that counts weighs one, or as much as the others on average.
    """
    for name in ("weight", "rpm", "tpm"):
        numbers = [getattr(each, name) for each in deployments]
        known = [float(number) for number in numbers if number is not None]
        if known:
            usual = 1.0 if name == "weight" else sum(known) / len(known)
            found = [usual if number is None else float(number) for number in numbers]
            return found if sum(found) > 0 else [1.0] * len(found)
    return [1.0] * len(deployments)


def least_busy(stations: Sequence[Station]) -> Sequence[Station]:
    """Return the stations with the fewest tasks under way for what they can bear.

    That is their slots, where all of them have a number of these; else their shares.
    """
    slots = [station.slots for station in stations]
    bear = [float(n) for n in slots if n] if all(slots) else shares(stations)
    loads = [
        station.traffic.under_way / most if most else float("inf")
        for station, most in zip(stations, bear, strict=True)
    ]
    return _least(stations, loads)


def fastest(stations: Sequence[Station], *, routing: Routing, now_s: float) -> Sequence[Station]:
    """Return the stations whose tasks took least, and those within the buffer above them.

    One that has not been measured yet counts as the median of the others: it must not draw everything.
    """
    means = [s.traffic.durations.mean_s(now_s=now_s, ttl_s=routing.latency_ttl_s) for s in stations]
    known = [mean for mean in means if mean is not None]
    if not known:
        return stations
    median_s = _median(known)
    took = [median_s if mean is None else mean for mean in means]
    most = min(took) * (1 + routing.latency_buffer)
    return [s for s, took_s in zip(stations, took, strict=True) if took_s <= most]


def cheapest(stations: Sequence[Station], estimate: Estimate) -> Sequence[Station]:
    """Return the stations where this very request costs least; an unknown price comes last."""
    costs = [estimate(station) for station in stations]
    return _least(stations, [float("inf") if cost is None else cost for cost in costs])


def _least(stations: Sequence[Station], numbers: Sequence[float]) -> Sequence[Station]:
    least = min(numbers)
    return [s for s, number in zip(stations, numbers, strict=True) if number == least]


def _drawn(stations: Sequence[Station], draw: random.Random) -> Station:
    if len(stations) == 1:
        return stations[0]
    return draw.choices(stations, weights=shares(stations))[0]


def _median(values: Sequence[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return (ordered[half] + ordered[~half]) / 2
