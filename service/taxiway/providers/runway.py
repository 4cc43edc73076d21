"""RunwayML over HTTP: submit, poll, cancel, download. Every call goes to the deployment's own base URL.

Vendor facts: developer API version 2024-11-06, as published in August 2026.
"""

import asyncio
import math
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from taxiway.artifacts import OpenAsset
from taxiway.errors import (
    ProviderUnavailableError,
    Refusal,
    SubmissionRefusedError,
    SubmissionUnknownError,
    UpstreamTaskGoneError,
    cut,
)
from taxiway.facts import Delivered, Failed, Output, Report, Seen, Submitted
from taxiway.jobs import Attempt, GenerationRequest, Job, JobError, Phase, Plan
from taxiway.protocols import Download, Instruments, ModelCard, Note
from taxiway.providers.calls import Calls
from taxiway.providers.downloads import download
from taxiway.providers.lines import Reply
from taxiway.providers.pauses import retry_after_s
from taxiway.providers.runway_failures import failed, refused
from taxiway.providers.runway_requests import RunwayModel
from taxiway.providers.runway_uploads import (
    Placeholder,
    RunwayUploads,
    in_form,
    placeholder,
)
from taxiway.settings import Deployment

#: Runway fetches reference images before it answers (up to 10 s each), so a create may take a while.
SUBMIT_TIMEOUT_S = 60.0
POLL_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 10.0

