"""Any endpoint that speaks OpenAI's `/images/generations`: OpenAI, another gateway, another Taxiway.

It has no tasks: the answer to the submission is the image, so a lost answer is lost for good, and nothing is
ever polled. A gateway behind it may have bought something and failed; what it says of the cost is booked.

Vendor facts: OpenAI's reference of the Images API, and the headers of LiteLLM's proxy, as of 2026.
"""

import asyncio
from binascii import Error, a2b_base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from io import BytesIO
from typing import Any
from urllib.parse import urljoin

import aiohttp
import orjson

from taxiway.artifacts import OpenAsset
from taxiway.clock import Clock
from taxiway.errors import (
    ProviderUnavailableError,
    Refusal,
    SubmissionRefusedError,
    SubmissionUnknownError,
    UpstreamTaskGoneError,
    cut,
)
from taxiway.facts import Again, Failed, Handed, Made, Report
from taxiway.jobs import Attempt, GenerationRequest, Job, JobError, Plan, Tokens
from taxiway.protocols import Download, Instruments, ModelCard, Note
from taxiway.providers.downloads import download
from taxiway.providers.openai_models import OpenAIModel
from taxiway.providers.pauses import retry_after_s
from taxiway.settings import Deployment

CONNECT_TIMEOUT_S = 10.0

#: The longest a submission may take, whatever the job's deadline: OpenAI's own clients wait as long.
SUBMIT_TIMEOUT_S = 600.0

#: A gateway has so much less time than the job, in which its answer comes; it takes a second or more.
ANSWER_S = 1.0

#: The longest wait that a `Retry-After` is followed for.
RETRY_AFTER_MAX_S = 60.0

#: An answer beyond this is no answer: ten of the largest images in base64 are half of it.
ANSWER_BYTES_MAX = 256 * 1024 * 1024

#: Base64 is decoded in pieces of so many characters, a multiple of four: a thread would hold the loop as long.
PIECE_CHARS = 64 * 1024

LARGE_BYTES = 65_536


#: An error's code → ours. Of one that is not here the status decides.
_MODERATED = frozenset({"content_policy_violation", "moderation_blocked", "content_filter"})
_BROKE = frozenset(
    {
        *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"),
        *("budget_exceeded", "insufficient_credits"),
    }
)
_USELESS = frozenset({"provider_auth_failed", "provider_quota_exceeded", "no_deployment_available"})

