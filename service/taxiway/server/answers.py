"""JSON answers, encoded one way."""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from taxiway.jobs import Job
from taxiway.server.documents import job_document
from taxiway.server.headers import RETRY_AFTER_S
from taxiway.server.keys import JOB, LINKS

#: What an answer says of a job is true for a moment, and for one caller.
NO_STORE = {"Cache-Control": "no-store"}


def json_answer(
    document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return a document as an answer."""
    return web.Response(
        status=status,
        body=orjson.dumps(document),
        content_type="application/json",
        headers=headers,
    )


def job_answer(
    request: web.Request, job: Job, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return a job as an answer; an unfinished one says when to look again."""
    request[JOB] = job
    again = {} if job.final else {"Retry-After": str(RETRY_AFTER_S)}
    return json_answer(
        job_document(job, address=request.app[LINKS].url),
        status=status,
        headers={**NO_STORE, **again, **(headers or {})},
    )


def job_url(job_id: str) -> str:
    """Return the path of a job."""
    return f"/v1/jobs/{job_id}"
