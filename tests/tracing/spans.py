"""Jobs that are traced, and the spans that become of them."""

from collections.abc import Mapping

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from taxiway.events import Event
from taxiway.facts import (
    Delivered,
    Fact,
    Failed,
    Output,
    Seen,
    Submitted,
    Submitting,
)
from taxiway.jobs import GenerationRequest, JobError, Part, Phase, Plan
from taxiway.settings import Deployment
from taxiway.tracing.spans import Tracing
from taxiway.transitions import accept, advance

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


SPAN = "00f067aa0ba902b7"


CANARY = "a canary on a mountain"


REQUEST = GenerationRequest(model="gen4", prompt=CANARY)


ONE = Plan(size="1920x1080", parts=(Part(images=1, credits=8),))


TWO = Plan(size="1920x1080", parts=(Part(images=1, credits=8), Part(images=1, credits=8)))


EAST = Deployment(
    id="east",
    model_name="gen4",
    provider="runwayml",
    model="gen4_image",
    api_base="http://runway.example:9000",
)


DEPLOYMENTS = {"east": EAST}


RUNNING = Seen(attempt=0, phase=Phase.RUNNING, progress=0.5)


def submitting(attempt: int = 0) -> Submitting:
    return Submitting(
        attempt=attempt, part=attempt, deployment="east", provider="runwayml", model="gen4_image"
    )


def submitted(attempt: int = 0) -> Submitted:
    return Submitted(attempt=attempt, upstream_id=f"task-{attempt}", credits=8)


def delivered(attempt: int = 0) -> Delivered:
    output = Output(url="https://cdn/1.png", size=None, content_type="image/png")
    return Delivered(attempt=attempt, outputs=(output,), credits=8, polls=3)


def failed(code: str, *, attempt: int = 0) -> Failed:
    error = JobError(code=code, message=f"Not {CANARY}.")
    return Failed(attempt=attempt, error=error, credits=8, polls=2, failure=f"No {CANARY}.")


def traced(
    tracing: Tracing,
    *facts: Fact,
    request: GenerationRequest = REQUEST,
    plan: Plan = ONE,
    trace_id: str | None = TRACE,
    parent_span_id: str | None = None,
    trace_flags: str | None = None,
) -> None:
    """Let a job be accepted at 100, and go through these facts, one per second."""
    job = accept(
        request,
        plan,
        id="job_1",
        at=100.0,
        deadline_at=700.0,
        trace_id=trace_id,
        parent_span_id=parent_span_id,
        trace_flags=trace_flags,
    )
    tracing.observe(Event(job=job, at=100.0))
    for at, fact in enumerate(facts, start=101):
        before, job = job, advance(job, fact, at=at)
        tracing.observe(Event(job=job, before=before, fact=fact, at=at))


def job_span(exporter: InMemorySpanExporter) -> ReadableSpan:
    """The one span without a parent."""
    [span] = [each for each in exporter.get_finished_spans() if each.parent is None]
    return span


def attributes(span: ReadableSpan) -> Mapping[str, object]:
    """A span's attributes."""
    return dict(span.attributes or {})


def times(span: ReadableSpan) -> tuple[float, float]:
    """When a span began and ended, in Unix seconds."""
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time / 1e9, span.end_time / 1e9
