"""What each route takes and gives, by its handler. A route that is missing here is missing in the description."""

from collections.abc import Mapping
from types import MappingProxyType

from taxiway.server import (
    console,
    edits,
    health,
    images,
    job_images,
    jobs,
    many,
    minting,
    models,
    sse,
    usage,
)
from taxiway.server.middleware import Handler
from taxiway.server.openapi import parameters as p
from taxiway.server.openapi.events import image_events, job_events
from taxiway.server.openapi.keys import KEYS
from taxiway.server.openapi.shapes import Answer, Content, Operation, json_of
from taxiway.server.openapi.words import TEXT, Schema, ref
from taxiway.server.webhooks import routes as webhooks

_EVENTS = "text/event-stream"


_ASKING = (p.PREFER, p.IDEMPOTENCY_KEY, p.TIMEOUT_HEADER)
_ASKED: Mapping[int, Answer] = {
    200: Answer(
        says="The images; with `stream: true`, OpenAI's image events.",
        content={**json_of("ImagesResponse"), _EVENTS: image_events()},
    ),
    202: Answer(says="The job, where the caller prefers not to wait.", content=json_of("Job")),
}
_WATCHED = "The jobs as they are, then every change, until their ends."
_SEEN = Answer(says="The viewer has seen the end: there is nothing left.")
_ASKING_ERRORS = (400, 403, 404, 413, 422, 429, 502, 504)
_JOB_ANSWER: Mapping[int, Answer] = {200: Answer(says="The job.", content=json_of("Job"))}
_FILE: Schema = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
_BYTES: Content = dict.fromkeys(("image/png", "image/jpeg", "image/webp", "image/svg+xml"), _FILE)
_PAGE: Content = {"text/html": {"schema": TEXT}}
_OBJECT: Schema = {"type": "object"}
_UNCHANGED = Answer(says="It is what the caller has already.")

OPERATIONS: Mapping[Handler, Operation] = MappingProxyType(
    {
        images.generate: Operation(
            tag="Images",
            parameters=_ASKING,
            body=json_of("GenerationBody"),
            answers=_ASKED,
            errors=_ASKING_ERRORS,
        ),
        edits.edit: Operation(
            tag="Images",
            parameters=_ASKING,
            body={"multipart/form-data": {"schema": ref("EditForm")}, **json_of("EditBody")},
            answers=_ASKED,
            errors=_ASKING_ERRORS,
        ),
        images.quote: Operation(
            tag="Images",
            body=json_of("GenerationBody"),
            answers={200: Answer(says="The price, an estimate.", content=json_of("Quote"))},
            errors=(403, 404, 413, 422, 429),
        ),
        jobs.list_jobs: Operation(
            tag="Jobs",
            parameters=p.LIST,
            answers={200: Answer(says="A page of jobs.", content=json_of("JobList"))},
        ),
        jobs.get_job: Operation(
            tag="Jobs", parameters=(p.JOB,), answers=_JOB_ANSWER, errors=(404,)
        ),
        jobs.cancel_job: Operation(
            tag="Jobs", parameters=(p.JOB,), answers=_JOB_ANSWER, errors=(404,)
        ),
        job_images.get_image: Operation(
            tag="Jobs",
            parameters=(p.JOB, p.IMAGE, p.RANGE, p.IF_NONE_MATCH, *p.LINK),
            answers={
                200: Answer(says="The image.", content=_BYTES),
                206: Answer(says="A part of the image.", content=_BYTES),
                304: _UNCHANGED,
            },
            errors=(403, 404, 416, 502),
        ),
        sse.job_events: Operation(
            tag="Events",
            parameters=(p.JOB, p.CURSOR, p.STARTING_AFTER, p.TOKEN),
            answers={200: Answer(says=_WATCHED, content={_EVENTS: job_events()}), 204: _SEEN},
            errors=(404, 429),
        ),
        many.many_job_events: Operation(
            tag="Events",
            parameters=(p.IDS, p.CURSOR, p.STARTING_AFTER, p.TOKEN),
            answers={
                200: Answer(says=_WATCHED, content={_EVENTS: job_events(of_many=True)}),
                204: _SEEN,
            },
            errors=(404, 429),
        ),
        minting.job_token: Operation(
            tag="Events",
            parameters=(p.JOB,),
            answers={200: Answer(says="The token.", content=json_of("StreamToken"))},
            errors=(404,),
        ),
        minting.jobs_token: Operation(
            tag="Events",
            body=json_of("TokenBody"),
            answers={200: Answer(says="The token.", content=json_of("StreamToken"))},
            errors=(404, 413),
        ),
        models.list_models: Operation(
            tag="Models",
            answers={200: Answer(says="The models on offer.", content=json_of("ModelList"))},
        ),
        models.get_model: Operation(
            tag="Models",
            parameters=(p.MODEL,),
            answers={200: Answer(says="The model.", content=json_of("Model"))},
            errors=(404,),
        ),
        webhooks.list_webhooks: Operation(
            tag="Webhooks",
            parameters=(p.JOB,),
            answers={200: Answer(says="The webhooks.", content=json_of("WebhookList"))},
            errors=(404,),
        ),
        webhooks.redeliver: Operation(
            tag="Webhooks",
            parameters=(p.JOB, p.WEBHOOK),
            answers={202: Answer(says="The webhook, due.", content=json_of("WebhookDelivery"))},
            errors=(404,),
        ),
        usage.get_usage: Operation(
            tag="Usage",
            parameters=p.USAGE,
            answers={200: Answer(says="What was spent.", content=json_of("UsageReport"))},
        ),
        **KEYS,
        health.healthz: Operation(
            tag="Service",
            open=True,
            answers={
                200: Answer(says="The process is worth keeping.", content=json_of("Liveness")),
                503: Answer(says="It is not.", content=json_of("Liveness")),
            },
        ),
        health.readyz: Operation(
            tag="Service",
            open=True,
            answers={
                200: Answer(says="New work may come.", content=json_of("Readiness")),
                503: Answer(says="It may not, and why.", content=json_of("Readiness")),
            },
        ),
        health.metrics: Operation(
            tag="Service",
            open=True,
            answers={
                200: Answer(
                    says="All metrics.",
                    content={
                        "text/plain": {"schema": TEXT},
                        "application/openmetrics-text": {"schema": TEXT},
                    },
                )
            },
            errors=(401,),
        ),
        console.console: Operation(
            tag="Pages",
            open=True,
            parameters=(p.IF_NONE_MATCH,),
            answers={200: Answer(says="The page.", content=_PAGE), 304: _UNCHANGED},
        ),
        console.openapi: Operation(
            tag="Pages",
            open=True,
            parameters=(p.IF_NONE_MATCH,),
            answers={
                200: Answer(says="This.", content={"application/json": {"schema": _OBJECT}}),
                304: _UNCHANGED,
            },
        ),
        console.docs: Operation(
            tag="Pages",
            open=True,
            parameters=(p.IF_NONE_MATCH,),
            answers={200: Answer(says="The page.", content=_PAGE), 304: _UNCHANGED},
        ),
        console.asset: Operation(
            tag="Pages",
            open=True,
            parameters=(p.FILE, p.IF_NONE_MATCH),
            answers={
                200: Answer(
                    says="The file.",
                    content={
                        kind: {"schema": TEXT}
                        for kind in ("text/html", "text/css", "text/javascript", "image/svg+xml")
                    },
                ),
                304: _UNCHANGED,
            },
            errors=(404,),
        ),
    }
)
