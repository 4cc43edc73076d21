"""The numbers: what each event, call and stream changes in them, and what no caller can change."""

import asyncio
import random
import time
from collections.abc import Mapping

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

from taxiway.catalogue.models import models
from taxiway.events import Event
from taxiway.facts import Delivered, Fact, Output, Stopped, Submitted, Submitting
from taxiway.jobs import GenerationRequest, Job, JobError, JobStatus, Part, Phase, Plan
from taxiway.metrics import LOOP_PROBE_S, Metrics, watch_loop
from taxiway.metrics.table import TABLE, Kind
from taxiway.protocols import Instruments, Observer
from taxiway.transitions import accept, advance

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

PLAN = Plan(size="1920x1080", parts=(Part(images=1, credits=8),))
OUTPUT = Output(url="https://cdn/1.png", size=None, content_type="image/png")

#: From the acceptance of a job to its image.
LIFE = (
    Submitting(attempt=0, part=0, deployment="east", provider="runwayml", model="gen4_image"),
    Submitted(attempt=0, upstream_id="task", credits=8),
    Delivered(attempt=0, outputs=(OUTPUT,), credits=8, polls=3),
)

#: A job that ends before it begins.
BROKEN = Stopped(
    status=JobStatus.FAILED, error=JobError(code="internal_server_error", message="It broke.")
)

Series = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture
def metrics() -> Metrics:
    """The numbers of a service that offers one model."""
    return Metrics(["gen4"], version="1.2.3")


def job(model: str = "gen4") -> Job:
    """A job accepted at 100."""
    request = GenerationRequest(model=model, prompt="A lighthouse.")
    return accept(request, PLAN, id="job_1", at=100.0, deadline_at=700.0)


def observed(metrics: Metrics, *facts: Fact, model: str = "gen4") -> None:
    """Let a job be accepted, and go through these facts, one per second."""
    after = job(model)
    metrics.observe(Event(job=after, at=100.0))
    for at, fact in enumerate(facts, start=101):
        before, after = after, advance(after, fact, at=at)
        metrics.observe(Event(job=after, before=before, fact=fact, at=at))


def series(metrics: Metrics) -> Mapping[Series, float]:
    """Every series of ours, buckets apart, with its value."""
    body, _ = metrics.render(None)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in plain_families(body.decode())
        for sample in family.samples
        if sample.name.startswith("taxiway_") and not sample.name.endswith("_bucket")
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return series(metrics).get((name, tuple(sorted(labels.items()))))


def changes(metrics: Metrics, before: Mapping[Series, float]) -> Mapping[str, float]:
    """What has been added to which series, written as they are in PromQL."""
    return {
        name + (f"{{{','.join(f'{k}={v}' for k, v in labels)}}}" if labels else ""): added
        for (name, labels), now in series(metrics).items()
        if (added := round(now - before.get((name, labels), 0.0), 6))
    }


def feed_everything(metrics: Metrics) -> None:
    """Call every feeder once."""
    metrics.know_routes(["/v1/jobs/{id}"])
    metrics.http_started()
    metrics.http_ended()
    metrics.http("GET", "/v1/jobs/{id}", 200, 0.002)
    metrics.rejected("auth")
    observed(metrics, *LIFE)
    metrics.deduplicated()
    metrics.recovered(job(), "restart")
    metrics.lease_lost(job())
    metrics.store_jobs({Phase.RUNNING: 2}, {Phase.RUNNING: 12.5})
    metrics.know_accounts(["runwayml-1"])
    metrics.credits_balance("runwayml-1", 1_000)
    metrics.limits("runwayml-1", "gen4", slots=5, daily_remaining=200)
    metrics.know_budgets([("service", "1d")])
    metrics.budget_remaining("service", "1d", microusd=800_000)
    metrics.upstream("submit", "200", 0.3)
    metrics.upstream_retry("submit", "rate_limited")
    metrics.poll("running")
    metrics.poll_lateness(0.001)
    metrics.stream_opened()
    metrics.stream_event("job.queued")
    metrics.stream_resume("replayed")
    metrics.delivery_lag(0.001)
    metrics.stream_closed("completed")
    metrics.store_operation("record", 0.001)
    metrics.store_error("record", "unavailable")
    metrics.store_in_use("sqlite", schema="0001")
    metrics.store_size("database", 4_096)
    metrics.store_connections("used", 1)
    metrics.loop_lag(0.0)
    with metrics.background("store_ping"):
        pass
    metrics.draining(True)
    metrics.logs_dropped(1)


# The page