#: How a job of a gateway behind this one can have failed, and whether it may be asked for again.
_JOB_FAILURES: Mapping[str, tuple[str, Again]] = {
    "content_policy_violation": ("content_policy_violation", Again.NEVER),
    "invalid_image": ("invalid_image", Again.NEVER),
    "provider_rejected": ("provider_rejected", Again.NEVER),
    "provider_failed": ("provider_failed", Again.ONCE),
    "provider_cancelled": ("provider_cancelled", Again.NEVER),
    "provider_empty_output": ("provider_empty_output", Again.NEVER),
    "job_timeout": ("provider_failed", Again.ELSEWHERE),
    "job_cancelled": ("provider_cancelled", Again.NEVER),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: Any
    """The parsed JSON, or None where it is none."""

    @property
    def error(self) -> dict[str, Any]:
        """The error object, empty where there is none."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return error if isinstance(error, dict) else {}

    @property
    def cost_microusd(self) -> int | None:
        """What a gateway says it cost; None where nobody says it."""
        told = self.headers.get("x-litellm-response-cost", "")
        try:
            cost = Decimal(told)
        except InvalidOperation:
            return None
        return (
            int(cost * 1_000_000 + Decimal("0.5")) if cost.is_finite() and 0 <= cost < 1e6 else None
        )


class OpenAI:
    """A deployment of `/images/generations`. Cheap to make; holds no connection of its own."""

    def __init__(
        self,
        deployment: Deployment,
        *,
        session: aiohttp.ClientSession,
        instruments: Instruments,
        note: Note,
        open_asset: OpenAsset | None = None,
    ) -> None:
        del note, open_asset  # there is no task to tell of, and no file goes along
        self._deployment = deployment
        self._session = session
        self._instruments = instruments
        self._model = OpenAIModel(deployment)
        self._headers = {
            "User-Agent": "taxiway",
            **deployment.headers,
            "Content-Type": "application/json",
        }
        if deployment.api_key is not None:
            self._headers["Authorization"] = f"Bearer {deployment.api_key.reveal()}"

    def card(self) -> ModelCard:
        """Return what is known of the model: OpenAI's own have their sizes, of others nobody knows."""
        return self._model.card()

    def plan(self, request: GenerationRequest) -> Plan:
        """Return what the request comes to. Raises `BadRequestError` naming the field at fault."""
        return self._model.plan(request)

    async def prepare(self, request: GenerationRequest) -> GenerationRequest:
        """Return the request: it carries no files here."""
        return request

    async def submit(self, job: Job, attempt: Attempt) -> Made | Failed:
        """Ask for the attempt's images; see `protocols.Provider.submit` for what is raised when."""
        body = self._model.body(job.request, images=attempt.images)
        key = f"{job.id}-{attempt.index}"
        # A gateway stops with the job, and its answer comes before the connection is given up.
        left_s = min(SUBMIT_TIMEOUT_S, max(1.0, job.deadline_at - Clock().now()))
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        given_s = max(1.0, left_s - ANSWER_S)
        headers = {
            **self._headers,
            "Idempotency-Key": key,
            "x-litellm-timeout": f"{given_s:.3f}",
        }
        try:
            answer = await self._asked(orjson.dumps(body), headers=headers, timeout_s=left_s)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise SubmissionRefusedError(
                "The provider cannot be reached; nothing was bought.",
                code="no_deployment_available",
                refusal=Refusal.UNREACHABLE,
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SubmissionUnknownError from error
        if 200 <= answer.status < 300:
            return self._made(answer, key)
        late = loop.time() - began_s > given_s - 0.5
        return _ended_badly(answer, attempt, late=late)

    async def poll(self, job: Job, attempt: Attempt) -> Report:
        """Raise `UpstreamTaskGoneError`: there is nothing to look at."""
        raise UpstreamTaskGoneError

    async def cancel(self, attempt: Attempt) -> None:
        """Do nothing: whatever was bought has been made by now."""

    def download(self, url: str) -> AbstractAsyncContextManager[Download]:
        """Open an image at the address that the answer gave, without the key."""
        return download(
            url,
            session=self._session,
            verify_tls=self._deployment.verify_tls,
            instruments=self._instruments,
        )

    async def _asked(self, data: bytes, *, headers: Mapping[str, str], timeout_s: float) -> _Answer:
        loop = asyncio.get_running_loop()
        started_s, code = loop.time(), "error"
        try:
            async with self._session.post(
                f"{self._deployment.api_base}/images/generations",
                data=data if len(data) < LARGE_BYTES else BytesIO(data),
                headers=headers,
                ssl=self._deployment.verify_tls,
                allow_redirects=False,  # a redirect would carry the key to another host
                timeout=aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_TIMEOUT_S),
            ) as response:
                raw = bytearray()
                async for chunk in response.content.iter_any():
                    raw += chunk
                    if len(raw) > ANSWER_BYTES_MAX:
                        raise aiohttp.ClientPayloadError("The answer is too long.")
                code = str(response.status)
                return _Answer(status=response.status, headers=response.headers, body=_json(raw))
        finally:
            self._instruments.upstream("submit", code, loop.time() - started_s)

    # The answer

    def _made(self, answer: _Answer, key: str) -> Made:
        """Return what an answer holds. Raises `SubmissionUnknownError` for one that is none."""
        body = answer.body
        if not isinstance(body, dict) or not isinstance(body.get("data"), list):
            raise SubmissionUnknownError
        images = tuple(filter(None, map(self._handed, body["data"])))
        told = body.get("job_id") or answer.headers.get("x-request-id") or key
        price = self._deployment.price_of(len(images)) if images else None
        return Made(
            images=images,
            upstream_id=cut(str(told)),
            price_microusd=answer.cost_microusd if price is None else price,
            tokens=_tokens(body.get("usage")),
        )

    def _handed(self, image: object) -> Handed | None:
        if not isinstance(image, dict):
            return None
        revised, url, encoded = (image.get(k) for k in ("revised_prompt", "url", "b64_json"))
        revised = revised if isinstance(revised, str) else None
        if isinstance(url, str) and url.startswith("data:"):
            encoded, url = url.partition(",")[2], None
        if isinstance(encoded, str) and encoded:
            return Handed(content=_decoder(encoded), revised_prompt=revised)
        if isinstance(url, str) and url:
            return Handed(url=urljoin(self._deployment.api_base, url), revised_prompt=revised)
        return None


def _ended_badly(answer: _Answer, attempt: Attempt, *, late: bool) -> Failed:
    """Return what a bad answer says of a job behind it. Raises what one without a job means.

    `late`: it had all the time that this job has.
    """
    error, code = answer.error, str(answer.error.get("code"))
    if code in _JOB_FAILURES and (error.get("job_id") or "x-taxiway-job-id" in answer.headers):
        word, retry = _JOB_FAILURES[code]
        if code == "job_timeout" and late:
            word, retry = code, Again.NEVER
        specific = error.get("provider_specific_fields")
        failure = specific.get("failure_code") if isinstance(specific, dict) else None
        return Failed(
            attempt=attempt.index,
            error=JobError(
                code=word,
                message=cut(str(error.get("message"))),
                param=_param(error),
                failure_code=failure if isinstance(failure, str) else None,
            ),
            credits=None,
            price_microusd=answer.cost_microusd,
            retry=retry,
            upstream_id=cut(str(error.get("job_id") or answer.headers["x-taxiway-job-id"])),
        )
    raise _refused(answer)


def _refused(answer: _Answer) -> Exception:
    """Return what an answer without a job means: refused for certain, or outcome unknown."""
    status, code, kind = answer.status, answer.error.get("code"), answer.error.get("type")
    if code == "submission_unknown":
        return SubmissionUnknownError()
    if code in _MODERATED and status < 500:
        return _final(
            "content_policy_violation", "The request was refused by the provider's moderation."
        )
    if {code, kind} & _BROKE or status == 402:
        return _final("insufficient_credits", "The provider's account has nothing left to spend.")
    if code in _USELESS:
        return _final(str(code), "The gateway behind this one has nobody to make the image.")
    if status in (401, 403):
        return _final("provider_auth_failed", "The provider refused this service's account.")
    if status in (404, 405) or 300 <= status < 400:
        return _final(
            "no_deployment_available", "The provider's address has no such model or service."
        )
    if status == 429 or (status == 503 and answer.error):
        rate = status == 429
        return SubmissionRefusedError(
            "The provider takes no more requests for the moment.",
            code="provider_rate_limited" if rate else "no_deployment_available",
            refusal=Refusal.RATE_LIMITED if rate else Refusal.OVERLOADED,
            retry_after_s=retry_after_s(answer.headers, most_s=RETRY_AFTER_MAX_S),
        )
    if status in (400, 409, 413, 415, 422):
        message = answer.error.get("message") or f"it answered {status}"
        return _final(
            "provider_rejected",
            f"The provider refused the request: {cut(str(message))}",
            param=_param(answer.error),
        )
    return SubmissionUnknownError()


def _final(code: str, message: str, *, param: str | None = None) -> SubmissionRefusedError:
    return SubmissionRefusedError(message, code=code, refusal=Refusal.FINAL, param=param)


def _param(error: Mapping[str, Any]) -> str | None:
    param = error.get("param")
    return cut(param) if isinstance(param, str) and param else None


def _tokens(usage: object) -> Tokens | None:
    """Return what OpenAI's `usage` counts; None where it counts nothing."""
    if not isinstance(usage, dict):
        return None
    made: dict[str, int] = {}
    for side in ("input", "output"):
        details = usage.get(f"{side}_tokens_details")
        details = details if isinstance(details, dict) else {}
        total, text = _count(usage.get(f"{side}_tokens")), _count(details.get("text_tokens"))
        image = _count(details.get("image_tokens")) or max(
            0, total - text if side == "output" else 0
        )
        made |= {f"{side}_text": max(text, total - image), f"{side}_image": image}
    return Tokens(**made) if any(made.values()) else None


def _count(number: object) -> int:
    return number if isinstance(number, int) and 0 <= number < 1e12 else 0


def _decoder(encoded: str) -> Callable[[], AsyncIterator[bytes]]:
    async def decoded() -> AsyncIterator[bytes]:
        for start in range(0, len(encoded), PIECE_CHARS):
            try:
                yield a2b_base64(encoded[start : start + PIECE_CHARS])
            except Error as error:
                raise ProviderUnavailableError("The image is not base64.") from error
            await asyncio.sleep(0)

    return decoded


def _json(raw: bytearray) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
