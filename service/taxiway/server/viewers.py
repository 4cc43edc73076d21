"""Those who watch jobs, one or many of them: how they come in, how long they stay, how they are turned away."""

import random
import re

from aiohttp import web
from multidict import MultiMapping

from taxiway.errors import BadRequestError, NotReadyError, RateLimitError, cut
from taxiway.server.auth import shows_key
from taxiway.server.followers import Stream
from taxiway.server.keys import CLOCK, GRANT, METRICS, SETTINGS, SWEEP, TOKENS
from taxiway.server.streams import HEADERS

#: The routes of events, as the URL map names them: the only ones that a token opens.
ONE = "/v1/jobs/{id}/events"
MANY = "/v1/jobs/events"

#: One connection shows so many jobs: their ids fit into a request line, of which aiohttp takes 8 KiB.
IDS_MAX = 100

#: When a client comes back after its connection ended: drawn, so that a drain's viewers come spread.
RETRY_MS = (1_000, 3_000)

#: The same for one that was let in only to be told to come back.
RETRY_LATER_MS = (5_000, 15_000)

#: A viewer who does not read shows after this much, instead of after the megabytes the kernel would take.
SEND_BUFFER_BYTES = 64 * 1024

_ID = re.compile(r"job_[0-9A-Za-z]+")


def admit(request: web.Request, route: str) -> bool:
    """Return whether a request for events comes with a token for all it asks for, and without a key.

    A key in a header wins, right or wrong. Raises `AuthenticationError` for a token that does not do.
    """
    settings, token = request.app[SETTINGS], request.query.get("token")
    if token is None or settings.master_key is None or shows_key(request.headers, settings):
        return False
    grant = request.app[TOKENS].read(token)
    grant.check([request.match_info["id"]] if route == ONE else read_ids(request.query))
    request[GRANT] = grant
    return True


def read_ids(query: MultiMapping[str]) -> tuple[str, ...]:
    """Return the jobs that `ids` names, in its order. Raises `BadRequestError`."""
    return check_ids(",".join(query.getall("ids", [])).split(","))


def check_ids(ids: list[str]) -> tuple[str, ...]:
    """Return the ids of jobs that were asked for together. Raises `BadRequestError` (`ids`)."""
    if ids in ([], [""]):
        raise BadRequestError(
            f"`ids` is required: the ids of 1 to {IDS_MAX} jobs.",
            code="missing_required_parameter",
            param="ids",
        )
    if len(ids) > IDS_MAX:
        raise BadRequestError(f"`ids` names {len(ids)} jobs; {IDS_MAX} is the most.", param="ids")
    for job_id in ids:
        if not _ID.fullmatch(job_id):
            raise BadRequestError(
                f"`ids` holds {cut(job_id)!r}, which is no job's id.", param="ids"
            )
    if len(set(ids)) < len(ids):
        raise BadRequestError("`ids` names a job twice; once is accepted.", param="ids")
    return tuple(ids)


def open_stream(request: web.Request) -> Stream:
    """Return the stream of a viewer, which ends with the token that let it in, if not before."""
    settings = request.app[SETTINGS]
    age_s = settings.sse_max_age_s * random.uniform(2 / 3, 1)  # noqa: S311 - not a secret
    if (grant := request.get(GRANT)) is not None:
        age_s = min(age_s, grant.expires_at - request.app[CLOCK].now())
    return Stream(
        web.StreamResponse(headers=HEADERS),
        transport=request.transport,
        stall_s=settings.sse_write_timeout_s,
        heartbeat_s=settings.sse_heartbeat_s,
        age_s=age_s,
        patient=False,
    )


def retry_ms(*, turned_away: bool) -> int:
    """Return when the client is to come back after its connection has ended, in milliseconds."""
    return random.randint(*(RETRY_LATER_MS if turned_away else RETRY_MS))  # noqa: S311 - not a secret


def no_place(app: web.Application) -> bool:
    """Return whether no further viewer may stay."""
    return app[SWEEP].draining or app[SWEEP].full


def refusal(app: web.Application) -> RateLimitError | NotReadyError:
    """Return what a viewer without a cursor is told where it may not stay."""
    sweep = app[SWEEP]
    if sweep.draining:
        return NotReadyError(
            "The service is shutting down; come back in a moment.", retry_after_s=2
        )
    app[METRICS].rejected("streams_full")
    return RateLimitError(
        f"{sweep.viewers} event streams are open here, which is the limit.",
        code="rate_limit_exceeded",
        retry_after_s=5,
    )
