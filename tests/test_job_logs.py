"""What a log says of a job: few lines, one of them with everything, and none with what was confided."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponseError, RequestInfo
from jsonschema import Draft202012Validator
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from taxiway.events import Event
from taxiway.facts import (
    CancelRequested,
    Delivered,
    Fact,
    Failed,
    Output,
    Refused,
    Seen,
    Stopped,
    SubmissionLost,
    Submitted,
    Submitting,
)
from taxiway.jobs import GenerationRequest, JobError, JobStatus, Part, Phase, Plan
from taxiway.logs import Logs
from taxiway.logs.fields import ALWAYS, CONTEXT, FIELDS
from taxiway.logs.names import EVENTS
from taxiway.logs.prompts import Prompts
from taxiway.settings import Deployment, Secret, Settings
from taxiway.transitions import accept, advance

pytestmark = pytest.mark.looptime(False)  # the log has a thread of its own

CANARY_PROMPT = "A canary in a coal mine, singing."
CANARY_KEY = "key_" + "c0ffee" * 21
MASTER_KEY = "a master key of no known form"

SETTINGS = Settings(
    master_key=Secret(MASTER_KEY),
    deployments=(
        Deployment(
            id="east",
            model_name="gen4",
            provider="runwayml",
            model="gen4_image",
            api_key=Secret(CANARY_KEY),
        ),
    ),
)
DEBUG = replace(SETTINGS, log_level="debug")

REQUEST = GenerationRequest(model="gen4", prompt=CANARY_PROMPT)
ONE = Plan(size="1920x1080", parts=(Part(images=1, credits=8),))
TWO = Plan(size="1920x1080", parts=(Part(images=1, credits=8), Part(images=1, credits=8)))
UNPRICED = Plan(size=None, parts=(Part(images=1, credits=None),))
OUTPUT = Output(url=f"https://cdn/1.png?_jwt={CANARY_KEY}", size=None, content_type="image/png")

SUBMITTING = Submitting(
    attempt=0, part=0, deployment="east", provider="runwayml", model="gen4_image"
)
SUBMITTED = Submitted(attempt=0, upstream_id="task-0", credits=7)
REFUSED = Refused(attempt=0)
DELIVERED = Delivered(attempt=0, outputs=(OUTPUT,), credits=8, polls=3)
LOST = SubmissionLost(
    attempt=0, error=JobError(code="submission_unknown", message="The answer was lost.")
)
CANCELLED = Stopped(
    status=JobStatus.CANCELLED, error=JobError(code="job_cancelled", message="Cancelled.")
)

SCHEMA = json.loads(Path(__file__).with_name("log_schema.json").read_text(encoding="utf-8"))
ROWS = {str(row.name): row for row in EVENTS}
SPELLED = {field.word: field.name for field in FIELDS}

Lines = list[dict[str, Any]]


def seen(phase: Phase, progress: float | None = None) -> Seen:
    return Seen(attempt=0, phase=phase, progress=progress)


def failed(code: str, *, again: bool = False, message: str = "It failed.") -> Failed:
    error = JobError(code=code, message=message, failure_code="THERE.WAS.A_REASON")
    return Failed(attempt=0, error=error, credits=0, failure=message, again=again, polls=2)


def told(*facts: Fact, plan: Plan = ONE) -> Iterator[Event]:
    """The events of a job accepted at 100: its acceptance, then one per second for each fact."""
    job = accept(
        REQUEST,
        plan,
        id="job_1",
        at=100.0,
        deadline_at=700.0,
        trace_id="0af7651916cd43dd8448eb211c80319c",
        request_id="req-1",
    )
    yield Event(job=job, at=100.0)
    for at, fact in enumerate(facts, start=101):
        before, job = job, advance(job, fact, at=at)
        yield Event(job=job, before=before, fact=fact, at=at)


def written(act: Callable[[Logs], None], settings: Settings = SETTINGS) -> Lines:
    """The lines that an action writes, each checked against the schema and its row of the table."""
    stream = io.BytesIO()
    with Logs(settings, stream=stream, version="1.2.3", instance="one", key=b"key") as logs:
        act(logs)
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    for line in lines:
        check(line)
    return lines


def check(line: dict[str, Any]) -> None:
    Draft202012Validator(SCHEMA).validate(line)
    row = ROWS[line["event"]]
    known = {SPELLED[word] for word in (*ALWAYS, *CONTEXT, *row.fields)}
    assert set(line) <= known
    assert line["level"] in {row.level, *row.also}


def of_job(*facts: Fact, plan: Plan = ONE, settings: Settings = SETTINGS) -> Lines:
    """The lines of a job's life."""

    def observe(logs: Logs) -> None:
        for event in told(*facts, plan=plan):
            logs.observe(event)

    return written(observe, settings)


def without(line: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in names}


