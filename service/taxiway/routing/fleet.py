"""The deployments on offer: which of them serve a public name, and who speaks for one that is gone.

A new configuration replaces the stations while jobs go on. What is under way at a deployment is kept by its id,
so limits hold across the change; whoever follows a task keeps the station that took it.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from taxiway.errors import NotFoundError
from taxiway.routing.stations import Station
from taxiway.settings import Deployment, Routing

#: Stations kept after their deployment has gone: images that they made may still be asked for.
RETIRED_MAX = 64


class Fleet:
    """All stations of a service, by public name and by id."""

    def __init__(
        self,
        stations: Sequence[Station] = (),
        *,
        aliases: Mapping[str, str] | None = None,
        hidden: frozenset[str] = frozenset(),
        routing: Routing | None = None,
    ) -> None:
        self.hidden = hidden
        """Aliases that are served and not listed."""
        self.routing = routing or Routing()
        self._retired: dict[str, Station] = {}
        self._by_id: dict[str, Station] = {}
        self._by_name: dict[str, list[Station]] = {}
        self._aliases: dict[str, str] = {}
        self._put(stations, aliases)

    @property
    def names(self) -> tuple[str, ...]:
        """The public names in the order of the configuration, without the aliases."""
        return tuple(self._by_name)

    @property
    def aliases(self) -> Mapping[str, str]:
        """Further names: alias → public name."""
        return self._aliases

    @property
    def stations(self) -> tuple[Station, ...]:
        """Every station on offer."""
        return tuple(self._by_id.values())

    def canonical(self, name: str) -> str:
        """Return the public name that a name stands for; one that nobody knows stands for itself."""
        return name if name in self._by_name else self._aliases.get(name, name)

    def serving(self, name: str) -> Sequence[Station]:
        """Return the stations that serve a public name or an alias; none where nobody knows it."""
        return self._by_name.get(self.canonical(name), ())

    def group(self, name: str) -> Sequence[Station]:
        """Return the stations that serve a public name or an alias.

        Raises `NotFoundError` (`model_not_found`) that names the nearest known one.
        """
        found = self.serving(name)
        if not found:
            known = [*self._by_name, *self._aliases]
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " GET /v1/models lists what there is."
            raise NotFoundError(
                f"The model {name[:80]!r} does not exist.{hint}",
                code="model_not_found",
                param="model",
            )
        return found

    def station(self, deployment_id: str) -> Station | None:
        """Return the station of a deployment, perhaps of one that is gone; None where nobody remembers it."""
        return self._by_id.get(deployment_id) or self._retired.get(deployment_id)

    def choose(self, name: str) -> Station:
        """Return a station of a name that can speak for the others: the one with the fewest tasks under way.

        Raises `NotFoundError`.
        """
        return min(self.group(name), key=lambda s: s.traffic.under_way)

    def speakers(self, deployment_id: str, *, provider: str, name: str) -> Sequence[Station]:
        """Return who may know a task of a deployment, the most likely first; none where nobody can.

        Of a deployment that nobody remembers, another one of the same provider may hold the same account.
        """
        own = self.station(deployment_id)
        if own is not None:
            return (own,)
        others = [s for s in self.stations if s.deployment.provider == provider]
        siblings = self.serving(name)
        return sorted(others, key=lambda s: s not in siblings)

    def replace(
        self,
        stations: Sequence[Station],
        *,
        aliases: Mapping[str, str] | None = None,
        hidden: frozenset[str] = frozenset(),
        routing: Routing | None = None,
    ) -> None:
        """Offer these stations from now on. What is under way stays with the station that took it."""
        before = self._by_id
        for station in stations:
            former = before.get(station.id)
            if former is not None and _same_place(former.deployment, station.deployment):
                station.traffic = former.traffic
                if not _same_account(former.deployment, station.deployment):
                    station.traffic.breaker.forgive()
        self.hidden = hidden
        self.routing = routing or Routing()
        self._put(stations, aliases)
        gone = {id_: station for id_, station in before.items() if id_ not in self._by_id}
        kept = [*self._retired.items(), *gone.items()][-RETIRED_MAX:]
        self._retired = {id_: station for id_, station in kept if id_ not in self._by_id}

    def _put(self, stations: Sequence[Station], aliases: Mapping[str, str] | None) -> None:
        self._by_id = {station.id: station for station in stations}
        self._by_name = {}
        for station in stations:
            self._by_name.setdefault(station.deployment.model_name, []).append(station)
        self._aliases = dict(aliases or {})


def _same_place(one: Deployment, other: Deployment) -> bool:
    return (one.provider, one.model, one.api_base) == (other.provider, other.model, other.api_base)


def _same_account(one: Deployment, other: Deployment) -> bool:
    return (one.api_key, one.headers) == (other.api_key, other.headers)
