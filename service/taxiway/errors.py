"""Every exception raised on purpose. One class per kind of answer, one word per case.

    TaxiwayError
    ├── ConfigError                      a setting that stops the start
    ├── BadRequestError                  400  the caller's request cannot be honoured
    │   ├── UnsupportedParamsError            a field this model does not have
    │   └── ContentPolicyViolationError       moderation refused the prompt, a reference or the result
    ├── AuthenticationError              401
    ├── PermissionDeniedError            403
    ├── NotFoundError                    404
    │   └── ModelNotMappedError               nobody knows the price
    ├── MethodNotAllowedError            405
    ├── RequestTooLargeError             413
    ├── RangeNotSatisfiableError         416
    ├── UnprocessableEntityError         422
    │   └── BudgetExceededError
    ├── RateLimitError                   429
    ├── InternalServerError              500
    ├── BadGatewayError                  502  the vendor failed, or its answer was lost
    ├── ServiceUnavailableError          503  the vendor cannot be used at all
    │   └── NotReadyError                503  this service cannot take a job now
    ├── JobTimeoutError                  504
    ├── SubmissionRefusedError           a POST that certainly bought nothing
    ├── SubmissionUnknownError           a POST that may have bought a task
    ├── ProviderUnavailableError         a call that says nothing about the task
    │   └── ImageExpiredError                 its host refuses an image's address: a fresh one may help
    ├── UpstreamTaskGoneError            the vendor no longer knows the task
    ├── ArchiveError                     the archive did not take or give an image
    ├── StoreError                       the store did not take a write
    │   └── StoreLockedError                  another process holds the embedded store
    └── LeaseLostError                   another process owns the job now

The classes down to 504 are answers: `server/problems.py` turns them into HTTP, the Python API raises them.
The rest live between a provider, the store and the engine, and never reach a caller as they are.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar

#: Foreign text is cut to this many characters before it reaches a log, a store or a caller.
FOREIGN_TEXT_MAX = 256


def cut(text: str) -> str:
    """Return foreign text on one line, at most `FOREIGN_TEXT_MAX` characters long."""
    line = " ".join(text.split())
    return line if len(line) <= FOREIGN_TEXT_MAX else line[: FOREIGN_TEXT_MAX - 1] + "…"


class TaxiwayError(Exception):
    """The service could not do what was asked.

    `message` is one sentence for people, `code` a word for programs, `param` the field at fault or None.
    `job_id` names the job behind the answer, where there is one. `failure_code` is the vendor's own word.
    `retry_after_s` says when a repeat can help.
    """

    status_code: ClassVar[int] = 500
    type: ClassVar[str] = "internal_error"
    default_code: ClassVar[str] = "internal_server_error"
    llm_provider: str = "runwayml"
    """LiteLLM's word for the vendor, on errors that the Python API raises."""

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        param: str | None = None,
        job_id: str | None = None,
        model: str | None = None,
        failure_code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.message = message or (type(self).__doc__ or "").partition("\n")[0]
        super().__init__(self.message)
        self.code = code or self.default_code
        self.param = param
        self.job_id = job_id
        self.model = model
        self.failure_code = failure_code
        self.retry_after_s = retry_after_s

    @property
    def should_retry(self) -> bool:
        """Whether repeating the same request can help, and cannot buy anything twice."""
        return self.code in RETRY_HELPS


class ConfigError(TaxiwayError):
    """The configuration cannot be used.

    `problems` holds one sentence for each thing that is wrong; the first of them is the message.
    """

    default_code = "invalid_configuration"

    def __init__(self, message: str = "", *, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message or (problems[0] if problems else ""))
        self.problems = problems or (self.message,)


class BadRequestError(TaxiwayError):
    """The request cannot be honoured as it is."""

    status_code = 400
    type = "invalid_request_error"
    default_code = "invalid_value"


class UnsupportedParamsError(BadRequestError):
    """The model does not have this field."""

    default_code = "unsupported_parameter"


