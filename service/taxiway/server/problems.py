"""Errors become HTTP here and nowhere else: a status, OpenAI's body, and whether a repeat may help."""

import math

import orjson
from aiohttp import web

from taxiway.errors import (
    BadRequestError,
    InternalServerError,
    MethodNotAllowedError,
    NotFoundError,
    RequestTooLargeError,
    TaxiwayError,
)
from taxiway.server.documents import error_body

#: Where a repeat helps but nobody knows when; official SDKs stop repeating at a wait above 120 s.
RETRY_AFTER_DEFAULT_S = 5


def problem(error: TaxiwayError) -> web.Response:
    """Return the answer for an error. Official SDKs repeat 429 and 5xx on their own: the header stops them."""
    # Behind a job's error a repeat would buy a second one, whatever the error says of itself.
    repeat = error.should_retry and error.job_id is None
    headers = {"x-should-retry": "true" if repeat else "false"}
    if repeat:
        wait_s = RETRY_AFTER_DEFAULT_S if error.retry_after_s is None else error.retry_after_s
        headers["Retry-After"] = str(max(1, min(60, math.ceil(wait_s))))
    if error.status_code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        status=error.status_code,
        body=orjson.dumps(error_body(error)),
        content_type="application/json",
        headers=headers,
    )


def refusal_of(exception: web.HTTPException, request: web.Request) -> TaxiwayError:
    """Return what aiohttp itself refuses, as one of our errors."""
    match exception:
        case web.HTTPNotFound():
            return NotFoundError("There is nothing at this address.")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(exception.allowed_methods))
            return MethodNotAllowedError(f"This address takes {allowed} only.")
        case web.HTTPRequestEntityTooLarge():
            return RequestTooLargeError(
                f"The body is larger than {request.client_max_size} bytes, the most that is taken."
            )
        case web.HTTPClientError():
            return BadRequestError(
                f"The request cannot be read: {exception.reason}.", code="invalid_request"
            )
        case _:
            return InternalServerError()