def test_the_page_is_the_table(metrics: Metrics) -> None:
    """Names, types and labels on the page are those of the table, no more and no fewer."""
    feed_everything(metrics)
    body, content_type = metrics.render(OPENMETRICS)
    parsed = open_families(body.decode())  # type: ignore[no-untyped-call]
    families = [family for family in parsed if family.name.startswith("taxiway_")]
    page = {
        family.name: (
            family.type,
            family.documentation,
            {name for sample in family.samples for name in sample.labels} - {"le"},
        )
        for family in families
    }
    table = {
        row.name.removesuffix("_total").removesuffix("_info"): (
            str(row.kind),
            row.help,
            {label.name for label in row.labels},
        )
        for row in TABLE
    }

    assert content_type.startswith("application/openmetrics-text")
    assert table == page


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param(None, "text/plain; version=0.0.4; charset=utf-8", id="nothing asked"),
        pytest.param("text/html, */*", "text/plain; version=0.0.4; charset=utf-8", id="a browser"),
        pytest.param(
            "application/openmetrics-text; version=nonsense",
            "text/plain; version=0.0.4; charset=utf-8",
            id="a version that is none",
        ),
        pytest.param(
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            id="Prometheus",
        ),
    ],
)
def test_the_format_is_negotiated(metrics: Metrics, accept: str | None, content_type: str) -> None:
    """A scraper gets the format it asks for, everybody else the plain one."""
    _, actual = metrics.render(accept)

    assert content_type == actual


@pytest.mark.parametrize("accept", [None, OPENMETRICS])
def test_no_created_series(metrics: Metrics, accept: str | None) -> None:
    """Counters and histograms come without a `_created` twin."""
    feed_everything(metrics)
    body, _ = metrics.render(accept)

    assert b"_created" not in body


def test_the_process_is_measured(metrics: Metrics) -> None:
    """Memory, processor time and Python's own numbers are on the page too."""
    body, _ = metrics.render(None)
    names = {family.name for family in plain_families(body.decode())}

    assert names >= {"process_resident_memory_bytes", "process_cpu_seconds", "python_info"}


def test_names_keep_the_rules() -> None:
    """A counter ends in `_total`, an info in `_info`, a histogram counts seconds, or polls."""
    endings = {
        Kind.COUNTER: ("_total",),
        Kind.INFO: ("_info",),
        Kind.HISTOGRAM: ("_seconds", "polls_per_job"),
        Kind.GAUGE: ("",),
    }
    offenders = [
        row.name
        for row in TABLE
        if not row.name.startswith("taxiway_") or not row.name.endswith(endings[row.kind])
    ]

    assert offenders == []


def test_two_services_do_not_share_numbers() -> None:
    """Each service has a registry of its own, also within one process."""
    one, other = Metrics(["gen4"], version="1"), Metrics(["gen4"], version="1")
    one.logs_dropped(3)

    assert value(one, "taxiway_logs_dropped_total") == 3
    assert value(other, "taxiway_logs_dropped_total") == 0


def test_metrics_fit_the_seams(metrics: Metrics) -> None:
    """Metrics are the instruments of the engine and an observer of its events: mypy says so."""

    def engine(instruments: Instruments, observer: Observer) -> tuple[Instruments, Observer]:
        return instruments, observer

    assert engine(metrics, metrics.observe) == (metrics, metrics.observe)


async def test_a_scrape_is_cached_for_a_second() -> None:
    """Whoever scrapes again within a second gets the same page; later, a new one."""
    metrics = Metrics(["gen4"], version="1")
    first, second = await asyncio.gather(metrics.scrape(None), metrics.scrape(None))
    metrics.logs_dropped(1)
    third = await metrics.scrape(None)
    await asyncio.sleep(1.0)
    fourth = await metrics.scrape(None)

    assert first is second
    assert second is third
    assert b"taxiway_logs_dropped_total 1.0" in fourth[0]


async def test_the_cache_keeps_formats_apart() -> None:
    """Two scrapers that ask for different formats each get their own."""
    metrics = Metrics(["gen4"], version="1")
    plain = await metrics.scrape(None)
    opened = await metrics.scrape(OPENMETRICS)

    assert plain[1].startswith("text/plain")
    assert opened[1].startswith("application/openmetrics-text")


# What else is fed


