"""From deployments to stations: each gets the adapter that speaks to its vendor."""

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import web

from taxiway.artifacts import OpenAsset, asset_name
from taxiway.errors import Reason
from taxiway.protocols import Note
from taxiway.providers import open_provider
from taxiway.routing.stations import Station
from taxiway.server.keys import ARCHIVE, LOGS, METRICS, SESSION
from taxiway.settings import Settings


def open_stations(app: web.Application, settings: Settings) -> Sequence[Station]:
    """Return a station for each deployment of some settings. Nobody is asked anything for it."""
    return [
        Station(
            deployment=deployment,
            provider=open_provider(
                deployment,
                session=app[SESSION],
                instruments=app[METRICS],
                note=app[LOGS].note,
                open_asset=_asset_opener(app),
            ),
            routing=settings.routing,
        )
        for deployment in settings.deployments
    ]


def health_teller(note: Note) -> Callable[[Station], None]:
    """Return what says aloud that a deployment begins to rest, or is back."""

    def tell(station: Station) -> None:
        breaker, now_s = station.traffic.breaker, asyncio.get_running_loop().time()
        if breaker.reason is None:
            note("deployment.back", deployment=station.id)
            return
        note(
            "deployment.rests",
            deployment=station.id,
            error_type=breaker.reason,
            duration_s=round(breaker.until_s - now_s, 3),
        )
        if breaker.reason is Reason.AUTH:
            note("upstream.auth_refused", deployment=station.id)

    return tell


def _asset_opener(app: web.Application) -> OpenAsset | None:
    """Return what opens the files that came with requests, where there is an archive to keep them in."""
    kept = app.get(ARCHIVE)
    return None if kept is None else lambda asset: kept.open(asset_name(asset))
