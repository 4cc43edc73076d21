"""Which deployments of a name may take a task at all, and which of them come first."""

from collections.abc import Collection, Iterator, Sequence

from taxiway.routing.stations import Station
from taxiway.settings import Routing

#: The tag of deployments for requests that match no other.
DEFAULT_TAG = "default"


def tagged(
    stations: Sequence[Station], tags: Collection[str], *, routing: Routing
) -> Sequence[Station]:
    """Return the stations that a request's tags let it use; none where no station fits.

    Without a match, those tagged `default` serve. Requests without tags go to these too, where there are any.
    """
    if not routing.tag_filtering:
        return stations
    fallback = [s for s in stations if DEFAULT_TAG in s.deployment.tags]
    if not tags:
        return fallback or stations
    common = any if routing.tag_match_any else all
    matching = [s for s in stations if common(tag in s.deployment.tags for tag in tags)]
    return matching or fallback


def tiers(
    stations: Sequence[Station], *, tired: Collection[str], now_s: float
) -> Iterator[Sequence[Station]]:
    """Yield the usable stations in the order of preference; one tier is tried after the other.

    First come those that this job has not met failing (`tired` are the ids of the others), of these the lowest
    level. Within the lowest level a full station is waited for: a higher level is for failures.
    """
    usable = [s for s in stations if s.usable(now_s)]
    fresh = [s for s in usable if s.id not in tired]
    if fresh:
        yield lowest(fresh)
    if len(fresh) < len(usable):
        yield lowest(usable)


def lowest(stations: Sequence[Station]) -> Sequence[Station]:
    """Return the stations of the lowest level."""
    level = min(station.level for station in stations)
    return [station for station in stations if station.level == level]
