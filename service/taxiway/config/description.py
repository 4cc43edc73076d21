"""What a configuration means, as data: `taxiway check` prints it, nothing is started for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from taxiway.catalogue.entries import Model, Price
from taxiway.catalogue.models import models
from taxiway.catalogue.prices import money, usd
from taxiway.config.loaded import Loaded
from taxiway.routing.strategies import weights
from taxiway.settings import Budget, Deployment, Routing, Settings, Strategy, Trouble
from taxiway.vendors import VENDORS

UNKNOWN = "unknown"

_STRATEGIES = {
    Strategy.SIMPLE_SHUFFLE: "by chance and weight",
    Strategy.LEAST_BUSY: "the one with the fewest tasks under way for what it can bear",
    Strategy.LATENCY: "the one whose tasks took least",
    Strategy.COST: "the one where the request costs least",
}

_TROUBLES = {
    Trouble.FAILED: "failed tasks",
    Trouble.UNREACHABLE: "unreachable",
    Trouble.RATE_LIMITED: "rate-limited",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One deployment, as its owner may see it."""

    model_name: str
    aliases: tuple[str, ...]
    deployment: str
    model: str
    """With the vendor's prefix."""
    api_base: str
    has_key: bool
    sizes: int | None
    """How many sizes the model makes by name; None for a model that the catalogue does not know."""
    price: str
    """Of one image, in US dollars, or `unknown`."""
    share: str
    """Its part of a name's tasks: `60%`, or empty for the only one."""
    limits: tuple[str, ...]
    """What it may do, and when it is used, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A configuration at a glance."""

    address: str
    database: str
    """The kind of database; its address may carry a password."""
    has_master_key: bool
    rows: tuple[Row, ...]
    routing: tuple[str, ...]
    """How deployments are chosen, and what follows a failure: a sentence each."""
    warnings: tuple[str, ...]


def describe(loaded: Loaded) -> Description:
    """Return what a configuration means."""
    settings = loaded.settings
    bracketed = f"[{settings.host}]" if ":" in settings.host else settings.host
    return Description(
        address=f"http://{bracketed}:{settings.port}",
        database=settings.database_url.partition(":")[0],
        has_master_key=settings.master_key is not None,
        rows=tuple(_row(deployment, settings) for deployment in settings.deployments),
        routing=tuple(_routing(settings)),
        warnings=tuple(finding.sentence for finding in loaded.findings),
    )


def _row(deployment: Deployment, settings: Settings) -> Row:
    model = _catalogued(deployment)
    name = deployment.model_name
    return Row(
        model_name=name,
        aliases=tuple(alias for alias, target in settings.aliases.items() if target == name),
        deployment=deployment.id,
        model=f"{deployment.provider}/{deployment.model}",
        api_base=deployment.api_base,
        has_key=deployment.api_key is not None,
        sizes=len(model.ratios) if model is not None else None,
        price=_price_of(deployment),
        share=_share(deployment, settings),
        limits=tuple(_limits(deployment, settings.routing)),
    )


def _catalogued(deployment: Deployment) -> Model | None:
    """Return what the catalogue knows of a deployment's model; of another vendor's it knows nothing."""
    ours = VENDORS[deployment.provider].catalogued
    return models().get(deployment.model) if ours else None


def _price_of(deployment: Deployment) -> str:
    if deployment.price_microusd is not None:
        return f"${money(deployment.price_microusd)}"
    model = _catalogued(deployment)
    return _price(model.price) if model is not None else UNKNOWN


def _price(price: Price | None) -> str:
    if price is None or not price.rates:
        return UNKNOWN
    least, most = (
        min(rate.credits for rate in price.rates),
        max(rate.credits for rate in price.rates),
    )
    span = f"${usd(least):.2f}" if least == most else f"${usd(least):.2f} to ${usd(most):.2f}"
    if price.reference is None:
        return span
    return f"{span}, and ${usd(price.reference.credits):.2f} per reference"


