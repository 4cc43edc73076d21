"""Tokens are made here, for who shows a key: `POST /v1/jobs/{id}/token`, and the same for several jobs at once."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlencode

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taxiway.errors import BadRequestError, UnsupportedParamsError
from taxiway.jobs import Job
from taxiway.server.access import find_job
from taxiway.server.answers import NO_STORE, job_url, json_answer
from taxiway.server.json_bodies import field_name, read_object
from taxiway.server.keys import JOB, SETTINGS, TOKENS
from taxiway.server.viewers import IDS_MAX, MANY, check_ids


class TokenBody(BaseModel):
    """What `POST /v1/jobs/token` takes."""

    # Built when it is first used, which is by a browser.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)

    ids: Annotated[
        list[Annotated[str, Field(pattern="^job_[0-9A-Za-z]+$")]],
        Field(
            min_length=1,
            max_length=IDS_MAX,
            description=f"a list of the ids of 1 to {IDS_MAX} jobs",
            json_schema_extra={"uniqueItems": True},
        ),
    ]


async def job_token(request: web.Request) -> web.Response:
    """Answer with a token for the events of a job: for browsers, whose `EventSource` sends no key.

    Raises `NotFoundError`.
    """
    job = await find_job(request, request.match_info["id"])
    request[JOB] = job
    return _answer(request, [job], path=f"{job_url(job.id)}/events", query={})


async def jobs_token(request: web.Request) -> web.Response:
    """Answer with a token for the events of several jobs, `ids` in the body.

    Raises `BadRequestError`, and `NotFoundError` where one of the jobs is not there.
    """
    ids = check_ids(_ids(await read_object(request)))
    jobs = [await find_job(request, job_id) for job_id in ids]
    return _answer(request, jobs, path=MANY, query={"ids": ",".join(ids)})


def _ids(document: dict[str, object]) -> list[str]:
    try:
        return TokenBody.model_validate(document).ids
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "extra_forbidden":
        name = field_name(first["loc"])
        raise UnsupportedParamsError(f"`{name}` is not a field here; `ids` is all.", param=name)
    raise BadRequestError(
        f"`ids` must be {TokenBody.model_fields['ids'].description}.",
        code="missing_required_parameter" if first["type"] == "missing" else "invalid_value",
        param="ids",
    )


def _answer(
    request: web.Request, jobs: Sequence[Job], *, path: str, query: dict[str, str]
) -> web.Response:
    tokens = request.app[TOKENS]
    expires_at = tokens.expiry(job.deadline_at for job in jobs if not job.final)
    token = tokens.mint([job.id for job in jobs], expires_at=expires_at)
    base = request.app[SETTINGS].public_url or ""
    return json_answer(
        {
            "object": "stream.token",
            "token": token,
            "expires_at": expires_at,
            "url": f"{base}{path}?{urlencode({**query, 'token': token}, safe=',')}",
        },
        headers=NO_STORE,
    )
