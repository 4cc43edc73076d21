"""The probes, and the numbers. None of them asks the store or a provider: they tell what is known already."""

from aiohttp import web

from taxiway.errors import AuthenticationError
from taxiway.server.answers import NO_STORE, json_answer
from taxiway.server.auth import check_master
from taxiway.server.keys import DRAIN, METRICS, SETTINGS, UNTIMED, WATCH
from taxiway.server.problems import problem


async def healthz(request: web.Request) -> web.Response:
    """Answer 200 while the process is worth keeping: the loop turns, and its background tasks are alive."""
    request[UNTIMED] = True
    ended = request.app[WATCH].ended()
    if ended:
        return json_answer({"status": "broken", "reasons": ended}, status=503, headers=NO_STORE)
    return json_answer({"status": "ok"}, headers=NO_STORE)


async def readyz(request: web.Request) -> web.Response:
    """Answer 200 while new work may come, else 503 and why not."""
    request[UNTIMED] = True
    reasons = []
    if request.app[DRAIN].begun:
        reasons.append("draining")
    if not request.app[WATCH].store_answers:
        reasons.append("store_unavailable")
    if reasons:
        return json_answer(
            {"status": "not_ready", "reasons": reasons}, status=503, headers=NO_STORE
        )
    return json_answer({"status": "ready", "reasons": []}, headers=NO_STORE)


async def metrics(request: web.Request) -> web.Response:
    """Answer with all metrics, in the format that the scraper asks for; with a key where the settings say so."""
    request[UNTIMED] = True
    if request.app[SETTINGS].metrics_need_key:
        try:
            check_master(request.headers, request.app[SETTINGS])
        except AuthenticationError as error:
            return problem(error)  # the second port has nothing around it that would
    body, content_type = await request.app[METRICS].scrape(request.headers.get("Accept"))
    return web.Response(body=body, headers={"Content-Type": content_type, **NO_STORE})


#: LiteLLM's names for the probes stand beside the usual ones.
PROBES = (
    web.get("/healthz", healthz),
    web.get("/health/liveliness", healthz),
    web.get("/health/liveness", healthz),
    web.get("/readyz", readyz),
    web.get("/health/readiness", readyz),
)
NUMBERS = (web.get("/metrics", metrics),)

#: What is open to everybody; the numbers look for a key themselves.
OPEN = frozenset(route.path for route in (*PROBES, *NUMBERS))
