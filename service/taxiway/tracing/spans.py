"""An ended job as spans: one for the job, and below it one for each task that was bought.

A job may outlive its process, and a library forgets spans that never end. So nothing is begun here when a job
begins: at its end the spans are made from what is recorded, with the times at which things happened. Polls are a
number on a span, since one each would be hundreds. The prompt is nowhere.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Self
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from taxiway import outcomes
from taxiway.errors import Reason
from taxiway.events import Event
from taxiway.jobs import Attempt, AttemptStatus, CreditsSource, Job, JobStatus
from taxiway.settings import Deployment
from taxiway.tracing import names

#: How long leaving waits for the collector. Traces are worth that much of a shutdown, and no more.
CLOSE_S = 1.0

Attributes = dict[str, AttributeValue]

#: Returns a deployment by its id, perhaps one that is gone; None where nobody remembers it.
FindDeployment = Callable[[str], Deployment | None]


class Tracing:
    """Makes the spans of ended jobs, and hands them to a processor. Nothing of it is global."""

    def __init__(
        self, processor: SpanProcessor, *, deployment: FindDeployment, version: str
    ) -> None:
        self._deployment = deployment
        self._ids = _TraceIds()
        ours = Resource({"service.name": "taxiway", "service.version": version})
        self._provider = TracerProvider(
            resource=ours.merge(OTELResourceDetector().detect()),  # what the environment says wins
            id_generator=self._ids,
            shutdown_on_exit=False,  # it would wait for half a minute
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("taxiway", version)

    @classmethod
    def over_http(cls, *, deployment: FindDeployment, version: str) -> Self:
        """Return one that sends to the collector that OpenTelemetry's variables name, from a thread of its own."""
        exporter = BatchSpanProcessor(OTLPSpanExporter())
        return cls(exporter, deployment=deployment, version=version)

    def observe(self, event: Event) -> None:
        """Make the spans of a job that this event has ended: the observer to give to the journal."""
        if event.job.final and not event.tick:
            self._trace(event.job)

    async def close(self) -> None:
        """Send what waits, for `CLOSE_S` at most."""
        loop, sent = asyncio.get_running_loop(), asyncio.Event()

        def send() -> None:
            self._provider.shutdown()
            if not loop.is_closed():
                loop.call_soon_threadsafe(sent.set)

        # A daemon: a collector that does not answer must not keep the process from ending.
        threading.Thread(target=send, name="traces", daemon=True).start()
        try:
            async with asyncio.timeout(CLOSE_S):
                await sent.wait()
        except TimeoutError:
            return

    def _trace(self, job: Job) -> None:
        # Jobs of an earlier release know their trace, and not the span in it; none is made up.
        orphaned = job.trace_id is not None and job.parent_span_id is None
        self._ids.next_trace = int(job.trace_id or "0", 16) if orphaned else 0
        span = self._tracer.start_span(
            f"{names.GENERATE_CONTENT} {job.request.model}",
            context=_parent(job),
            kind=SpanKind.CLIENT,
            attributes=self._about_job(job),
            start_time=_ns(job.created_at),
        )
        _tell_phases(span, job)
        _tell_failure(span, job)
        context = set_span_in_context(span)
        for attempt in job.attempts:
            if attempt.submitted_at is None:
                continue  # nothing was bought, or nobody knows; the job's span says so
            task = self._tracer.start_span(
                f"task {attempt.model}",
                context=context,
                attributes=self._about_attempt(attempt),
                start_time=_ns(attempt.submitted_at),
            )
            if attempt.status is not AttemptStatus.COMPLETED:
                task.set_status(StatusCode.ERROR)
            task.end(_ns(attempt.finished_at or _end(job)))
        span.end(_ns(_end(job)))

    def _about_job(self, job: Job) -> Attributes:
        request, last = job.request, job.attempts[-1] if job.attempts else None
        attributes: Attributes = {
            names.OPERATION_NAME: names.GENERATE_CONTENT,
            names.OUTPUT_TYPE: names.IMAGE,
            names.REQUEST_MODEL: request.model,
            names.FINISH_REASONS: (_finish(job),),
            names.JOB_ID: job.id,
            names.JOB_STATUS: str(job.status),
            names.ATTEMPTS: len(job.attempts),
            names.REFUSALS: outcomes.refusals(job),
            names.POLLS: outcomes.polls(job),
            **dict(_phase_times(job)),
            **_cost(job, final=job.cost_final),
        }
        if last is not None:
            attributes |= self._about_task(last)
        if request.n != 1:
            attributes[names.REQUEST_CHOICES] = request.n
        if request.seed is not None:
            attributes[names.REQUEST_SEED] = request.seed
        if job.request_id is not None:
            attributes[names.REQUEST_ID] = job.request_id
        return attributes

    def _about_attempt(self, attempt: Attempt) -> Attributes:
        charged = attempt.credits_source is CreditsSource.CHARGED
        attributes = self._about_task(attempt) | {
            names.ATTEMPT: attempt.index,
            names.REFUSALS: attempt.refusals,
            names.POLLS: attempt.polls,
            **_cost(attempt, final=charged),
        }
        if attempt.status is not AttemptStatus.COMPLETED:
            attributes[names.ERROR_TYPE] = str(outcomes.attempt_reason(attempt))
        return attributes

    def _about_task(self, attempt: Attempt) -> Attributes:
        attributes: Attributes = {
            names.PROVIDER_NAME: attempt.provider,
            names.RESPONSE_MODEL: attempt.model,
            names.DEPLOYMENT: attempt.deployment,
            **_host(self._deployment(attempt.deployment)),
        }
        if attempt.upstream_id is not None:
            attributes[names.RESPONSE_ID] = attempt.upstream_id
        return attributes