def test_requests_are_counted_and_some_are_timed(metrics: Metrics) -> None:
    """Every answer counts; one that waited for an image, or streamed, has no duration worth a bucket."""
    metrics.know_routes(["/v1/jobs/{id}", "/v1/images/generations"])
    before = series(metrics)
    metrics.http("GET", "/v1/jobs/{id}", 200, 0.25)
    metrics.http("POST", "/v1/images/generations", 200, None)

    assert changes(metrics, before) == {
        "taxiway_http_requests_total{code=200,method=GET,route=/v1/jobs/{id}}": 1,
        "taxiway_http_requests_total{code=200,method=POST,route=/v1/images/generations}": 1,
        "taxiway_http_request_duration_seconds_count{method=GET,route=/v1/jobs/{id}}": 1,
        "taxiway_http_request_duration_seconds_sum{method=GET,route=/v1/jobs/{id}}": 0.25,
    }


def test_streams_come_and_go(metrics: Metrics) -> None:
    """Open streams are a gauge; what they were sent and why they ended are counters."""
    before = series(metrics)
    metrics.stream_opened()
    metrics.stream_opened()
    metrics.stream_event("job.progress")
    metrics.stream_closed("client_gone")

    assert changes(metrics, before) == {
        "taxiway_sse_streams_open": 1,
        "taxiway_sse_events_sent_total{event=job.progress}": 1,
        "taxiway_sse_streams_closed_total{reason=client_gone}": 1,
    }


def test_the_provider_s_last_good_answer_is_dated(metrics: Metrics) -> None:
    """Only a 2xx moves the date, and before the first one there is none."""
    name = "taxiway_upstream_last_success_timestamp_seconds"
    metrics.upstream("poll", "error", 30.0)
    none = value(metrics, name, operation="poll")
    metrics.upstream("poll", "200", 0.1)

    assert none is None
    assert value(metrics, name, operation="poll") == pytest.approx(time.time(), abs=60)  # noqa: TID251


def test_rounds_of_a_background_task(metrics: Metrics) -> None:
    """A round that ends is dated, one that raises is counted, one that is cancelled is neither."""
    rounds = metrics.background("store_ping")
    with pytest.raises(OSError, match="gone"), rounds:
        raise OSError("gone")
    with pytest.raises(asyncio.CancelledError), rounds:
        raise asyncio.CancelledError
    date = "taxiway_background_task_last_success_timestamp_seconds"
    undated = value(metrics, date, task="store_ping")
    with rounds:
        pass

    assert value(metrics, "taxiway_background_task_failures_total", task="store_ping") == 1
    assert undated is None
    assert value(metrics, date, task="store_ping") == pytest.approx(time.time(), abs=60)  # noqa: TID251


@pytest.mark.looptime(False)
async def test_a_blocked_loop_is_seen() -> None:
    """A loop that is held up shows as lag of about that length."""
    metrics, loop = Metrics(["gen4"], version="1"), asyncio.get_running_loop()
    due_s = loop.time() + LOOP_PROBE_S
    watch = asyncio.create_task(watch_loop(metrics))
    await asyncio.sleep(LOOP_PROBE_S / 2)
    time.sleep(LOOP_PROBE_S)  # noqa: ASYNC251 - holding the loop up is what this is about
    held_up_s = loop.time() - due_s
    await asyncio.sleep(LOOP_PROBE_S / 4)
    watch.cancel()
    await asyncio.wait([watch])
    lag_s = value(metrics, "taxiway_event_loop_lag_seconds_sum")

    assert held_up_s > LOOP_PROBE_S / 3
    assert lag_s == pytest.approx(held_up_s, abs=0.1)


def test_the_store_s_unfinished_jobs_are_shown_whole(metrics: Metrics) -> None:
    """Each look at the store replaces the one before: a phase that is not named has no jobs."""
    metrics.store_jobs({Phase.QUEUED: 3, Phase.RUNNING: 2}, {Phase.QUEUED: 400.0, Phase.RUNNING: 9})
    metrics.store_jobs({Phase.RUNNING: 1}, {Phase.RUNNING: -0.25})
    shown = {
        (name, dict(labels)["phase"]): number
        for (name, labels), number in series(metrics).items()
        if name.startswith("taxiway_store_jobs") or "oldest" in name
    }

    assert {key: number for key, number in shown.items() if number} == {
        ("taxiway_store_jobs", "running"): 1
    }
    assert len(shown) == 2 * len(Phase)


def test_a_limit_that_is_lifted_leaves_the_page(metrics: Metrics) -> None:
    """No limit is no series, since no number says it."""
    metrics.know_accounts(["runwayml-1"])
    before = series(metrics)
    metrics.limits("runwayml-1", "gen4", slots=5, daily_remaining=200)
    limited = changes(metrics, before)
    metrics.limits("runwayml-1", "gen4", slots=None, daily_remaining=None)

    assert limited == {
        "taxiway_upstream_slots{account=runwayml-1,model=gen4}": 5,
        "taxiway_upstream_daily_generations_remaining{account=runwayml-1,model=gen4}": 200,
    }
    assert series(metrics) == before


