"""Every code of an error that a caller may meet, with the status it comes with."""

from dataclasses import dataclass

from taxiway.errors import (
    JOB_CODES,
    AuthenticationError,
    BadGatewayError,
    BadRequestError,
    InternalServerError,
    JobTimeoutError,
    MethodNotAllowedError,
    NotFoundError,
    NotReadyError,
    PermissionDeniedError,
    RangeNotSatisfiableError,
    RateLimitError,
    RequestTooLargeError,
    ServiceUnavailableError,
    TaxiwayError,
    UnprocessableEntityError,
)


@dataclass(frozen=True, slots=True)
class Code:
    """A code, and the class of the errors that bear it."""

    kind: type[TaxiwayError]
    code: str
    says: str


#: Codes of requests that were refused before they were anybody's job.
_REQUEST_CODES = (
    Code(
        BadRequestError, "invalid_value", "A field or a parameter has a value that is not accepted."
    ),
    Code(BadRequestError, "invalid_type", "A field is of another type than it must be."),
    Code(BadRequestError, "missing_required_parameter", "A field is absent, or blank."),
    Code(BadRequestError, "string_above_max_length", "A text is too long."),
    Code(BadRequestError, "unsupported_parameter", "The model, or the route, has no such field."),
    Code(BadRequestError, "invalid_size", "The model does not make this size from this request."),
    Code(
        BadRequestError, "invalid_json", "The body is no JSON object, or one that nobody can store."
    ),
    Code(BadRequestError, "invalid_body", "The body does not arrive, or not as its headers say."),
    Code(BadRequestError, "invalid_request", "The request cannot be read."),
    Code(BadRequestError, "invalid_http", "The bytes are no request, or a line of it is too long."),
    Code(BadRequestError, "unsupported_content_type", "The body is of another type than is taken."),
    Code(
        BadRequestError,
        "invalid_idempotency_key",
        "The Idempotency-Key has other characters, or there are two.",
    ),
    Code(AuthenticationError, "missing_api_key", "No key was shown."),
    Code(AuthenticationError, "invalid_api_key", "The key is not valid here."),
    Code(AuthenticationError, "expired_key", "The key was valid once."),
    Code(AuthenticationError, "key_blocked", "The key is blocked."),
    Code(AuthenticationError, "invalid_token", "The token is not valid, or not for this job."),
    Code(AuthenticationError, "expired_token", "The token was valid once."),
    Code(PermissionDeniedError, "permission_denied", "The key may not do this."),
    Code(PermissionDeniedError, "key_model_access_denied", "The key may not use the model."),
    Code(PermissionDeniedError, "master_key_required", "The service has no master key."),
    Code(PermissionDeniedError, "invalid_link", "The signed link is not one of this service."),
    Code(PermissionDeniedError, "link_expired", "The signed link was good once."),
    Code(NotFoundError, "not_found", "There is nothing at this address."),
    Code(NotFoundError, "job_not_found", "There is no such job, or not for this key."),
    Code(NotFoundError, "key_not_found", "There is no such key."),
    Code(NotFoundError, "model_not_found", "No such model is on offer."),
    Code(NotFoundError, "image_not_found", "The job has no such image."),
    Code(NotFoundError, "webhook_not_found", "The job has no such webhook."),
    Code(NotFoundError, "image_gone", "Nobody has the image any more."),
    Code(MethodNotAllowedError, "method_not_allowed", "The address takes other methods."),
    Code(RequestTooLargeError, "request_too_large", "The body is over the limit."),
    Code(RangeNotSatisfiableError, "range_not_satisfiable", "The part lies behind the end."),
    Code(UnprocessableEntityError, "idempotency_conflict", "The Idempotency-Key was used before."),
    Code(UnprocessableEntityError, "budget_exceeded", "The budget does not cover this."),
    Code(RateLimitError, "rate_limit_exceeded", "Too many at once; a repeat helps, later."),
    Code(RateLimitError, "queue_full", "Too many jobs wait; a repeat helps, later."),
    Code(BadGatewayError, "image_unavailable", "The image cannot be had for the moment."),
    Code(NotReadyError, "draining", "The service is stopping; a repeat helps, elsewhere."),
    Code(NotReadyError, "store_unavailable", "The store does not answer; a repeat helps, later."),
)

#: What the codes of a job that failed mean to whoever asked for it.
_JOB_SAYS = {
    "content_policy_violation": "Moderation refused the prompt, a reference image or the result.",
    "invalid_image": "A reference image cannot be used.",
    "provider_rejected": "The provider did not accept the request.",
    "job_cancelled": "Somebody stopped the job.",
    "provider_quota_exceeded": "The provider's account has no images left for today.",
    "provider_rate_limited": "The provider was too busy until the deadline.",
    "insufficient_credits": "The provider's account is out of credits.",
    "no_deployment_available": "The provider could not be reached in time.",
    "provider_auth_failed": "The provider does not accept the service's key.",
    "provider_failed": "The provider failed to make the image.",
    "provider_cancelled": "Somebody stopped the task at the provider.",
    "provider_empty_output": "The provider ended without an image.",
    "submission_unknown": "The provider's answer was lost: a task may have been bought, or not.",
    "job_timeout": "The job did not end before its deadline.",
    "reference_unavailable": "A file that came with the request is gone.",
    "internal_server_error": "Something went wrong inside the service.",
}

#: All of them, by status.
CODES = tuple(
    sorted(
        (
            *_REQUEST_CODES,
            *(Code(JOB_CODES[code][0], code, says) for code, says in _JOB_SAYS.items()),
        ),
        key=lambda each: each.kind.status_code,
    )
)

#: The class that stands for a status where nothing more is said.
KINDS: dict[int, type[TaxiwayError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    413: RequestTooLargeError,
    416: RangeNotSatisfiableError,
    422: UnprocessableEntityError,
    429: RateLimitError,
    500: InternalServerError,
    502: BadGatewayError,
    503: ServiceUnavailableError,
    504: JobTimeoutError,
}