_SUBMIT_LIMIT = aiohttp.ClientTimeout(total=SUBMIT_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
_POLL_LIMIT = aiohttp.ClientTimeout(total=POLL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)

#: The longest wait that a `Retry-After` of Runway is followed for, as in its own SDKs.
RETRY_AFTER_MAX_S = 60.0

#: A body of this length carries images.
LARGE_BYTES = 65_536

#: How long polls pause after a 429 that names no time.
QUIET_DEFAULT_S = 2.0

#: An id that may stand in a path as it is: looks are many, and most ids need no quoting.
_PLAIN = re.compile(r"[0-9A-Za-z_-]+")

_PHASES: Mapping[str, tuple[Phase, str]] = {
    "PENDING": (Phase.PROVIDER_QUEUE, "pending"),
    "THROTTLED": (Phase.THROTTLED, "throttled"),
    "RUNNING": (Phase.RUNNING, "running"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    reply: Reply
    body: Any
    """The parsed JSON, or None where it is none."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.reply.status


class Runway:
    """A deployment of RunwayML. Cheap to make; holds no connection of its own."""

    def __init__(
        self,
        deployment: Deployment,
        *,
        session: aiohttp.ClientSession,
        instruments: Instruments,
        note: Note,
        open_asset: OpenAsset | None = None,
    ) -> None:
        self._deployment = deployment
        self._model = RunwayModel(deployment)
        self._session = session
        self._instruments = instruments
        self._note = note
        self._quiet_until_s = 0.0
        self._noted: set[str] = set()
        self._headers = {
            "User-Agent": "taxiway",
            **deployment.headers,
            "X-Runway-Version": deployment.api_version,
        }
        if deployment.api_key is not None:
            self._headers["Authorization"] = f"Bearer {deployment.api_key.reveal()}"
        self._calls = Calls(
            session,
            deployment.api_base,
            headers=self._headers,
            verify_tls=deployment.verify_tls,
        )
        self._uploads = RunwayUploads(
            session=session,
            verify_tls=deployment.verify_tls,
            ask=self._placeholder,
            open_asset=open_asset,
            instruments=instruments,
        )

    def card(self) -> ModelCard:
        """Return what a caller may want to know of the model before asking."""
        return self._model.card()

    def plan(self, request: GenerationRequest) -> Plan:
        """Return what the request comes to. Raises `BadRequestError` naming the field at fault."""
        return self._model.plan(request)

    async def prepare(self, request: GenerationRequest) -> GenerationRequest:
        """Return the request with every file in a form that Runway takes. Raises `SubmissionRefusedError`."""
        return request if in_form(request) else await self._uploads.prepared(request)

    async def submit(self, job: Job, attempt: Attempt) -> Submitted:
        """Create the attempt's Runway task; see `protocols.Provider.submit` for what is raised when."""
        body = orjson.dumps(self._model.body(job.request, images=attempt.images))
        try:
            answer = await self._call(
                "submit", "POST", self._model.endpoint, limit=_SUBMIT_LIMIT, data=body
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise SubmissionRefusedError(
                "The provider cannot be reached; nothing was bought.",
                code="no_deployment_available",
                refusal=Refusal.UNREACHABLE,
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SubmissionUnknownError from error
        if 200 <= answer.status < 300:
            return self._submitted(answer, attempt)
        raise refused(answer.status, answer.body, wait_s=_wait_s(answer))

    async def poll(self, job: Job, attempt: Attempt) -> Report:
        """Read the attempt's Runway task once; see `protocols.Provider.poll` for what is raised when."""
        if self._quiet_until_s:
            await self._quiet()
        try:
            task = self._task(await self._look(attempt))
        except (ProviderUnavailableError, UpstreamTaskGoneError):
            self._instruments.poll("error")
            raise
        return self._report(task, job, attempt)

    async def cancel(self, attempt: Attempt) -> None:
        """Cancel the attempt's Runway task, or delete it if it has ended. Gone already counts as done."""
        try:
            answer = await self._call("cancel", "DELETE", _task_path(attempt), limit=_POLL_LIMIT)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unanswered(error) from error
        if answer.status not in (200, 204, 404):
            raise ProviderUnavailableError(f"Runway answered {answer.status} to a cancellation.")

    def download(self, url: str) -> AbstractAsyncContextManager[Download]:
        """Open an output. The key stays at home: outputs are signed addresses on another host."""
        return download(
            url,
            session=self._session,
            verify_tls=self._deployment.verify_tls,
            instruments=self._instruments,
        )

    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        limit: aiohttp.ClientTimeout,
        data: bytes | None = None,
    ) -> _Answer:
        loop = asyncio.get_running_loop()
        started_s, code = loop.time(), "error"
        try:
            if data is None or len(data) < LARGE_BYTES:
                reply = await self._calls.call(method, path, limit=limit, data=data)
            else:
                reply = await self._streamed(method, path, limit=limit, data=data)
            code = str(reply.status)
            return _Answer(reply=reply, body=_json(reply.body))
        finally:
            self._instruments.upstream(operation, code, loop.time() - started_s)

    async def _streamed(
        self, method: str, path: str, *, limit: aiohttp.ClientTimeout, data: bytes
    ) -> Reply:
        """Send a body so large that writing it in one go would hold the loop."""
        async with self._session.request(
            method,
            URL(self._deployment.api_base + path),
            data=BytesIO(data),
            headers={**self._headers, "Content-Type": "application/json"},
            ssl=self._deployment.verify_tls,
            allow_redirects=False,  # a redirect would carry the key to another host
            timeout=limit,
        ) as response:
            return Reply(
                status=response.status,
                fields=list(response.raw_headers),
                body=await response.read(),
            )

    async def _look(self, attempt: Attempt) -> _Answer:
        try:
            return await self._call("poll", "GET", _task_path(attempt), limit=_POLL_LIMIT)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unanswered(error) from error

    async def _placeholder(self, body: bytes) -> Placeholder:
        """Ask where a file may be posted. Nothing is bought by it, whatever comes of it."""
        try:
            answer = await self._call("upload", "POST", "/v1/uploads", limit=_POLL_LIMIT, data=body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SubmissionRefusedError(
                "The provider cannot be reached; nothing was bought.",
                code="no_deployment_available",
                refusal=Refusal.UNREACHABLE,
            ) from error
        return placeholder(answer.status, answer.body, wait_s=_wait_s(answer))

    def _submitted(self, answer: _Answer, attempt: Attempt) -> Submitted:
        task_id = answer.body.get("id") if isinstance(answer.body, dict) else None
        if not isinstance(task_id, str) or not task_id:
            raise SubmissionUnknownError
        return Submitted(
            attempt=attempt.index,
            upstream_id=task_id,
            credits=_credits(answer.body.get("estimatedCost")),
        )

    def _task(self, answer: _Answer) -> dict[str, Any]:
        """Return the task that a poll's answer holds."""
        body = answer.body
        if answer.status == 404 and isinstance(body, dict) and "error" in body:
            raise UpstreamTaskGoneError
        if answer.status in (401, 403):
            self._note_once("upstream.auth_refused", f"auth {answer.status}", code=answer.status)
        elif answer.status == 200:
            self._noted.discard("auth 401")
            self._noted.discard("auth 403")
        if (
            answer.status != 200
            or not isinstance(body, dict)
            or not isinstance(body.get("status"), str)
        ):
            wait_s = _wait_s(answer)
            if answer.status == 429:
                # One key's limit is every task's limit: all polls of this deployment pause.
                pause_s = wait_s or QUIET_DEFAULT_S
                self._quiet_until_s = asyncio.get_running_loop().time() + pause_s
            raise ProviderUnavailableError(
                f"Runway answered {answer.status} without a task.", retry_after_s=wait_s
            )
        return body

    async def _quiet(self) -> None:
        remaining_s = self._quiet_until_s - asyncio.get_running_loop().time()
        if remaining_s > 0:
            await asyncio.sleep(remaining_s)
        else:
            self._quiet_until_s = 0.0

    def _report(self, task: dict[str, Any], job: Job, attempt: Attempt) -> Report:
        status = task["status"]
        if status in _PHASES:
            phase, result = _PHASES[status]
            self._instruments.poll(result)
            return Seen(attempt=attempt.index, phase=phase, progress=_progress(task))
        match status:
            case "SUCCEEDED":
                report: Report = self._delivered(task, job, attempt)
            case "FAILED":
                report = failed(task, attempt=attempt.index, credits=_credits(task.get("cost")))
            case "CANCELLED":
                report = Failed(
                    attempt=attempt.index,
                    error=_CANCELLED_THERE,
                    credits=_credits(task.get("cost")),
                )
            case _:
                # The vendor may add a word at any time; a task that is not known to have ended goes on.
                self._instruments.poll("unknown")
                self._note_once(
                    "upstream.status_unknown", f"status {cut(status)}", status=cut(status)
                )
                return Seen(attempt=attempt.index, phase=attempt.phase, progress=_progress(task))
        self._instruments.poll("final")
        return report

    def _delivered(self, task: dict[str, Any], job: Job, attempt: Attempt) -> Delivered | Failed:
        cost = _credits(task.get("cost"))
        urls = task.get("output")
        urls = (
            [url for url in urls if isinstance(url, str) and url] if isinstance(urls, list) else []
        )
        if not urls:
            return Failed(attempt=attempt.index, error=_EMPTY, credits=cost)
        content_type = self._model.content_type(job.request)
        return Delivered(
            attempt=attempt.index,
            credits=cost,
            price_microusd=self._deployment.price_of(len(urls)),
            outputs=tuple(Output(url=url, size=None, content_type=content_type) for url in urls),
        )

    def _note_once(self, name: str, key: str, **fields: object) -> None:
        if key not in self._noted:
            self._noted.add(key)
            self._note(name, deployment=self._deployment.id, **fields)


def _task_path(attempt: Attempt) -> str:
    task_id = attempt.upstream_id or ""
    # What comes from outside must not lead elsewhere.
    return f"/v1/tasks/{task_id if _PLAIN.fullmatch(task_id) else quote(task_id, safe='')}"


def _unanswered(error: Exception) -> ProviderUnavailableError:
    return ProviderUnavailableError(cut(f"Runway did not answer: {error}"))


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _progress(task: dict[str, Any]) -> float | None:
    progress = task.get("progress")
    return (
        float(progress) if isinstance(progress, int | float) and math.isfinite(progress) else None
    )


def _credits(cost: object) -> int | None:
    """Return whole credits of a cost object, a fraction rounded up; None where there is no number."""
    number = cost.get("credits") if isinstance(cost, dict) else None
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < 1e9:
        return None
    return math.ceil(number)


def _wait_s(answer: _Answer) -> float | None:
    return retry_after_s(answer.reply.headers, most_s=RETRY_AFTER_MAX_S)


_EMPTY = JobError(
    code="provider_empty_output", message="The provider reported success, but gave no image."
)
_CANCELLED_THERE = JobError(
    code="provider_cancelled", message="The task was cancelled at the provider."
)