def _share(deployment: Deployment, settings: Settings) -> str:
    """Return a deployment's part among those of its name and level, where shares are what decides."""
    routing = settings.routing
    if routing.strategy in (Strategy.LATENCY, Strategy.COST) or routing.tag_filtering:
        return ""
    level = [
        each
        for each in settings.deployments
        if (each.model_name, each.order) == (deployment.model_name, deployment.order)
        and not each.blocked
    ]
    if len(level) < 2 or deployment.blocked:
        return ""
    shares = weights(level)
    own = shares[level.index(deployment)]
    return f"{own / sum(shares):.0%}"


def _limits(deployment: Deployment, routing: Routing) -> Iterator[str]:
    if deployment.blocked:
        yield "blocked"
    if deployment.order is not None:
        yield f"order {deployment.order}"
    slots = deployment.max_parallel_requests or routing.max_parallel_requests
    if slots is not None:
        yield f"{slots} at once"
    if deployment.rpm is not None:
        yield f"{deployment.rpm:g} a minute"
    if deployment.timeout_s is not None:
        yield f"{deployment.timeout_s:g} s"
    if deployment.budget is not None:
        yield _spent(deployment.budget)
    if deployment.tags:
        yield f"tags {', '.join(deployment.tags)}"


def _routing(settings: Settings) -> Iterator[str]:
    routing = settings.routing
    if _several(settings.deployments):
        yield f"Of several deployments, {routing.strategy} takes {_STRATEGIES[routing.strategy]}."
        yield _rest(routing)
    if routing.tag_filtering:
        which = "any" if routing.tag_match_any else "all"
        yield f"Tags choose among deployments: {which} of a request's tags must match."
    yield from _limits_of_all(routing)
    yield from _budgets(settings)
    yield _retries(settings)
    for name, followers in routing.fallbacks.items():
        yield f"{_every(name)} falls back to {_chain(followers)}."
    if routing.default_fallbacks:
        yield f"Every name falls back to {_chain(routing.default_fallbacks)} in the end."
    for name, followers in routing.content_policy_fallbacks.items():
        yield f"{_every(name)}, where moderation refuses, falls back to {_chain(followers)}."


def _several(deployments: Sequence[Deployment]) -> bool:
    return len({each.model_name for each in deployments}) < len(deployments)


def _rest(routing: Routing) -> str:
    if not routing.cooldowns:
        return "A deployment that fails goes on being used; one whose account is refused is not."
    kinds = "".join(
        f", {number} for {_TROUBLES[trouble]}"
        for trouble, number in routing.allowed_fails_policy.items()
    )
    return (
        f"A deployment rests for {routing.cooldown_time_s:g} s after more than"
        f" {routing.allowed_fails} failures in a minute{kinds}."
    )


def _limits_of_all(routing: Routing) -> Iterator[str]:
    if routing.max_parallel_per_key is not None:
        yield f"One key has at most {routing.max_parallel_per_key} jobs under way; more wait."
    if routing.max_parallel_total is not None:
        yield f"At most {routing.max_parallel_total} jobs are under way at once in each process; more wait."


def _budgets(settings: Settings) -> Iterator[str]:
    if settings.budget is not None:
        yield f"All jobs may cost {_spent(settings.budget)}; more is refused."
    for provider, budget in settings.provider_budgets.items():
        if any(each.provider == provider for each in settings.deployments):
            yield f"The deployments of {provider} may cost {_spent(budget)}; then they take nothing new."


def _spent(budget: Budget) -> str:
    every = "in all" if budget.duration is None else f"every {budget.duration}"
    return f"${money(budget.microusd)} {every}"


def _retries(settings: Settings) -> str:
    kinds = "".join(
        f", {number} for {_TROUBLES[trouble]}"
        for trouble, number in settings.routing.retry_policy.items()
    )
    groups = "".join(
        f"; for {name} {', '.join(f'{n} for {_TROUBLES[t]}' for t, n in policy.items())}"
        for name, policy in settings.routing.group_retry_policies.items()
    )
    times = {0: "is not tried again", 1: "is tried again once"}
    again = times.get(settings.num_retries, f"is tried again up to {settings.num_retries} times")
    return f"A task that failed and cost nothing {again}{kinds}{groups}."


def _every(name: str) -> str:
    return "Every name" if name == "*" else name


def _chain(names: Sequence[str]) -> str:
    return ", then ".join(names)
