"""What became of a job's webhooks, and having one sent again."""

from typing import Any

from aiohttp import web

from taxiway.deliveries import Delivery
from taxiway.errors import NotFoundError
from taxiway.server.access import find_job
from taxiway.server.answers import NO_STORE, json_answer
from taxiway.server.keys import CLOCK, JOB, OFFICE, STORE


async def list_webhooks(request: web.Request) -> web.Response:
    """Answer with a job's webhooks: whom they go to, how they stand, and every try. Raises `NotFoundError`."""
    job = request[JOB] = await find_job(request, request.match_info["id"])
    found = await request.app[STORE].outbox.of_job(job.id)
    return json_answer(
        {"object": "list", "data": [delivery_document(each) for each in found]}, headers=NO_STORE
    )


async def redeliver(request: web.Request) -> web.Response:
    """Have a webhook sent again, or sooner, and answer with it; it keeps its id. Raises `NotFoundError`."""
    job = request[JOB] = await find_job(request, request.match_info["id"])
    found = await request.app[STORE].outbox.redeliver(
        job.id, int(request.match_info["n"]), now=request.app[CLOCK].now()
    )
    if found is None:
        raise NotFoundError(
            f"The job {job.id} has no webhook {request.match_info['n']}.", code="webhook_not_found"
        )
    request.app[OFFICE].look()
    return json_answer(delivery_document(found), status=202, headers=NO_STORE)


def delivery_document(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery as `GET /v1/jobs/{id}/webhooks` shows it; its secret is never shown."""
    return {
        "object": "webhook.delivery",
        "job_id": delivery.job_id,
        "index": delivery.number,
        "webhook_id": delivery.webhook_id,
        "type": delivery.event,
        "url": delivery.endpoint.url,
        "source": delivery.endpoint.source,
        "status": delivery.status,
        "created_at": delivery.created_at,
        "next_try_at": delivery.due_at,
        "tries": [
            {
                "at": each.at,
                "outcome": each.outcome,
                "code": each.code,
                "duration_s": each.duration_s,
            }
            for each in delivery.log
        ],
    }