def events(lines: Lines) -> list[tuple[str, str]]:
    return [(line["event"], line["level"]) for line in lines]


def test_a_job_that_completes() -> None:
    """Acceptance, submission, end: a line each, and the last one tells it all."""
    lines = of_job(
        SUBMITTING,
        REFUSED,
        SUBMITTING,
        SUBMITTED,
        seen(Phase.RUNNING, 0.2),
        seen(Phase.RUNNING, 0.6),
        DELIVERED,
    )

    assert events(lines) == [
        ("job.accepted", "info"),
        ("job.submitted", "info"),
        ("job.completed", "info"),
    ]
    assert without(lines[-1], "timestamp") == {
        "level": "info",
        "event": "job.completed",
        "service.name": "taxiway",
        "service.version": "1.2.3",
        "service.instance.id": "one",
        "job_id": "job_1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "request_id": "req-1",
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "runwayml",
        "gen_ai.request.model": "gen4",
        "revision": 7,
        "size": "1920x1080",
        "n": 1,
        "references": 0,
        "prompt_chars": 33,
        "prompt_hmac": lines[0]["prompt_hmac"],
        "deployment": "east",
        "provider_task_id": "task-0",
        "duration_s": 7.0,
        "queued_s": 2.0,
        "submitting_s": 2.0,
        "provider_queue_s": 1.0,
        "running_s": 2.0,
        "images": 1,
        "attempts": 1,
        "refusals": 1,
        "polls": 3,
        "credits": 8,
        "cost_usd": 0.08,
        "cost_final": True,
    }


def test_what_is_said_at_acceptance_and_submission() -> None:
    """The estimate is called one, and the wait is told when the provider takes the task."""
    accepted, submitted = of_job(SUBMITTING, SUBMITTED)

    assert (accepted["credits"], accepted["cost_usd"], accepted["cost_final"]) == (8, 0.08, False)
    assert (submitted["attempt"], submitted["provider_task_id"]) == (0, "task-0")
    assert (submitted["wait_s"], submitted["credits"], submitted["cost_final"]) == (2.0, 7, False)


@pytest.mark.parametrize(
    ("fact", "event", "level", "error_type"),
    [
        pytest.param(
            failed("provider_failed"), "job.failed", "warning", "upstream_error", id="the vendor's"
        ),
        pytest.param(
            failed("insufficient_credits"),
            "job.failed",
            "warning",
            "insufficient_credits",
            id="the operator's",
        ),
        pytest.param(
            failed("content_policy_violation"),
            "job.failed",
            "info",
            "moderation_input",
            id="the caller's prompt",
        ),
        pytest.param(
            failed("invalid_image"), "job.failed", "info", "asset", id="the caller's image"
        ),
        pytest.param(CANCELLED, "job.cancelled", "info", "cancelled", id="the caller's wish"),
    ],
)
def test_the_level_of_an_end(fact: Fact, event: str, level: str, error_type: str) -> None:
    """A failure of the provider, the operator or ours is a warning; what the caller brought about is not."""
    *_, last = of_job(SUBMITTING, SUBMITTED, fact)

    assert (last["event"], last["level"], last["error.type"]) == (event, level, error_type)


def test_a_failed_job_says_why() -> None:
    """The caller's code, the provider's code and the provider's own words are on the line."""
    *_, last = of_job(SUBMITTING, SUBMITTED, failed("provider_failed"))
    why = ("error.code", "error.message", "failure_code", "provider_message", "cost_final")

    assert [last[name] for name in why] == [
        "provider_failed",
        "It failed.",
        "THERE.WAS.A_REASON",
        "It failed.",
        True,
    ]


def test_a_lost_submission_is_an_error() -> None:
    """Perhaps money is gone: that is an error by itself, before the one line of the job."""
    lines = of_job(SUBMITTING, LOST)

    assert events(lines)[1:] == [("job.submission_unknown", "error"), ("job.failed", "warning")]
    assert (lines[1]["deployment"], lines[1]["cost_usd"]) == ("east", 0.08)


def test_a_stop_that_meets_a_submission() -> None:
    """A job stopped between a submission and its answer leaves the same doubt, and the same error."""
    lines = of_job(SUBMITTING, CANCELLED)

    assert events(lines)[1:] == [("job.submission_unknown", "error"), ("job.cancelled", "info")]
    assert lines[1]["error.type"] == "submission_unknown"


def test_a_lost_submission_beside_another() -> None:
    """Where one task of two is in doubt, the error is written at once and the job goes on."""
    lines = of_job(SUBMITTING, LOST, plan=TWO, settings=DEBUG)

    assert events(lines)[2:] == [("job.submission_unknown", "error")]


def test_an_unknown_price_is_absent() -> None:
    """What nobody can price has no cost on its lines, rather than a cost of zero."""
    accepted, *_ = of_job(plan=UNPRICED)

    assert {"credits", "cost_usd"} & set(accepted) == set()


