"""Traces: what a collector is told of an ended job."""

from dataclasses import replace

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tests.tracing.spans import (
    DEPLOYMENTS,
    REQUEST,
    RUNNING,
    SPAN,
    TRACE,
    TWO,
    attributes,
    delivered,
    failed,
    job_span,
    submitted,
    submitting,
    times,
    traced,
)

from taxiway.facts import (
    Fact,
    Stopped,
    SubmissionLost,
)
from taxiway.jobs import JobError, JobStatus
from taxiway.tracing.spans import Tracing


def test_a_completed_job_is_a_span_with_its_task_below(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    """The job's span lasts from acceptance to end, the task's from its purchase; both say what they know."""
    traced(tracing, submitting(), submitted(), RUNNING, delivered())
    task, job = exporter.get_finished_spans()

    assert (job.name, job.kind, times(job)) == (
        "generate_content gen4",
        SpanKind.CLIENT,
        (100.0, 104.0),
    )
    assert attributes(job) == {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.output.type": "image",
        "gen_ai.provider.name": "runwayml",
        "gen_ai.request.model": "gen4",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.id": "task-0",
        "gen_ai.response.model": "gen4_image",
        "server.address": "runway.example",
        "server.port": 9000,
        "taxiway.attempts": 1,
        "taxiway.cost.credits": 8,
        "taxiway.cost.final": True,
        "taxiway.cost.usd": 0.08,
        "taxiway.deployment": "east",
        "taxiway.job.id": "job_1",
        "taxiway.job.status": "completed",
        "taxiway.phase.provider_queue_s": 1.0,
        "taxiway.phase.queued_s": 1.0,
        "taxiway.phase.running_s": 1.0,
        "taxiway.phase.submitting_s": 1.0,
        "taxiway.polls": 3,
        "taxiway.refusals": 0,
    }
    assert (task.name, times(task)) == ("task gen4_image", (102.0, 104.0))
    assert attributes(task) == {
        "gen_ai.provider.name": "runwayml",
        "gen_ai.response.id": "task-0",
        "gen_ai.response.model": "gen4_image",
        "server.address": "runway.example",
        "server.port": 9000,
        "taxiway.attempt": 0,
        "taxiway.cost.credits": 8,
        "taxiway.cost.final": True,
        "taxiway.cost.usd": 0.08,
        "taxiway.deployment": "east",
        "taxiway.polls": 3,
        "taxiway.refusals": 0,
    }


def test_a_job_is_in_the_trace_of_its_caller(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    """The span bears the trace id that was stored with the job, whichever process ends it, and so do its tasks."""
    traced(tracing, submitting(), submitted(), delivered())
    task, job = exporter.get_finished_spans()

    assert (job.context.trace_id, task.context.trace_id) == (int(TRACE, 16), int(TRACE, 16))
    assert task.parent is not None
    assert task.parent.span_id == job.context.span_id


def test_a_job_hangs_below_the_span_of_its_caller(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    """Where the caller's span is known, it is the parent of the job's; the next job is none of its business."""
    bought = (submitting(), submitted(), delivered())
    traced(tracing, *bought, parent_span_id=SPAN, trace_flags="01")
    traced(tracing, *bought, trace_id=None)
    task, job, _, other = exporter.get_finished_spans()

    assert job.parent is not None
    assert task.parent is not None
    assert (job.context.trace_id, job.parent.span_id) == (int(TRACE, 16), int(SPAN, 16))
    assert task.parent.span_id == job.context.span_id
    assert other.parent is None


def test_a_trace_that_its_caller_does_not_record_is_not_recorded_here(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    """The decision about a trace is made where it begins."""
    bought = (submitting(), submitted(), delivered())
    traced(tracing, *bought, parent_span_id=SPAN, trace_flags="00")

    assert exporter.get_finished_spans() == ()


def test_jobs_of_callers_without_a_trace_have_one_each(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    """A job whose caller is in no trace begins its own; the next one's is another."""
    for trace_id in (None, TRACE, None):
        traced(tracing, submitting(), submitted(), delivered(), trace_id=trace_id)
    traces = [s.context.trace_id for s in exporter.get_finished_spans() if s.parent is None]

    assert len(set(traces)) == 3
    assert traces[1] == int(TRACE, 16)


def test_nothing_is_told_before_the_end(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    """A job under way makes no span, and polls never do."""
    traced(tracing, submitting(), submitted(), RUNNING)
    under_way = exporter.get_finished_spans()
    ticks = [replace(RUNNING, progress=0.5 + n / 1000) for n in range(300)]
    traced(tracing, submitting(), submitted(), *ticks, delivered())

    assert under_way == ()
    assert len(exporter.get_finished_spans()) == 2


def test_the_phases_are_events_of_the_span(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    """A job's span shows when it entered each phase."""
    traced(tracing, submitting(), submitted(), RUNNING, delivered())
    events = [(event.name, event.timestamp / 1e9) for event in job_span(exporter).events]

    assert events == [
        ("job.queued", 100.0),
        ("job.submitting", 101.0),
        ("job.provider_queue", 102.0),
        ("job.running", 103.0),
    ]


@pytest.mark.parametrize(
    ("facts", "status", "error", "finish"),
    [
        pytest.param([delivered()], StatusCode.UNSET, None, "stop", id="completed"),
        pytest.param(
            [failed("content_policy_violation")],
            StatusCode.ERROR,
            "moderation_input",
            "content_filter",
            id="moderated",
        ),
        pytest.param(
            [failed("provider_failed")],
            StatusCode.ERROR,
            "upstream_error",
            "upstream_error",
            id="failed there",
        ),
        pytest.param(
            [
                Stopped(
                    status=JobStatus.CANCELLED,
                    error=JobError(code="job_cancelled", message="Cancelled."),
                )
            ],
            StatusCode.UNSET,
            None,
            "cancelled",
            id="cancelled",
        ),
    ],
)
def test_how_a_job_ended(
    tracing: Tracing,
    exporter: InMemorySpanExporter,
    facts: list[Fact],
    status: StatusCode,
    error: str | None,
    finish: str,
) -> None:
    """A failure is an error with its reason; a job that its caller stopped is none."""
    traced(tracing, submitting(), submitted(), *facts)
    span = job_span(exporter)

    assert span.status.status_code is status
    assert attributes(span).get("error.type") == error
    assert attributes(span)["gen_ai.response.finish_reasons"] == (finish,)


def test_each_task_that_was_bought_has_a_span(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    """Of two images one fails: the job is well, and the failed task says what it cost and why."""
    request = replace(REQUEST, n=2, seed=7)
    bought = (submitting(0), submitted(0), submitting(1), submitted(1))
    traced(
        tracing,
        *(*bought, failed("provider_failed", attempt=0), delivered(1)),
        request=request,
        plan=TWO,
    )
    first, second, job = exporter.get_finished_spans()
    asked = {k: v for k, v in attributes(job).items() if k.startswith("gen_ai.request")}

    assert (job.status.status_code, first.status.status_code, second.status.status_code) == (
        StatusCode.UNSET,
        StatusCode.ERROR,
        StatusCode.UNSET,
    )
    assert attributes(first)["error.type"] == "upstream_error"
    assert attributes(first)["taxiway.cost.credits"] == 8
    assert asked == {
        "gen_ai.request.model": "gen4",
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.seed": 7,
    }


def test_a_lost_submission_has_no_task(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    """Nobody knows of a task, so there is none to show; the job's span names the reason."""
    lost = SubmissionLost(attempt=0, error=JobError(code="submission_unknown", message="Lost."))
    traced(tracing, submitting(), lost)
    [span] = exporter.get_finished_spans()

    assert attributes(span)["error.type"] == "submission_unknown"


def test_the_prompt_is_nowhere(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    """Neither the prompt nor a provider's sentence that quotes it is in any span."""
    traced(tracing, submitting(), submitted(), failed("content_policy_violation"))

    assert exporter.get_finished_spans()
    assert all("canary" not in span.to_json() for span in exporter.get_finished_spans())


def test_the_service_is_named(
    tracing: Tracing, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service is called taxiway, unless OpenTelemetry's own variables call it otherwise."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "runway-east")
    other = Tracing(SimpleSpanProcessor(exporter), deployment=DEPLOYMENTS.get, version="1.2.3")
    for each in (tracing, other):
        traced(each, submitting(), submitted(), delivered())
    named = [s.resource.attributes for s in exporter.get_finished_spans() if s.parent is None]

    assert [(r["service.name"], r["service.version"]) for r in named] == [
        ("taxiway", "1.2.3"),
        ("runway-east", "1.2.3"),
    ]
