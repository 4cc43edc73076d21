"""Jobs, images and errors as JSON documents: the same ones in answers, in streams and in a job's own record."""

from collections.abc import Callable, Mapping
from typing import Any

from taxiway.errors import TaxiwayError, error_of
from taxiway.jobs import Attempt, GenerationRequest, Image, Job, Plan

#: Where a caller finds an image: `Links.url` of the service, which knows its own address.
Address = Callable[[Job, Image], str]


def tokens_document(job: Job) -> dict[str, Any]:
    """Return `usage`, which OpenAI's clients expect: zeros where the vendor charges by the image."""
    counts = [attempt.tokens for attempt in job.attempts if attempt.tokens is not None]
    made = {
        "input": {
            "image_tokens": sum(each.input_image for each in counts),
            "text_tokens": sum(each.input_text for each in counts),
        },
        "output": {
            "image_tokens": sum(each.output_image for each in counts),
            "text_tokens": sum(each.output_text for each in counts),
        },
    }
    return {
        "input_tokens": sum(made["input"].values()),
        "input_tokens_details": made["input"],
        "output_tokens": sum(made["output"].values()),
        "output_tokens_details": made["output"],
        "total_tokens": sum(sum(each.values()) for each in made.values()),
    }


def provider_address(_job: Job, image: Image) -> str:
    """Return the address that the provider gave an image."""
    return image.url


def job_document(job: Job, *, address: Address = provider_address) -> dict[str, Any]:
    """Return a job as `GET /v1/jobs/{id}` shows it: times in Unix seconds, cost in US dollars and credits."""
    request = job.request
    return {
        "id": job.id,
        "object": "image.generation.job",
        "status": job.status,
        "phase": job.phase,
        "progress": job.progress,
        "revision": job.revision,
        "model": request.model,
        "prompt": request.prompt,
        "size": job.size,
        "n": request.n,
        "metadata": request.metadata,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "queue_position": job.queue_position,
        "eta_s": job.eta_s,
        "images": [
            {
                "index": image.index,
                "url": address(job, image),
                "size": image.size,
                "content_type": image.content_type,
            }
            for image in job.images
        ],
        "cost": cost_document(job, final=job.cost_final),
        "error": error_document(failure) if (failure := failure_of(job)) else None,
        "attempts": [_attempt_document(attempt) for attempt in job.attempts],
        "timeline": [
            {"at": moment.at, "status": moment.status, "phase": moment.phase}
            for moment in job.timeline
        ],
    }


def images_document(job: Job) -> dict[str, Any]:
    """Return a completed job as OpenAI's `ImagesResponse`, but for its `data`, and what it cost."""
    request = job.request
    return {
        "created": int(job.finished_at or job.created_at),
        "background": request.background,
        "output_format": output_format(job),
        "quality": request.quality,
        "size": job.size,
        "usage": tokens_document(job),
        "job_id": job.id,
        "cost_credits": job.credits,
        "cost_microusd": job.microusd,
    }


def output_format(job: Job) -> str | None:
    """Return the format of a job's images in OpenAI's words: png, jpeg, webp, svg; None without an image."""
    if not job.images:
        return None
    return job.images[0].content_type.partition("/")[2].partition("+")[0]


def plan_document(request: GenerationRequest, plan: Plan) -> dict[str, Any]:
    """Return what a request would come to; its cost is an estimate, null where the price is not published."""
    return {
        "object": "image.generation.quote",
        "model": request.model,
        "size": plan.size,
        "n": request.n,
        "tasks": [{"images": part.images, "credits": part.credits} for part in plan.parts],
        "dropped_params": plan.dropped,
        "cost": cost_document(plan, final=False),
        "cost_credits": plan.credits,
        "cost_microusd": plan.microusd,
    }


def cost_document(paid: Job | Plan, *, final: bool) -> dict[str, Any]:
    """Return a cost; `usd` is null while unknown, `final` says whether it is exact.

    `credits` is null as well where something was not counted in them.
    """
    return {"usd": usd(paid.microusd), "credits": paid.credits, "final": final}


def usd(microusd: int | None) -> float | None:
    """Return micro-USD in US dollars: six digits after the point, which a float prints exactly."""
    return None if microusd is None else microusd / 1_000_000


def failure_of(job: Job) -> TaxiwayError | None:
    """Return why a job did not complete as the error a waiting caller gets, or None."""
    if job.error is None:
        return None
    return error_of(
        job.error.code,
        job.error.message,
        job_id=job.id,
        param=job.error.param,
        failure_code=job.error.failure_code,
        model=job.request.model,
    )


def error_document(error: TaxiwayError) -> dict[str, Any]:
    """Return the object that stands under `error` in an answer, a stream's frame and a job."""
    document: dict[str, Any] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.job_id is not None:
        document["job_id"] = error.job_id
    if error.failure_code is not None:
        document["provider_specific_fields"] = {"failure_code": error.failure_code}
    return document


def error_body(error: TaxiwayError) -> Mapping[str, Any]:
    """Return the whole body of an error answer, in OpenAI's shape."""
    return {"error": error_document(error)}


def _attempt_document(attempt: Attempt) -> dict[str, Any]:
    return {
        "index": attempt.index,
        "part": attempt.part,
        "deployment": attempt.deployment,
        "provider": attempt.provider,
        "model": attempt.model,
        "group": attempt.group or None,
        "upstream_id": attempt.upstream_id,
        "status": attempt.status,
        "phase": attempt.phase,
        "progress": round(attempt.progress * 100),
        "submitted_at": attempt.submitted_at,
        "finished_at": attempt.finished_at,
        "credits": attempt.credits,
        "credits_source": attempt.credits_source,
        "failure_code": attempt.error.failure_code if attempt.error else None,
    }