def test_a_failed_attempt_of_a_job_that_goes_on() -> None:
    """An attempt that failed and is followed by another has a line; the job's own comes at its end."""
    lines = of_job(SUBMITTING, SUBMITTED, failed("provider_failed", again=True))

    assert events(lines)[2:] == [("job.attempt_failed", "warning")]
    assert lines[2]["retried"] is True


def test_throttling_is_said_once() -> None:
    """Being held back is worth one line per job, however often it happens."""
    throttled, running = seen(Phase.THROTTLED), seen(Phase.RUNNING, 0.5)
    lines = of_job(SUBMITTING, SUBMITTED, throttled, throttled, running, throttled)

    assert events(lines)[2:] == [("job.throttled", "info")]


def test_progress_is_for_debugging() -> None:
    """At debug every step and tick has a line, at info none."""
    lines = of_job(
        SUBMITTING, SUBMITTED, seen(Phase.RUNNING, 0.2), seen(Phase.RUNNING, 0.6), settings=DEBUG
    )
    progressed = [line for line in lines if line["event"] == "job.progressed"]

    assert [(line["phase"], line["progress"]) for line in progressed] == [
        ("submitting", 0),
        ("running", 20),
        ("running", 60),
    ]


def test_every_fact_fits_the_table() -> None:
    """Whatever happens to a job, its lines keep to the schema, and it has one line of its end."""
    lives: list[tuple[Fact, ...]] = [
        (SUBMITTING, REFUSED, CancelRequested(), CANCELLED),
        (SUBMITTING, SUBMITTED, CancelRequested(), DELIVERED),
        (SUBMITTING, Refused(attempt=0, error=JobError(code="provider_rejected", message="No."))),
        (CANCELLED,),
    ]
    for life in lives:
        lines = of_job(*life, settings=DEBUG)
        ends = [
            line
            for line in lines
            if line["event"] in {"job.completed", "job.failed", "job.cancelled"}
        ]

        assert ends == lines[-1:]


# What was confided


def test_neither_prompt_nor_keys_are_written() -> None:
    """No line holds the prompt or a key, also where the provider quotes them and where a traceback passes."""
    quoting = f"Bad prompt: {CANARY_PROMPT} (key {CANARY_KEY}, {MASTER_KEY})"

    def act(logs: Logs) -> None:
        for fact in (failed("provider_failed", message=quoting), DELIVERED, LOST):
            for event in told(SUBMITTING, SUBMITTED, fact):
                logs.observe(event)
        try:
            secret_local = CANARY_KEY  # noqa: F841 - what must not be shown
            raise refused_by(CANARY_KEY)
        except ClientResponseError as error:
            logs.note("job.broken", job_id="job_1", exc_info=True)
            logs.note("store.failed", error=error)
        logs.access("GET", route="other", path=f"/{CANARY_KEY}", code=404, duration_s=0.1)

    lines = written(act, DEBUG)
    text = orjson.dumps(lines).decode()

    assert len(lines) > 10
    assert [word for word in (CANARY_PROMPT, CANARY_KEY, MASTER_KEY) if word in text] == []


def refused_by(key: str) -> ClientResponseError:
    """aiohttp's own error for a 401, which carries the request's headers."""
    headers = CIMultiDictProxy(CIMultiDict({"Authorization": f"Bearer {key}"}))
    url = URL(f"https://api.example/v1?_jwt={key}")
    return ClientResponseError(
        RequestInfo(url, "GET", headers, url), (), status=401, message="Unauthorized"
    )


def test_equal_prompts_are_recognised_without_being_known() -> None:
    """The digest is the same for the same prompt and installation, and another with another secret."""

    def digest(key: bytes | None) -> str:
        stream = io.BytesIO()
        with Logs(SETTINGS, stream=stream, version="1", key=key) as logs:
            logs.observe(next(told()))
        return str(orjson.loads(stream.getvalue())["prompt_hmac"])

    assert digest(b"one") == digest(b"one")
    assert len({digest(b"one"), digest(b"other"), digest(None), digest(None)}) == 4


def test_a_short_prompt_is_no_reason_to_spoil_a_sentence() -> None:
    """A prompt of a few letters is found in innocent words, so it is not taken out of others' texts."""
    prompts = Prompts(None, shown=False)

    assert prompts.without("cat", "The category is wrong.") == "The category is wrong."
    assert prompts.without("a lighthouse", "No a lighthouse here.") == "No [prompt] here."


def test_prompts_are_shown_to_who_insists() -> None:
    """With `log_prompts` the prompt is on the line, and a warning says so at the start."""
    warning, accepted, *_ = of_job(SUBMITTING, settings=replace(SETTINGS, log_prompts=True))

    assert (warning["event"], warning["level"]) == ("prompts.logged", "warning")
    assert accepted["prompt"] == CANARY_PROMPT
