"""What happens around every request.

From the outside in: it gets a name and one line in the log, its errors are put into shape, its key is checked.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from taxiway.errors import (
    BudgetExceededError,
    InternalServerError,
    NotReadyError,
    StoreError,
    TaxiwayError,
)
from taxiway.server import console, health, viewers
from taxiway.server.answers import job_url
from taxiway.server.auth import identify
from taxiway.server.correlation import call_id_of, trace_of
from taxiway.server.cors import put_cors
from taxiway.server.headers import job_headers
from taxiway.server.keys import (
    CALL_ID,
    CLOCK,
    DRAIN,
    ERROR_CODE,
    FLEET,
    IDENTITY,
    JOB,
    KEYRING,
    LINKS,
    LOGS,
    METRICS,
    REFUSED,
    REPLAYED,
    RUNNER,
    SETTINGS,
    STARTED_S,
    STORE,
    TRACE,
    UNTIMED,
)
from taxiway.server.limits import key_headers
from taxiway.server.links import IMAGE
from taxiway.server.problems import problem, refusal_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: What access logs call a caller who left before the answer.
CLIENT_LEFT = 499

#: Why a request was refused before it did anything, where its code says more than its status.
_REJECTIONS = {
    "queue_full": "queue_full",
    "draining": "draining",
    "store_unavailable": "store_unavailable",
    "budget_exceeded": "budget",
}


@web.middleware
async def account(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the request, and write down how it was answered."""
    request[STARTED_S] = asyncio.get_running_loop().time()
    request[CALL_ID] = call_id_of(request.headers)
    request[TRACE] = trace_of(request.headers)
    names = {"request_id": request[CALL_ID]}
    if request[TRACE]:
        names["trace_id"] = request[TRACE]["trace_id"]
    metrics, code = request.app[METRICS], CLIENT_LEFT
    metrics.http_started()
    # No `with`: its generator would weigh half a KiB for every stream that is open.
    logs = request.app[LOGS]
    logs.bind(**names)
    try:
        response = await handler(request)
        code = response.status
    finally:
        metrics.http_ended()
        _write_down(request, code)
        logs.unbind(*names)
    return response


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error in OpenAI's shape."""
    if REFUSED in request:
        return _problem(request, request[REFUSED])
    try:
        return await handler(request)
    except TaxiwayError as error:
        return _problem(request, _outward(error))
    except web.HTTPException as error:
        response = _problem(request, refusal_of(error, request))
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception as error:  # noqa: BLE001 - the outermost place: a bug becomes a 500, and a line in the log
        if isinstance(error, ConnectionError) and _has_left(request):
            return web.Response(status=CLIENT_LEFT)  # nobody reads it
        request.app[LOGS].note(
            "http.request.broken", method=request.method, route=_route(request), exc_info=True
        )
        if request.writer.output_size > 0 and request.transport is not None:
            # An answer has begun. A second one inside of it would deceive the caller; a cut does not.
            request.transport.abort()
        return _problem(request, InternalServerError())


@web.middleware
async def require_key(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who shows a key, and remember who it is.

    Probes and signed links are open, and what does not exist needs no key.
    """
    if request.match_info.http_exception is None and not _is_open(request):
        app = request.app
        request[IDENTITY] = await identify(request.headers, app[SETTINGS], app[KEYRING])
    return await handler(request)


async def put_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put on every answer, streams included, what it is known by and what is known of its job."""
    app, headers = request.app, response.headers
    headers["Server"] = "taxiway"
    call_id = request.get(CALL_ID)
    if call_id is None:
        return  # refused before any of this: what cannot be read, or a body that is announced
    headers["x-litellm-call-id"] = headers["x-request-id"] = call_id
    spent_s = asyncio.get_running_loop().time() - request[STARTED_S]
    headers["x-litellm-response-duration-ms"] = f"{spent_s * 1000:.3f}"
    if app[DRAIN].begun:
        # The next request on this connection belongs to another process.
        headers["Connection"] = "close"
        response.force_close()
    put_cors(request, response, origins=app[SETTINGS].cors_origins)
    identity, job = request.get(IDENTITY), request.get(JOB)
    if identity is not None and identity.key is not None and request.method == "POST":
        standing = app[STORE].standing(identity.key.id)
        refused_s = _refused_s(request, response)
        headers.update(
            key_headers(identity.key, standing, now=app[CLOCK].now(), refused_s=refused_s)
        )
    if REPLAYED in request:
        headers["Idempotent-Replayed"] = "true"
    if job is not None:
        headers.update(job_headers(job, fleet=app[FLEET], settings=app[RUNNER].settings))
        headers.setdefault("Cache-Control", "no-store")
        if "Location" not in headers:
            headers.setdefault("Content-Location", job_url(job.id))
        if request.method == "POST":
            headers.add("Vary", "Prefer")


def _refused_s(request: web.Request, response: web.StreamResponse) -> float | None:
    """Return for how long the rate of the caller's key lets no job in; None where it has refused none."""
    refused = JOB not in request and request.get(ERROR_CODE) == "rate_limit_exceeded"
    return float(response.headers.get("Retry-After", 0)) if refused else None


def _has_left(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _is_open(request: web.Request) -> bool:
    route = _route(request)
    if route == IMAGE:
        return request.app[LINKS].admit(request.path, request.query)
    if route in (viewers.ONE, viewers.MANY):
        return viewers.admit(request, route)
    return route in health.OPEN or route in console.OPEN


def _outward(error: TaxiwayError) -> TaxiwayError:
    if isinstance(error, StoreError):
        return NotReadyError(
            "The store does not answer at the moment.", code="store_unavailable", retry_after_s=5
        )
    return error


def _problem(request: web.Request, error: TaxiwayError) -> web.Response:
    job = request.get(JOB)
    if job is None:
        reason = _rejection(error, request)
        if reason is not None:
            request.app[METRICS].rejected(reason)
    elif error.job_id is None:
        error.job_id = job.id
    request[ERROR_CODE] = error.code
    response = problem(error)
    if request.content.exception() is not None:
        # Where this body ends, and the next request begins, nobody knows: the connection ends here.
        response.headers["Connection"] = "close"
        response.force_close()
    if isinstance(error, BudgetExceededError):
        response.set_status(request.app[RUNNER].settings.budget_exceeded_status)
    return response


def _rejection(error: TaxiwayError, request: web.Request) -> str | None:
    if error.code == "rate_limit_exceeded":
        # A stream that finds no place is counted as such, where it is turned away.
        return "rate_limit" if request.method == "POST" else None
    if error.status_code == 401:
        return "auth"
    if error.code in _REJECTIONS:
        return _REJECTIONS[error.code]
    return "validation" if error.status_code in (400, 413, 422) else None


def _write_down(request: web.Request, code: int) -> None:
    app, route = request.app, _route(request)
    spent_s = asyncio.get_running_loop().time() - request[STARTED_S]
    app[METRICS].http(request.method, route, code, None if UNTIMED in request else spent_s)
    job, identity = request.get(JOB), request.get(IDENTITY)
    app[LOGS].access(
        request.method,
        route=route,
        path=request.path,
        code=code,
        duration_s=spent_s,
        job_id=job.id if job else None,
        key_id=identity.scope or None if identity else None,
        error_code=request.get(ERROR_CODE),
        client=request.remote,
        user_agent=request.headers.get("User-Agent"),
    )


def _route(request: web.Request) -> str:
    """Return the template of the request's address, `other` for an address that is none of ours."""
    resource = request.match_info.route.resource
    return "other" if resource is None else resource.canonical
