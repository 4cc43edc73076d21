"""Pages of other origins: those that the operator names may call, and read the headers that matter."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from taxiway.server.keys import SETTINGS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: `x-should-retry` most of all: an SDK in a page that cannot read it repeats a 5xx, and buys again.
_EXPOSED = (
    "Content-Location, Idempotent-Replayed, Location, Preference-Applied, RateLimit, RateLimit-Policy, "
    "Retry-After, "
    "x-litellm-attempted-fallbacks, x-litellm-attempted-retries, x-litellm-call-id, x-litellm-model-id, "
    "x-litellm-response-cost, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    "x-ratelimit-reset-requests, x-request-id, x-should-retry, x-taxiway-dropped-params, x-taxiway-job-id"
)

#: An hour spares most preflights; browsers cap it at two.
_MAX_AGE_S = "3600"


@web.middleware
async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a browser that asks whether a page may call. It asks without a key, so before the key is checked."""
    asked = request.headers.get("Access-Control-Request-Method")
    origins = request.app[SETTINGS].cors_origins
    if request.method != "OPTIONS" or asked is None or _allowed(request, origins) is None:
        return await handler(request)
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": request.headers.get(
                "Access-Control-Request-Headers", "Authorization, Content-Type"
            ),
            "Access-Control-Max-Age": _MAX_AGE_S,
        },
    )


def put_cors(request: web.Request, response: web.StreamResponse, *, origins: Sequence[str]) -> None:
    """Let the page behind a request read the answer, where its origin is one of those named."""
    if not origins:
        return
    response.headers.add("Vary", "Origin")
    if (origin := _allowed(request, origins)) is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED


def _allowed(request: web.Request, origins: Sequence[str]) -> str | None:
    origin = request.headers.get("Origin")
    return origin if origin is not None and (origin in origins or "*" in origins) else None