class ContentPolicyViolationError(BadRequestError):
    """The request was refused by moderation."""

    default_code = "content_policy_violation"


class AuthenticationError(TaxiwayError):
    """The API key is missing or wrong."""

    status_code = 401
    type = "authentication_error"
    default_code = "invalid_api_key"


class PermissionDeniedError(TaxiwayError):
    """The API key may not do this."""

    status_code = 403
    type = "permission_error"
    default_code = "permission_denied"


class NotFoundError(TaxiwayError):
    """There is no such thing here."""

    status_code = 404
    type = "invalid_request_error"
    default_code = "not_found"


class ModelNotMappedError(NotFoundError):
    """The price is not known, so there is no number to give: an unknown price is never 0."""

    default_code = "model_not_mapped"


class MethodNotAllowedError(TaxiwayError):
    """This address does not take that method."""

    status_code = 405
    type = "invalid_request_error"
    default_code = "method_not_allowed"


class RequestTooLargeError(TaxiwayError):
    """The request body is too large."""

    status_code = 413
    type = "invalid_request_error"
    default_code = "request_too_large"


class RangeNotSatisfiableError(TaxiwayError):
    """The file ends before the part that was asked for."""

    status_code = 416
    type = "invalid_request_error"
    default_code = "range_not_satisfiable"


class UnprocessableEntityError(TaxiwayError):
    """The request contradicts an earlier one."""

    status_code = 422
    type = "invalid_request_error"
    default_code = "idempotency_conflict"


class BudgetExceededError(UnprocessableEntityError):
    """The budget does not cover this request."""

    type = "budget_exceeded"
    default_code = "budget_exceeded"


class RateLimitError(TaxiwayError):
    """Too many requests."""

    status_code = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"


class InternalServerError(TaxiwayError):
    """Something went wrong inside the service."""


class BadGatewayError(TaxiwayError):
    """The provider failed to make the image."""

    status_code = 502
    type = "provider_error"
    default_code = "provider_failed"


class ServiceUnavailableError(TaxiwayError):
    """The provider cannot be used at the moment."""

    status_code = 503
    type = "provider_error"
    default_code = "no_deployment_available"


class NotReadyError(ServiceUnavailableError):
    """The service cannot take a job at the moment."""

    type = "service_unavailable"
    default_code = "draining"


class JobTimeoutError(TaxiwayError):
    """The job did not end before its deadline."""

    status_code = 504
    type = "timeout_error"
    default_code = "job_timeout"


class Refusal(StrEnum):
    """Why a submission bought nothing, and with that, whether it may be repeated. Also a metric's label."""

    RATE_LIMITED = "rate_limited"
    """Too many for the moment: wait, and submit again."""
    OVERLOADED = "server_error"
    """The provider sheds load: submit again, a few times."""
    UNREACHABLE = "unreachable"
    """The request never left: submit again, for a while."""
    FINAL = "final"
    """The provider will not take this request from this account."""


class SubmissionRefusedError(TaxiwayError):
    """The provider refused the submission; nothing was bought.

    `code` and `param` are what a caller meets if the refusal stands. `refusal` says whether the same
    submission may be repeated, after `retry_after_s` where the provider named a time.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str,
        refusal: Refusal,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, code=code, param=param, retry_after_s=retry_after_s)
        self.refusal = refusal


class SubmissionUnknownError(TaxiwayError):
    """The provider's answer to the submission was lost; a task may have been bought."""

    default_code = "submission_unknown"


class ProviderUnavailableError(TaxiwayError):
    """The provider did not answer; this says nothing about the task."""

    default_code = "provider_unavailable"


class ImageExpiredError(ProviderUnavailableError):
    """The image's host refuses its address, which was good for a while only."""

    default_code = "image_unavailable"


class UpstreamTaskGoneError(TaxiwayError):
    """The provider no longer knows the task."""

    default_code = "provider_task_gone"


class ArchiveError(TaxiwayError):
    """The archive did not do its part."""

    default_code = "archive_unavailable"


