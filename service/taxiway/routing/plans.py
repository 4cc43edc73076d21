"""What a request comes to at different deployments, and which of them can honour it at all."""

from collections.abc import Collection, Sequence

from taxiway.errors import BadRequestError
from taxiway.frozen import replace
from taxiway.jobs import GenerationRequest, Plan
from taxiway.routing.candidates import tagged
from taxiway.routing.stations import Station
from taxiway.settings import Routing


class Plans:
    """The plans of one request. Deployments that make the same of it are asked once."""

    __slots__ = ("_made", "request")

    def __init__(self, request: GenerationRequest) -> None:
        self.request = request
        self._made: dict[tuple[str, int], Plan | None] = {}

    def whole(self, station: Station) -> Plan:
        """Return what the request comes to at a deployment. Raises `BadRequestError`."""
        plan = self._made[station.kind, self.request.n] = station.provider.plan(self.request)
        return plan

    def of(self, station: Station, *, images: int) -> Plan | None:
        """Return what so many images of the request come to; None where the model cannot honour it."""
        key = station.kind, images
        if key not in self._made:
            self._made[key] = self._plan(station, images)
        return self._made[key]

    def _plan(self, station: Station, images: int) -> Plan | None:
        request = self.request
        try:
            return station.provider.plan(
                request if images == request.n else replace(request, n=images)
            )
        except BadRequestError:
            return None


def at_most(
    plan: Plan,
    plans: Plans,
    *,
    stations: Sequence[Station],
    tags: Collection[str],
    routing: Routing,
) -> Plan:
    """Return a plan that says what it comes to at the dearest of the deployments that may make it."""
    if len({station.kind for station in stations}) <= 1 or plan.microusd is None:
        return plan
    images = plans.request.n
    others = (plans.of(s, images=images) for s in tagged(stations, tags, routing=routing))
    most = max((other.microusd or 0 for other in others if other is not None), default=0)
    if most <= plan.microusd:
        return plan
    first, *rest = plan.parts
    first = replace(first, most_microusd=(first.microusd or 0) + most - plan.microusd)
    return replace(plan, parts=(first, *rest))


def admit(
    plans: Plans,
    stations: Sequence[Station],
    *,
    tags: Collection[str],
    routing: Routing,
) -> Plan:
    """Return what a request comes to at the first deployment that can honour it, by level.

    Raises `BadRequestError`: the one of the first deployment, where none can.
    """
    open_to = tagged(stations, tags, routing=routing)
    if not open_to:
        raise BadRequestError("No deployment of this model has these tags.", param="metadata.tags")
    refusal: BadRequestError | None = None
    refused: set[str] = set()
    for station in sorted(open_to, key=lambda s: (s.deployment.blocked, s.level)):
        if station.kind in refused:
            continue
        try:
            return plans.whole(station)
        except BadRequestError as error:
            refusal = refusal or error
            refused.add(station.kind)
    raise refusal or BadRequestError()
