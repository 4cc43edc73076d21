"""A deployment at work: its provider, its limits, and what is going on there at the moment.

Everything here is told the time and decides without waiting. Times are the loop's.
"""

from taxiway.protocols import Provider
from taxiway.routing.breaker import Breaker, Tolerance
from taxiway.routing.durations import Durations
from taxiway.routing.rate import Rate
from taxiway.settings import Deployment, Routing


class Traffic:
    """What is going on at a deployment. It outlives a change of the deployment's settings."""

    __slots__ = ("breaker", "durations", "held_until_s", "rate", "throttled", "under_way")

    def __init__(self) -> None:
        self.under_way = 0
        """Tasks from before their submission to their end."""
        self.throttled = 0
        """Of these, the ones that the provider holds back."""
        self.held_until_s = 0.0
        """When the provider wants the next submission: it has turned one away for the moment."""
        self.rate: Rate | None = None
        self.breaker = Breaker()
        self.durations = Durations()


class Station:
    """A deployment, the provider that speaks to it, and its traffic."""

    __slots__ = ("deployment", "kind", "level", "provider", "routing", "slots", "traffic")

    def __init__(
        self,
        *,
        deployment: Deployment,
        provider: Provider,
        routing: Routing | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        self.deployment = deployment
        self.provider = provider
        self.routing = routing or Routing()
        self.traffic = traffic or Traffic()
        own = deployment.max_parallel_requests
        self.slots = self.routing.max_parallel_requests if own is None else own
        """Tasks that may be under way at once; None: as many as there are."""
        self.level = float("inf") if deployment.order is None else float(deployment.order)
        self.kind = _kind(deployment)
        """Equal for deployments that make the same of a request, at the same price."""

    @property
    def id(self) -> str:
        """The deployment's id."""
        return self.deployment.id

    @property
    def tolerance(self) -> Tolerance:
        """What is borne here before the deployment rests."""
        own, routing = self.deployment, self.routing
        return Tolerance(
            allowed=routing.allowed_fails if own.allowed_fails is None else own.allowed_fails,
            allowed_of={**routing.allowed_fails_policy, **own.allowed_fails_policy},
            rest_s=routing.cooldown_time_s if own.cooldown_time_s is None else own.cooldown_time_s,
        )

    def usable(self, now_s: float) -> bool:
        """Return whether the deployment takes part in the choice: neither paused nor at rest."""
        return not self.deployment.blocked and self.traffic.breaker.admits(now_s)

    def has_room(self, now_s: float) -> bool:
        """Return whether a task may leave for here at this moment."""
        full = self.slots is not None and self.traffic.under_way >= self.slots
        return not full and self.usable(now_s) and self.open_at(now_s) <= now_s

    def hopeful(self, now_s: float) -> bool:
        """Return whether waiting may help: neither paused, nor of no use for a while."""
        return not self.deployment.blocked and not self.traffic.breaker.useless(now_s)

    def next_moment(self, now_s: float) -> float | None:
        """Return when time alone may make room here; None where it cannot."""
        breaker = self.traffic.breaker
        moments = (self.open_at(now_s), breaker.until_s if breaker.reason is not None else now_s)
        later = [moment for moment in moments if moment > now_s]
        return max(later) if later else None

    def open_at(self, now_s: float) -> float:
        """Return when rate and provider let the next task leave, slots apart: now, or a later time."""
        rate = self._rate(now_s)
        ready_s = now_s if rate is None else rate.ready_at(now_s)
        return max(ready_s, self.traffic.held_until_s, now_s)

    def arrive(self, now_s: float) -> bool:
        """Take a task in. Returns whether it is the one to show whether the deployment works again."""
        traffic = self.traffic
        traffic.under_way += 1
        if (rate := self._rate(now_s)) is not None:
            rate.take(now_s)
        if traffic.breaker.reason is None or traffic.breaker.probe:
            return False
        traffic.breaker.probe = True
        return True

    def _rate(self, now_s: float) -> Rate | None:
        rpm, traffic = self.deployment.rpm, self.traffic
        if rpm is None:
            traffic.rate = None
        elif traffic.rate is None or traffic.rate.per_minute != rpm:
            traffic.rate = Rate(rpm, now_s=now_s)
        return traffic.rate


def _kind(deployment: Deployment) -> str:
    defaults = sorted((name, repr(value)) for name, value in deployment.defaults.items())
    terms = deployment.drop_params, deployment.price_microusd, defaults
    return f"{deployment.provider}/{deployment.model} {terms}"
