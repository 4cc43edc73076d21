"""What answers carry: jobs, images, models, errors. Each schema names what `documents` and the handlers write."""

from taxiway.jobs import AttemptStatus, CreditsSource, JobStatus, Phase
from taxiway.ledger import Grouping
from taxiway.routing.breaker import Health
from taxiway.server.openapi.codes import CODES
from taxiway.server.openapi.key_answers import key_schemas
from taxiway.server.openapi.words import (
    DATE,
    FLAG,
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

_CREDITS = said(
    INTEGER, "Runway's unit; one is one US cent. Null where a part was not counted in it."
)


def answer_schemas() -> dict[str, Schema]:
    """Return the schemas of answers by name."""
    return {
        "Error": _error(),
        "ErrorBody": record({"error": ref("Error")}),
        "Job": _job(),
        "JobImage": record(
            {
                "index": INTEGER,
                "url": said(TEXT, "Taxiway's own where it is archived and knows its address."),
                "size": or_null(TEXT),
                "content_type": TEXT,
            }
        ),
        "Attempt": _attempt(),
        "Cost": record(
            {
                "usd": or_null(NUMBER),
                "credits": or_null(_CREDITS),
                "final": said(FLAG, "Whether it is what was charged, and no estimate."),
            }
        ),
        "JobList": _list_of(
            "Job", has_more=FLAG, first_id=or_null(JOB_ID), last_id=or_null(JOB_ID)
        ),
        "ImagesResponse": _images(),
        "Usage": record(
            {
                "input_tokens": INTEGER,
                "input_tokens_details": ref("UsageDetails"),
                "output_tokens": INTEGER,
                "output_tokens_details": ref("UsageDetails"),
                "total_tokens": INTEGER,
            }
        ),
        "UsageDetails": record({"image_tokens": INTEGER, "text_tokens": INTEGER}),
        "Quote": _quote(),
        "Model": _model(),
        "Deployment": _deployment(),
        "ModelList": _list_of("Model"),
        "StreamToken": record(
            {
                "object": only("stream.token"),
                "token": TEXT,
                "expires_at": said(INTEGER, "In Unix seconds."),
                "url": said(TEXT, "What an `EventSource` opens."),
            }
        ),
        "UsageReport": record(
            {
                "object": only("usage"),
                "by": list_of(one_of(Grouping)),
                "since": or_null(DATE),
                "until": or_null(DATE),
                "data": said(list_of(ref("UsageRow")), "Empty without `by`."),
                "total": ref("UsageRow"),
            }
        ),
        "UsageRow": _usage(),
        **key_schemas(),
        "Liveness": record(
            {"status": one_of(["ok", "broken"]), "reasons": list_of(TEXT)}, optional=["reasons"]
        ),
        "Readiness": record(
            {
                "status": one_of(["ready", "not_ready"]),
                "reasons": list_of(one_of(["draining", "store_unavailable"])),
            }
        ),
    }


def _usage() -> Schema:
    groups: dict[str, Schema] = {
        Grouping.MODEL.value: said(TEXT, "The public name, as asked."),
        Grouping.KEY.value: said(TEXT, "The API key's id; empty where there are no keys."),
        Grouping.DAY.value: {"type": "string", "format": "date", "description": "In UTC."},
        Grouping.UPSTREAM_MODEL.value: said(TEXT, "The provider's name of the model."),
        Grouping.DEPLOYMENT.value: TEXT,
    }
    cost = {
        "usd": NUMBER,
        "credits": said(INTEGER, "Of what is counted in them: one is one US cent."),
        "final": said(FLAG, "Whether the provider has named every charge."),
        "charged_credits": said(INTEGER, "What the provider has named."),
        "estimated_credits": said(INTEGER, "What it has not, at the last estimate."),
        "charged_usd": NUMBER,
        "estimated_usd": NUMBER,
        "unknown_charges": said(INTEGER, "Ended attempts of no known price: in no sum."),
    }
    return record(
        {
            **groups,
            "jobs": said(INTEGER, "Jobs of which an attempt has ended."),
            "attempts": said(INTEGER, "Attempts that have ended."),
            "tasks": said(INTEGER, "Of these, the ones that the provider had taken."),
            "cost": record(cost),
            "reserved": said(
                record({"usd": NUMBER, "credits": INTEGER}),
                "What attempts under way may still cost.",
            ),
        },
        optional=groups,
    )


def _error() -> Schema:
    codes = [{"const": each.code, "description": each.says} for each in CODES]
    return record(
        {
            "message": said(TEXT, "One sentence for people."),
            "type": one_of(sorted({each.kind.type for each in CODES})),
            "param": said(or_null(TEXT), "The field at fault."),
            "code": {"type": "string", "oneOf": codes},
            "job_id": JOB_ID,
            "provider_specific_fields": record({"failure_code": TEXT}),
        },
        optional=["job_id", "provider_specific_fields"],
    )


def _job() -> Schema:
    moment = record({"at": DATE, "status": one_of(JobStatus), "phase": or_null(one_of(Phase))})
    return record(
        {
            "id": JOB_ID,
            "object": only("image.generation.job"),
            "status": one_of(JobStatus),
            "phase": or_null(one_of(Phase)),
            "progress": {"type": "integer", "minimum": 0, "maximum": 100},
            "revision": said(INTEGER, "Grows with every recorded change; an event's id."),
            "model": TEXT,
            "prompt": TEXT,
            "size": or_null(said(TEXT, "WIDTHxHEIGHT; null where the model decides.")),
            "n": INTEGER,
            "metadata": {"type": "object"},
            "created_at": DATE,
            "started_at": or_null(DATE),
            "finished_at": or_null(DATE),
            "queue_position": or_null(INTEGER),
            "eta_s": or_null(said(NUMBER, "Seconds still to go, by the pace so far.")),
            "images": list_of(ref("JobImage")),
            "cost": ref("Cost"),
            "error": or_null(ref("Error")),
            "attempts": list_of(ref("Attempt")),
            "timeline": list_of(moment),
        }
    )


def _attempt() -> Schema:
    return record(
        {
            "index": INTEGER,
            "part": INTEGER,
            "deployment": TEXT,
            "group": or_null(said(TEXT, "The public name it was bought under.")),
            "provider": TEXT,
            "model": TEXT,
            "upstream_id": or_null(said(TEXT, "The provider's own id of the task.")),
            "status": one_of(AttemptStatus),
            "phase": one_of(Phase),
            "progress": INTEGER,
            "submitted_at": or_null(DATE),
            "finished_at": or_null(DATE),
            "credits": or_null(_CREDITS),
            "credits_source": or_null(one_of(CreditsSource)),
            "failure_code": or_null(TEXT),
        }
    )


def _images() -> Schema:
    image = record(
        {"url": or_null(TEXT), "revised_prompt": or_null(TEXT), "b64_json": or_null(TEXT)}
    )
    return record(
        {
            "created": INTEGER,
            "background": or_null(TEXT),
            "output_format": or_null(TEXT),
            "quality": or_null(TEXT),
            "size": or_null(TEXT),
            "usage": ref("Usage"),
            "job_id": JOB_ID,
            "cost_credits": or_null(_CREDITS),
            "cost_microusd": or_null(INTEGER),
            "data": list_of(image),
        }
    )


def _quote() -> Schema:
    return record(
        {
            "object": only("image.generation.quote"),
            "model": TEXT,
            "size": or_null(TEXT),
            "n": INTEGER,
            "tasks": list_of(record({"images": INTEGER, "credits": or_null(_CREDITS)})),
            "dropped_params": list_of(TEXT),
            "cost": ref("Cost"),
            "cost_credits": or_null(_CREDITS),
            "cost_microusd": or_null(INTEGER),
        }
    )


def _model() -> Schema:
    size = record({"size": TEXT, "cost_credits": or_null(_CREDITS), "cost_usd": or_null(NUMBER)})
    return record(
        {
            "id": TEXT,
            "object": only("model"),
            "created": INTEGER,
            "owned_by": TEXT,
            "known": said(FLAG, "Whether the catalogue knows the model."),
            "sizes": list_of(size),
            "default_size": or_null(TEXT),
            "qualities": list_of(TEXT),
            "prompt_max_chars": or_null(said(INTEGER, "In UTF-16 code units.")),
            "reference_images_max": or_null(INTEGER),
            "deployments": list_of(ref("Deployment")),
        }
    )


def _deployment() -> Schema:
    return record(
        {
            "id": TEXT,
            "provider": TEXT,
            "model": TEXT,
            "order": or_null(INTEGER),
            "status": one_of([*Health, "no_key", "over_budget", "blocked"]),
            "reason": or_null(said(TEXT, "Why it rests.")),
            "until": or_null(DATE),
        }
    )


def _list_of(name: str, **more: Schema) -> Schema:
    return record({"object": only("list"), "data": list_of(ref(name)), **more})