def _parent(job: Job) -> Context:
    """Return a context with the caller's span, where it is known, and never with one of this process."""
    if job.trace_id is None or job.parent_span_id is None:
        return Context()
    span = SpanContext(
        trace_id=int(job.trace_id, 16),
        span_id=int(job.parent_span_id, 16),
        is_remote=True,
        # A caller who does not record this trace has no use for our part of it.
        trace_flags=TraceFlags(int(job.trace_flags or "01", 16)),
    )
    return set_span_in_context(NonRecordingSpan(span), Context())


class _TraceIds(RandomIdGenerator):
    """Gives the next trace the id of the caller's; a random one where `next_trace` is 0."""

    def __init__(self) -> None:
        self.next_trace = 0

    def generate_trace_id(self) -> int:
        """Return the caller's trace id, once, else a random one."""
        given, self.next_trace = self.next_trace, 0
        return given or super().generate_trace_id()


def _tell_phases(span: Span, job: Job) -> None:
    for moment in job.timeline:
        if moment.phase is not None:
            span.add_event(f"job.{moment.phase}", timestamp=_ns(moment.at))


def _tell_failure(span: Span, job: Job) -> None:
    if job.status is JobStatus.FAILED:
        span.set_attribute(names.ERROR_TYPE, str(outcomes.reason(job)))
        # Without a description: a provider's sentence may quote the prompt.
        span.set_status(StatusCode.ERROR)


def _phase_times(job: Job) -> Iterator[tuple[str, float]]:
    for phase, spent_s in outcomes.phase_times_s(job).items():
        yield f"{names.PHASE_TIME}{phase}_s", spent_s


def _cost(paid: Job | Attempt, *, final: bool) -> Attributes:
    if paid.microusd is None:
        return {}
    cost: Attributes = {names.COST_USD: paid.microusd / 1_000_000, names.COST_FINAL: final}
    return cost if paid.credits is None else {names.CREDITS: paid.credits, **cost}


def _finish(job: Job) -> str:
    if job.status is JobStatus.COMPLETED:
        return "stop"
    reason = outcomes.reason(job)
    moderated = reason in (Reason.MODERATION_INPUT, Reason.MODERATION_OUTPUT)
    return "content_filter" if moderated else str(reason)


def _end(job: Job) -> float:
    return max(job.created_at, job.finished_at or job.created_at)


def _host(deployment: Deployment | None) -> Attributes:
    if deployment is None:
        return {}
    parts = urlsplit(deployment.api_base)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 443)
    return {names.SERVER_ADDRESS: parts.hostname or "", names.SERVER_PORT: port}


def _ns(at: float) -> int:
    return int(at * 1_000_000_000)
