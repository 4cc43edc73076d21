"""The models on offer, as OpenAI lists them, with what each makes and costs."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from taxiway.errors import NotFoundError
from taxiway.jobs import in_microusd
from taxiway.routing.breaker import Health
from taxiway.routing.stations import Station
from taxiway.server.access import identity_of, names_of
from taxiway.server.answers import json_answer
from taxiway.server.documents import usd
from taxiway.server.keys import CLOCK, FLEET, PURSES, STARTED_AT


async def list_models(request: web.Request) -> web.Response:
    """Answer with every model and alias, in the order of the configuration; hidden aliases are not listed."""
    fleet = request.app[FLEET]
    offered = [*fleet.names, *(alias for alias in fleet.aliases if alias not in fleet.hidden)]
    identity = identity_of(request)
    names = [name for name in offered if identity.may_use(*names_of(name, fleet))]
    return json_answer({"object": "list", "data": [_document(name, request) for name in names]})


async def get_model(request: web.Request) -> web.Response:
    """Answer with one model. Raises `NotFoundError`."""
    name = request.match_info["id"]
    if not identity_of(request).may_use(*names_of(name, request.app[FLEET])):
        raise NotFoundError(
            f"The model {name[:80]!r} does not exist. GET /v1/models lists what there is.",
            code="model_not_found",
            param="model",
        )
    return json_answer(_document(name, request))


def _document(name: str, request: web.Request) -> dict[str, Any]:
    stations = request.app[FLEET].group(name)
    first = stations[0]
    card = first.provider.card()
    return {
        "id": name,
        "object": "model",
        "created": request.app[STARTED_AT],
        "owned_by": first.deployment.provider,
        "known": card.known,
        "sizes": [
            {
                "size": size,
                "cost_credits": credits_,
                "cost_usd": usd(in_microusd(credits_, price_microusd=card.price_microusd)),
            }
            for size, credits_ in card.sizes.items()
        ],
        "default_size": card.default_size,
        "qualities": card.qualities,
        "prompt_max_chars": card.prompt_max,
        "reference_images_max": card.references_max,
        "deployments": _deployments(stations, request),
    }


def _deployments(stations: Sequence[Station], request: web.Request) -> list[Mapping[str, Any]]:
    """Return where a model is made, and how it goes there as far as real jobs have shown."""
    now_s, now_at = asyncio.get_running_loop().time(), request.app[CLOCK].now()
    exhausted = request.app[PURSES].exhausted
    return [
        {
            "id": station.id,
            "provider": station.deployment.provider,
            "model": station.deployment.model,
            "order": station.deployment.order,
            **_health(station, now_s=now_s, now_at=now_at, spent=exhausted(station.id)),
        }
        for station in stations
    ]


def _health(station: Station, *, now_s: float, now_at: float, spent: bool) -> Mapping[str, Any]:
    """Return whether a deployment takes tasks; `until` is in Unix seconds, `reason` a reason of failed jobs."""
    breaker = station.traffic.breaker
    health = breaker.health(now_s)
    status: str = health
    if station.deployment.blocked:
        status = "blocked"
    elif health is Health.READY and station.deployment.api_key is None:
        status = "no_key"
    elif health is Health.READY and spent:
        status = "over_budget"
    resting = health is Health.COOLING
    return {
        "status": status,
        "reason": breaker.reason,
        "until": round(now_at + breaker.until_s - now_s, 3) if resting else None,
    }
