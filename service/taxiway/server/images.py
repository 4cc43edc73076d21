"""Asking for an image: one route, and four ways to be answered.

A plain request is answered when the image is there. `stream: true` shows the way to it. `Prefer:
respond-async` answers at once with the job, `Prefer: wait=N` waits a while first. In each case the job is
stored before anybody waits, and goes on whoever leaves.
"""

from aiohttp import web

from taxiway.errors import InternalServerError, NotReadyError
from taxiway.jobs import GenerationRequest, Image, Job, JobStatus
from taxiway.server.access import check_models, identity_of
from taxiway.server.answers import NO_STORE, job_answer, job_url, json_answer
from taxiway.server.base64_images import send_base64
from taxiway.server.bodies import Asked, read_generation
from taxiway.server.documents import failure_of, images_document, plan_document
from taxiway.server.files import carries_files, keep_files
from taxiway.server.frames import Operation
from taxiway.server.headers import overhead_s
from taxiway.server.idempotency import read_origin, read_retry_count
from taxiway.server.image_stream import stream_images
from taxiway.server.json_bodies import read_object
from taxiway.server.keys import (
    ARCHIVE,
    CALL_ID,
    CLOCK,
    DRAIN,
    JOB,
    LINKS,
    LOGS,
    METRICS,
    REPLAYED,
    RUNNER,
    SETTINGS,
    TRACE,
    UNTIMED,
    WEBHOOKS,
)
from taxiway.server.middleware import CLIENT_LEFT
from taxiway.server.pictures import opener
from taxiway.server.policies import policy_of
from taxiway.server.preferences import Preferences, read_preferences, read_timeout
from taxiway.server.waiting import Outcome, promise, wait_for_end


async def generate(request: web.Request) -> web.StreamResponse:
    """Ask for an image, and answer in the way the caller prefers.

    Raises what the body or the model refuses, `NotReadyError` and `RateLimitError`: then nothing was bought.
    """
    request.app[DRAIN].refuse_if_begun()
    return await answer(request, await _asked(request))


async def answer(
    request: web.Request, asked: Asked, *, operation: Operation = Operation.GENERATION
) -> web.StreamResponse:
    """Submit what was asked for, and answer in the way the caller prefers. Raises as `generate` does."""
    preferences = read_preferences(request.headers.getall("Prefer", ()))
    with request.app[DRAIN].waiting():
        waits = asked.delivery.stream or preferences.waits
        job = await _submit(request, asked, waits=waits)
        if asked.delivery.stream:
            return await stream_images(
                request,
                job,
                response_format=asked.delivery.response_format,
                operation=operation,
            )
        if not preferences.waits:
            if request.get(REPLAYED):
                await promise(request, job)
            return _accepted(request, job, applied="respond-async")
        return await _wait(request, job, asked, preferences)


async def quote(request: web.Request) -> web.Response:
    """Answer with what a request for images would come to. Raises what that request would meet."""
    asked = await _asked(request)
    plan = request.app[RUNNER].plan(asked.generation, policy=policy_of(request, asked))
    return json_answer(plan_document(asked.generation, plan), headers=NO_STORE)


async def _asked(request: web.Request) -> Asked:
    asked = read_generation(await read_object(request), model=request.match_info.get("model"))
    check_models(request, asked)
    return asked


async def _submit(request: web.Request, asked: Asked, *, waits: bool) -> Job:
    """Return the request's job: a new one, or that of the same request asked before."""
    if asked.delivery.policy.webhook is not None:
        request.app[WEBHOOKS].check(asked.delivery.policy.webhook)
    origin = read_origin(
        request.headers, asked.generation, waits=waits, scope=identity_of(request).scope
    )
    timeout_s = asked.delivery.timeout_s
    trace = request[TRACE]
    policy = policy_of(request, asked)
    submission = await request.app[RUNNER].submit(
        await _kept(request, asked),
        timeout_s=read_timeout(request.headers) if timeout_s is None else timeout_s,
        policy=policy,
        origin=origin,
        retry_count=read_retry_count(request.headers),
        streamed=asked.delivery.stream,
        context={"request_id": request[CALL_ID], **trace},
    )
    request[JOB] = submission.job
    if submission.replayed:
        request[REPLAYED] = True
        request.app[METRICS].deduplicated()
        request.app[LOGS].note("job.deduplicated", job_id=submission.job.id)
    return submission.job


async def _kept(request: web.Request, asked: Asked) -> GenerationRequest:
    """Return what was asked for without the bytes of its files, which the job need not carry."""
    if not carries_files(asked.generation):
        return asked.generation
    app = request.app
    # What is refused is not worth keeping.
    app[RUNNER].plan(asked.generation, policy=policy_of(request, asked))
    return await keep_files(
        asked.generation, asked.files, archive=app.get(ARCHIVE), note=app[LOGS].note
    )


async def _wait(
    request: web.Request, job: Job, asked: Asked, preferences: Preferences
) -> web.StreamResponse:
    """Wait for the image, as long as the caller does, and answer with what there is then."""
    request[UNTIMED] = True
    limit_s = preferences.limit_s(job.deadline_at - request.app[CLOCK].now())
    job, outcome = await wait_for_end(request, job.id, limit_s=limit_s)
    request[JOB] = job
    applied = None if limit_s is None else f"wait={limit_s}"
    match outcome:
        case Outcome.ENDED:
            return await _ended(request, job, asked, applied)
        case Outcome.CLIENT_LEFT:
            return web.Response(status=CLIENT_LEFT)
        case Outcome.DRAINING if applied is None:
            raise NotReadyError(
                f"The service is shutting down. The job goes on: GET {job_url(job.id)} has its outcome.",
                job_id=job.id,
            )
        case Outcome.TIMED_OUT | Outcome.DRAINING:
            return _accepted(request, job, applied=applied or "respond-async")


async def _ended(
    request: web.Request, job: Job, asked: Asked, applied: str | None
) -> web.StreamResponse:
    if job.status is not JobStatus.COMPLETED:
        raise failure_of(job) or InternalServerError(job_id=job.id)
    spent_s = request.app[CLOCK].now() - job.created_at
    headers = {
        "x-litellm-overhead-duration-ms": f"{overhead_s(job, spent_s=spent_s) * 1000:.3f}",
        **({} if applied is None else {"Preference-Applied": applied}),
    }
    if not _with_bytes(request, job, asked):
        data = [{**_image(request, job, image), "b64_json": None} for image in job.images]
        return json_answer({**images_document(job), "data": data}, headers=headers)
    return await send_base64(
        request,
        images_document(job),
        [(_image(request, job, image), opener(request.app, job, image)) for image in job.images],
        job_id=job.id,
        headers=headers,
    )


def _with_bytes(request: web.Request, job: Job, asked: Asked) -> bool:
    """Return whether a plain answer carries the images: where that was asked for, or nothing else leads to them.

    An image whose provider gave no address has none before this service knows its own.
    """
    if asked.delivery.response_format is not None:
        return asked.delivery.response_format == "b64_json"
    lost = request.app[SETTINGS].public_url is None
    return lost and any(not image.url for image in job.images)


def _image(request: web.Request, job: Job, image: Image) -> dict[str, str | None]:
    return {"url": request.app[LINKS].url(job, image), "revised_prompt": image.revised_prompt}


def _accepted(request: web.Request, job: Job, *, applied: str) -> web.Response:
    """Answer 202: the job, and where it can be followed."""
    headers = {"Location": job_url(job.id), "Preference-Applied": applied}
    return job_answer(request, job, status=202, headers=headers)