def test_what_is_left_in_a_budget_is_shown(metrics: Metrics) -> None:
    """In dollars, also below zero; nothing where there is none, and nothing of one that is gone."""
    before = series(metrics)
    metrics.know_budgets([("service", "1d"), ("east", "total")])
    metrics.budget_remaining("service", "1d", microusd=12_340_000)
    metrics.budget_remaining("east", "total", microusd=-80_000)
    both = changes(metrics, before)
    metrics.know_budgets([("east", "total")])
    metrics.budget_remaining("east", "total", microusd=0)

    assert both == {
        "taxiway_budget_remaining_usd{budget=service,window=1d}": 12.34,
        "taxiway_budget_remaining_usd{budget=east,window=total}": -0.08,
    }
    left = {key: number for key, number in series(metrics).items() if key not in before}
    assert left == {
        ("taxiway_budget_remaining_usd", (("budget", "east"), ("window", "total"))): 0.0
    }


def test_connections_are_shown_from_the_start(metrics: Metrics) -> None:
    """Before the first look at the store nothing is in use, and nobody waits."""
    states = ("used", "idle", "waiting")

    assert {value(metrics, "taxiway_store_connections", state=state) for state in states} == {0}


# What no caller can do


def test_hostile_words_make_no_series(metrics: Metrics) -> None:
    """Models, routes, methods and words that nobody foresaw leave the page as long as it was."""
    feed_everything(metrics)
    feed_words(metrics, "the first stranger")
    before = set(series(metrics))
    draw = random.Random(11)
    for _ in range(2_000):
        feed_words(metrics, draw.randbytes(8).hex() + '"\n{}\\')

    assert set(series(metrics)) == before


def feed_words(metrics: Metrics, word: str) -> None:
    metrics.http(word, word, hash(word), 0.1)
    metrics.rejected(word)
    metrics.recovered(job(word), word)
    metrics.lease_lost(job(word))
    metrics.credits_balance(word, 1)
    metrics.limits(word, word, slots=1, daily_remaining=1)
    metrics.budget_remaining(word, word, microusd=1)
    metrics.store_size(word, 1)
    metrics.store_connections(word, 1)
    metrics.upstream(word, word, 0.1)
    metrics.upstream(word, f"2{word}", 0.1)
    metrics.upstream_retry(word, word)
    metrics.poll(word)
    metrics.stream_opened()
    metrics.stream_event(word)
    metrics.stream_resume(word)
    metrics.stream_closed(word)
    metrics.store_operation(word, 0.1)
    metrics.store_error(word, word)
    observed(metrics, BROKEN, model=word)


def test_a_model_counts_once_under_both_its_names() -> None:
    """`runwayml/gen4_image` and `gen4_image` are one model where both are on offer."""
    metrics = Metrics(["runwayml/gen4_image", "gen4_image", "acme/other"], version="1")
    for model in ("runwayml/gen4_image", "gen4_image", "acme/other", "stranger"):
        observed(metrics, model=model)
    counted = {
        dict(labels)["model"]: count
        for (name, labels), count in series(metrics).items()
        if name == "taxiway_jobs_submitted_total"
    }

    assert counted == {"gen4_image": 2, "acme/other": 1, "other": 1}


def test_an_alias_is_counted_as_the_model_it_stands_for() -> None:
    """A further name of a model has no series of its own."""
    aliases = {"best": "runwayml/gen4_image"}
    metrics = Metrics(["runwayml/gen4_image", "gen4_image"], version="1", aliases=aliases)
    for model in ("best", "gen4_image"):
        observed(metrics, model=model)

    assert value(metrics, "taxiway_jobs_submitted_total", model="gen4_image") == 2


@pytest.mark.parametrize(
    ("offered", "most"),
    [
        pytest.param(["one", "two", "three"], 1_200, id="three models"),
        pytest.param(list(models()), 2_500, id="all of the catalogue"),
    ],
)
def test_the_page_stays_small(offered: list[str], most: int) -> None:
    """The page of a busy service has some hundred series for itself and not many more for each model."""
    metrics = Metrics(offered, version="1")
    feed_everything(metrics)
    for model in offered:
        observed(metrics, *LIFE, model=model)
        observed(metrics, *LIFE[:2], BROKEN, model=model)
    body, _ = metrics.render(None)
    lines = [line for line in body.decode().splitlines() if line.startswith("taxiway_")]

    assert len(lines) < most
