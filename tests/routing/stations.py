"""Stations for these chapters, without a network, a clock or chance that is not drawn here."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from taxiway.jobs import AttemptStatus, JobError
from taxiway.providers.runway_requests import RunwayModel
from taxiway.routing.stations import Station
from taxiway.routing.strategies import choose
from taxiway.settings import Deployment, Routing

if TYPE_CHECKING:
    from taxiway.protocols import Provider


AUTH = JobError(code="provider_auth_failed", message="The key was refused.")


def station(name: str, *, routing: Routing | None = None, **fields: Any) -> Station:
    """A deployment called by its id, of `image` unless told otherwise."""
    known = {"model_name": "image", "provider": "runwayml", "model": "gen4_image"}
    deployment = Deployment(id=name, **{**known, **fields})
    # The part of the adapter that asks nobody is all that decisions need.
    provider = cast("Provider", RunwayModel(deployment))
    return Station(deployment=deployment, provider=provider, routing=routing)


def ids(stations: Sequence[Station]) -> list[str]:
    """The deployments' ids."""
    return [each.id for each in stations]


def drawn(stations: Sequence[Station], *, times: int = 3_000, **fields: Any) -> Counter[str]:
    """How often each station is chosen, with the same dice every time."""
    draw = random.Random(7)
    routing = Routing(**fields)
    return Counter(
        choose(stations, routing=routing, estimate=lambda _: None, now_s=100.0, draw=draw).id
        for _ in range(times)
    )


OPEN, FAILED, REFUSED = AttemptStatus.IN_PROGRESS, AttemptStatus.FAILED, AttemptStatus.REFUSED
