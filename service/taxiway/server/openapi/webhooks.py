"""What receivers are sent, and what they may answer; and what this API says of it."""

from typing import Any

from taxiway.deliveries import DeliveryStatus, Outcome
from taxiway.jobs import FINAL
from taxiway.server.openapi.words import (
    DATE,
    INTEGER,
    JOB_ID,
    NUMBER,
    TEXT,
    Schema,
    list_of,
    one_of,
    only,
    or_null,
    record,
    ref,
    said,
)
from taxiway.server.webhooks.endpoints import REQUEST, SETTINGS

_NAMES = sorted(f"job.{status}" for status in FINAL)

_HEADERS = {
    "webhook-id": "The event's id: the same at every try, and for every receiver.",
    "webhook-timestamp": "When this try was made, in whole Unix seconds.",
    "webhook-signature": "`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64; several, with blanks.",
}


def webhooks() -> dict[str, Any]:
    """Return what receivers are sent, by the name of the event."""
    return {name: {"post": _operation(name)} for name in _NAMES}


def webhook_schemas() -> dict[str, Schema]:
    """Return the schemas of webhooks and of what is told of them, by name."""
    attempt = record(
        {
            "at": DATE,
            "outcome": one_of(Outcome),
            "code": or_null(said(INTEGER, "The status that the receiver answered.")),
            "duration_s": NUMBER,
        }
    )
    delivery = record(
        {
            "object": only("webhook.delivery"),
            "job_id": JOB_ID,
            "index": INTEGER,
            "webhook_id": TEXT,
            "type": one_of(_NAMES),
            "url": TEXT,
            "source": said(
                TEXT, f"Who named the receiver: `{REQUEST}` for the request, `{SETTINGS}`."
            ),
            "status": one_of(DeliveryStatus),
            "created_at": DATE,
            "next_try_at": or_null(DATE),
            "tries": said(list_of(attempt), "The last ones, the oldest first."),
        }
    )
    return {
        "WebhookDelivery": delivery,
        "WebhookList": record({"object": only("list"), "data": list_of(ref("WebhookDelivery"))}),
        "WebhookEvent": record(
            {
                "type": one_of(_NAMES),
                "timestamp": {"type": "string", "format": "date-time"},
                "data": ref("Job"),
            }
        ),
    }


def _operation(name: str) -> dict[str, Any]:
    return {
        "operationId": name.replace(".", "_"),
        "tags": ["Webhooks"],
        "summary": f"A job has ended: it is {name.partition('.')[2]}",
        "parameters": [
            {"in": "header", "name": header, "required": True, "schema": TEXT, "description": says}
            for header, says in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ref("WebhookEvent")}},
        },
        "responses": {
            "2XX": {"description": "Heard."},
            "410": {"description": "Not wanted any more: it is not tried again."},
            "default": {
                "description": "Not heard: it is tried again, ten times within three days."
            },
        },
    }
