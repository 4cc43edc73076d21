"""Runway's refusals and failures in our words. Status and machine code decide; text is only ever shown.

The one exception are 400s without `issues`: Runway tells missing credits and a refused header from a bad body
by their text alone, so two phrases are looked for.
"""

from collections.abc import Mapping
from typing import Any

from taxiway.errors import Refusal, SubmissionRefusedError, SubmissionUnknownError, cut
from taxiway.facts import Again, Failed
from taxiway.jobs import JobError

#: Runway's body fields → the request's fields, for the answers that blame one.
_PARAMS = {
    "promptText": "prompt",
    "ratio": "size",
    "outputCount": "n",
    "outputFormat": "output_format",
    "contentModeration": "moderation",
    "referenceImages": "reference_images",
}

#: Prefix of a failure code → our code, the sentence for the caller, and whether to try again.
#: The longest prefix that fits decides; the set of codes is open.
_FAILURES: Mapping[str, tuple[str, str, Again]] = {
    "SAFETY": (
        "content_policy_violation",
        "The request was refused by the provider's moderation.",
        Again.NEVER,
    ),
    "INPUT_PREPROCESSING.SAFETY": (
        "content_policy_violation",
        "The prompt was refused by the provider's moderation.",
        Again.NEVER,
    ),
    "ASSET.INVALID": (
        "invalid_image",
        "A reference image breaks the provider's rules of format or dimensions.",
        Again.NEVER,
    ),
    "INTERNAL.BAD_OUTPUT": (
        "provider_failed",
        "The provider discarded the image for its quality; a changed prompt may help.",
        Again.ONCE,
    ),
    "INTERNAL": ("provider_failed", "The provider failed to make the image.", Again.YES),
    "INPUT_PREPROCESSING.INTERNAL": (
        "provider_failed",
        "The provider failed to prepare the request.",
        Again.YES,
    ),
    "THIRD_PARTY.UNAVAILABLE": (
        "provider_failed",
        "The vendor behind the model is not available.",
        Again.ELSEWHERE,
    ),
    "": ("provider_failed", "The provider failed to make the image.", Again.ONCE),
}


def failed(task: Mapping[str, Any], *, attempt: int, credits: int | None) -> Failed:  # noqa: A002
    """Return what a FAILED task means. `credits` is its reported charge, None where it has none."""
    code = task.get("failureCode")
    code = cut(code) if isinstance(code, str) and code else None
    word, message, retry = _FAILURES[_prefix(code or "INTERNAL")]
    if code is not None and "SAFETY" in code:
        retry = Again.NEVER
    failure = task.get("failure")
    return Failed(
        attempt=attempt,
        error=JobError(code=word, message=message, failure_code=code),
        credits=credits,
        failure=cut(failure) if isinstance(failure, str) else None,
        retry=retry,
    )


def refused(status: int, body: object, *, wait_s: float | None) -> Exception:
    """Return what a create's answer outside 2xx means: refused for certain, or outcome unknown."""
    text = _text(body)
    if status in (400, 404, 405, 413, 422):
        return _refused_body(status, body, text)
    if status in (401, 403):
        return _final("provider_auth_failed", "The provider refused this service's account.")
    if status == 429:
        return _refused_rate(text, wait_s)
    if status == 503 and isinstance(body, dict) and isinstance(body.get("error"), str):
        return SubmissionRefusedError(
            "The provider is overloaded; nothing was bought.",
            code="no_deployment_available",
            refusal=Refusal.OVERLOADED,
            retry_after_s=wait_s,
        )
    if 300 <= status < 400:
        return _final("no_deployment_available", "The provider's address redirects elsewhere.")
    return SubmissionUnknownError()


def _refused_body(status: int, body: object, text: str) -> SubmissionRefusedError:
    if "not have enough credits" in text:
        return _final("insufficient_credits", "The provider's account has no credits left.")
    if "X-Runway-" in text:
        return _final("provider_auth_failed", "The provider refused this service's headers.")
    if status in (404, 405):
        return _final("no_deployment_available", "The provider's address has no such service.")
    issue = _first_issue(body)
    where, message = issue if issue else (None, text or f"it answered {status}")
    return _final(
        "provider_rejected", f"The provider refused the request: {cut(message)}", param=where
    )


def _refused_rate(text: str, wait_s: float | None) -> SubmissionRefusedError:
    if "daily" in text.lower():
        return _final("provider_quota_exceeded", "The provider's daily quota is used up.")
    return SubmissionRefusedError(
        "The provider takes no more requests for the moment.",
        code="provider_rate_limited",
        refusal=Refusal.RATE_LIMITED,
        retry_after_s=wait_s,
    )


def _final(code: str, message: str, *, param: str | None = None) -> SubmissionRefusedError:
    return SubmissionRefusedError(message, code=code, refusal=Refusal.FINAL, param=param)


def _prefix(code: str) -> str:
    fitting = [prefix for prefix in _FAILURES if code == prefix or code.startswith(f"{prefix}.")]
    return max(fitting, key=len, default="")


def _text(body: object) -> str:
    if not isinstance(body, dict):
        return ""
    text = body.get("error") or body.get("message")
    return text if isinstance(text, str) else ""


def _first_issue(body: object) -> tuple[str | None, str] | None:
    """Return the request's field and the text of the first validation issue."""
    issues = body.get("issues") if isinstance(body, dict) else None
    if not isinstance(issues, list) or not issues or not isinstance(issues[0], dict):
        return None
    path, message = issues[0].get("path"), issues[0].get("message")
    where = _param(path) if isinstance(path, list) and path else None
    return where, message if isinstance(message, str) else "the body is not valid"


def _param(path: list[object]) -> str:
    first, *rest = path
    name = _PARAMS.get(str(first), str(first))
    return name + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)