class StoreError(TaxiwayError):
    """The store did not take the write."""

    default_code = "store_unavailable"


class StoreLockedError(StoreError):
    """Another process holds the embedded store."""


class LeaseLostError(TaxiwayError):
    """The job belongs to another process now; nothing was written. Repeating the write cannot help."""

    default_code = "lease_lost"


class Reason(StrEnum):
    """Why a job did not complete: the closed set that metrics, logs and dashboards share."""

    NONE = "none"
    CANCELLED = "cancelled"
    MODERATION_INPUT = "moderation_input"
    MODERATION_OUTPUT = "moderation_output"
    INVALID_INPUT = "invalid_input"
    ASSET = "asset"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    QUOTA = "quota"
    BUDGET = "budget"
    AUTH = "auth"
    THROTTLED = "throttled"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    DEADLINE = "deadline"
    INTERNAL = "internal"
    SUBMISSION_UNKNOWN = "submission_unknown"


#: How a job can end badly: its error's code → the class a waiting caller gets, and the reason counted.
JOB_CODES: Mapping[str, tuple[type[TaxiwayError], Reason]] = MappingProxyType(
    {
        "content_policy_violation": (ContentPolicyViolationError, Reason.MODERATION_INPUT),
        "invalid_image": (BadRequestError, Reason.ASSET),
        "provider_rejected": (BadRequestError, Reason.INVALID_INPUT),
        "job_cancelled": (BadRequestError, Reason.CANCELLED),
        "provider_quota_exceeded": (RateLimitError, Reason.QUOTA),
        "provider_rate_limited": (ServiceUnavailableError, Reason.THROTTLED),
        "insufficient_credits": (ServiceUnavailableError, Reason.INSUFFICIENT_CREDITS),
        "no_deployment_available": (ServiceUnavailableError, Reason.UPSTREAM_UNREACHABLE),
        "provider_auth_failed": (BadGatewayError, Reason.AUTH),
        "provider_failed": (BadGatewayError, Reason.UPSTREAM_ERROR),
        "provider_cancelled": (BadGatewayError, Reason.UPSTREAM_ERROR),
        "provider_empty_output": (BadGatewayError, Reason.UPSTREAM_ERROR),
        "submission_unknown": (BadGatewayError, Reason.SUBMISSION_UNKNOWN),
        "reference_unavailable": (InternalServerError, Reason.INTERNAL),
        "job_timeout": (JobTimeoutError, Reason.DEADLINE),
        "internal_server_error": (InternalServerError, Reason.INTERNAL),
    }
)

#: The failure code of a job that nobody took since the operator's budgets are spent: nothing is out of order.
BUDGET_SPENT = "BUDGET.SPENT"

#: Codes behind which no job exists and a repeat can succeed. Everything else says `x-should-retry: false`.
RETRY_HELPS = frozenset({"rate_limit_exceeded", "queue_full", "draining", "store_unavailable"})


def error_of(
    code: str,
    message: str,
    *,
    job_id: str,
    param: str | None = None,
    failure_code: str | None = None,
    model: str | None = None,
) -> TaxiwayError:
    """Return a failed job's error as the exception that a waiting caller gets. Unknown codes become a 500."""
    kind, _ = JOB_CODES.get(code, (InternalServerError, Reason.INTERNAL))
    return kind(
        message, code=code, param=param, job_id=job_id, failure_code=failure_code, model=model
    )


def reason_of(code: str | None, failure_code: str | None = None) -> Reason:
    """Return the reason to count for a job's error code; `NONE` without a code."""
    if code is None:
        return Reason.NONE
    _, reason = JOB_CODES.get(code, (InternalServerError, Reason.INTERNAL))
    if reason is Reason.MODERATION_INPUT and ".OUTPUT" in (failure_code or ""):
        return Reason.MODERATION_OUTPUT
    if reason is Reason.UPSTREAM_UNREACHABLE and failure_code == BUDGET_SPENT:
        return Reason.BUDGET
    return reason
