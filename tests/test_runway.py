"""The Runway adapter against the vendor's contract: what it sends, and what it makes of every answer."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from taxiway.cadence import every
from taxiway.errors import (
    BadRequestError,
    ProviderUnavailableError,
    Refusal,
    SubmissionRefusedError,
    SubmissionUnknownError,
    UpstreamTaskGoneError,
)
from taxiway.facts import Again, Delivered, Failed, Report, Seen, Submitting
from taxiway.jobs import Attempt, GenerationRequest, Job, Phase, Reference
from taxiway.protocols import NoInstruments, no_note
from taxiway.providers import open_provider, open_session
from taxiway.providers.runway import Runway
from taxiway.providers.runway_failures import refused
from taxiway.sandbox import Fault, Sandbox, SandboxSettings
from taxiway.settings import Deployment, Secret
from taxiway.transitions import accept, advance

PICTURE = Reference(uri="https://images.example/cat.png", tag="cat")
Adapter = Callable[..., Runway]


@pytest.fixture
async def runway() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxSettings(duration_s=1.0, queue_s=0.1)) as sandbox:
        yield sandbox


@pytest.fixture
async def adapter(runway: Sandbox) -> AsyncIterator[Adapter]:
    async with open_session() as session:

        def make(model: str = "gen4_image", **settings: Any) -> Runway:
            deployment = Deployment(
                **{
                    "id": "d",
                    "model_name": model,
                    "provider": "runwayml",
                    "model": model,
                    "api_key": Secret("key_canary"),
                    "api_base": runway.url,
                    **settings,
                }
            )
            provider = open_provider(
                deployment, session=session, instruments=NoInstruments(), note=no_note
            )
            assert isinstance(provider, Runway)
            return provider

        yield make


def a_request(model: str = "gen4_image", **fields: Any) -> GenerationRequest:
    return GenerationRequest(**{"model": model, "prompt": "A cat", **fields})


def a_job(provider: Runway, request: GenerationRequest) -> tuple[Job, Attempt]:
    job = accept(request, provider.plan(request), id="job_1", at=0.0, deadline_at=600.0)
    job = advance(
        job,
        Submitting(attempt=0, part=0, deployment="d", provider="runwayml", model=request.model),
        at=0.0,
    )
    return job, job.attempts[0]


async def submitted(provider: Runway, request: GenerationRequest) -> tuple[Job, Attempt]:
    job, attempt = a_job(provider, request)
    fact = await provider.submit(job, attempt)
    job = advance(job, fact, at=0.0)
    return job, job.attempts[0]


async def ended(provider: Runway, job: Job, attempt: Attempt) -> Report:
    async for _ in every(0.1):
        if not isinstance(report := await provider.poll(job, attempt), Seen):
            return report
    raise AssertionError


# What is sent


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        pytest.param(
            a_request(),
            {"model": "gen4_image", "promptText": "A cat", "ratio": "1920:1080"},
            id="plain",
        ),
        pytest.param(
            a_request(size="1024x1024", seed=7, moderation="low", references=(PICTURE,)),
            {
                "model": "gen4_image",
                "promptText": "A cat",
                "ratio": "1024:1024",
                "seed": 7,
                "contentModeration": {"publicFigureThreshold": "low"},
                "referenceImages": [{"uri": "https://images.example/cat.png", "tag": "cat"}],
            },
            id="everything gen4 has",
        ),
        pytest.param(
            a_request(quality="auto", output_format="png", background="auto", moderation="auto"),
            {"model": "gen4_image", "promptText": "A cat", "ratio": "1920:1080"},
            id="defaults ask for nothing",
        ),
        pytest.param(
            a_request(
                "gpt_image_2", size="2160x3840", quality="medium", background="transparent", n=3
            ),
            {
                "model": "gpt_image_2",
                "promptText": "A cat",
                "ratio": "2160:3840",
                "quality": "medium",
                "background": "transparent",
                "outputCount": 3,
            },
            id="gpt_image_2, three in one task",
        ),
        pytest.param(
            a_request("recraft_v4_1_flash", output_format="png", options={"colors": ["#FF8800"]}),
            {
                "model": "recraft_v4_1_flash",
                "promptText": "A cat",
                "ratio": "1024:1024",
                "outputFormat": "png",
                "colors": ["#FF8800"],
            },
            id="a vendor's field by its own name",
        ),
        pytest.param(
            a_request("ideogram_4_0"),
            {"model": "ideogram_4_0", "promptText": "A cat"},
            id="no ratio where the model may choose",
        ),
    ],
)
async def test_a_request_becomes_the_body_that_the_model_lists(
    adapter: Adapter, runway: Sandbox, request_: GenerationRequest, body: dict[str, Any]
) -> None:
    """Runway gets the fields that its model has, in its own words, and nothing else."""
    await submitted(adapter(request_.model), request_)

    assert body == runway.requests[-1].body


async def test_every_call_carries_version_and_key_to_the_deployments_own_address(
    adapter: Adapter, runway: Sandbox
) -> None:
    """Submitting, polling and cancelling go to one base URL; the key goes nowhere else."""
    provider = adapter(headers={"X-Runway-On-Behalf-Of": "team"})
    job, attempt = await submitted(provider, a_request())
    await provider.poll(job, attempt)
    await provider.cancel(attempt)

    seen = [
        (r.method, r.headers["x-runway-version"], r.headers["x-runway-on-behalf-of"])
        for r in runway.requests
    ]
    assert [(method, "2024-11-06", "team") for method in ("POST", "GET", "DELETE")] == seen
    assert {r.raw_headers["Authorization"] for r in runway.requests} == {"Bearer key_canary"}


async def test_an_image_is_fetched_without_the_key(adapter: Adapter, runway: Sandbox) -> None:
    """The host of the images is another one; the account's key is none of its business."""
    provider = adapter()
    runway.will("slow:0")
    job, attempt = await submitted(provider, a_request())
    report = await ended(provider, job, attempt)
    assert isinstance(report, Delivered)
    async with provider.download(report.outputs[0].url) as download:
        data = b"".join([chunk async for chunk in download.chunks])

    assert data.startswith(b"\x89PNG")
    assert (download.content_type, download.length_bytes) == ("image/png", len(data))
    assert [] == runway.leaks


@pytest.mark.parametrize(
    ("model", "fields", "param", "code"),
    [
        ("gen4_image", {"prompt": "x" * 1001}, "prompt", "string_above_max_length"),
        ("gen4_image", {"prompt": "🐈" * 501}, "prompt", "string_above_max_length"),
        ("gen4_image", {"size": "100x100"}, "size", "invalid_size"),
        ("gen4_image", {"quality": "high"}, "quality", "unsupported_parameter"),
        ("gen4_image", {"output_format": "webp"}, "output_format", "unsupported_parameter"),
        ("gen4_image", {"background": "transparent"}, "background", "unsupported_parameter"),
        ("gen4_image", {"options": {"colors": []}}, "colors", "unsupported_parameter"),
        ("gen4_image", {"options": {"webhook": "x"}}, "webhook", "unsupported_parameter"),
        ("gen4_image", {"references": (PICTURE,) * 4}, "reference_images", "invalid_value"),
        (
            "gen4_image",
            {"references": (Reference(uri="ftp://x.example/y"),)},
            "reference_images[0].uri",
            "invalid_value",
        ),
        (
            "gen4_image",
            {"references": (PICTURE, replace(PICTURE, tag="no"))},
            "reference_images[1].tag",
            "invalid_value",
        ),
        (
            "gen4_image",
            {"references": (replace(PICTURE, subject="human"),)},
            "reference_images[0].subject",
            "unsupported_parameter",
        ),
        ("gen4_image_turbo", {}, "reference_images", "missing_required_parameter"),
        ("gpt_image_2", {"quality": "ultra"}, "quality", "invalid_value"),
        ("gpt_image_2", {"seed": 1}, "seed", "unsupported_parameter"),
        ("gpt_image_2", {"moderation": "low"}, "moderation", "unsupported_parameter"),
        ("gpt_image_2", {"references": (PICTURE, PICTURE)}, "reference_images", "invalid_value"),
        ("nano_banana_2.1", {"options": {"thinkingLevel": "x"}}, "thinkingLevel", "invalid_value"),
        ("seedream5_pro", {"options": {"grounding": "yes"}}, "grounding", "invalid_type"),
        ("grok_imagine_image_2", {"options": {"edit": True}}, "reference_images", None),
        ("recraft_v4_1_flash", {"options": {"colors": ["red"]}}, "colors", "invalid_value"),
        ("recraft_v4_1_vector", {"output_format": "png"}, "output_format", "unsupported_parameter"),
        ("recraft_v4_1_flash", {"references": (PICTURE,)}, "reference_images", None),
        ("ideogram_4_5", {"quality": "very_low"}, "quality", "invalid_value"),
    ],
)
async def test_a_field_the_model_cannot_honour_is_refused_by_name(
    adapter: Adapter, model: str, fields: dict[str, Any], param: str, code: str | None
) -> None:
    """Nothing is dropped in silence: the refusal names the request's own field."""
    with pytest.raises(BadRequestError) as caught:
        adapter(model).plan(a_request(model, **fields))

    assert (param, code or caught.value.code) == (caught.value.param, caught.value.code)


async def test_with_drop_params_a_field_the_model_has_not_is_left_out_and_listed(
    adapter: Adapter, runway: Sandbox
) -> None:
    """`drop_params` leaves out what has no place, and says what that was."""
    provider = adapter(drop_params=True)
    request = a_request(quality="high", options={"style": "natural"})
    await submitted(provider, request)

    assert ("style", "quality") == provider.plan(request).dropped
    assert sorted(runway.requests[-1].body) == ["model", "promptText", "ratio"]


@pytest.mark.parametrize(
    ("model", "preset", "sent"),
    [
        ("gen4_image", "1280:720", "1280:720"),
        ("seedream5_lite", "2000:2000", "2000:2000"),
        ("gen4_image", "2000:2000", None),
        ("seedream5_lite", "200:200", None),
    ],
)
async def test_a_ratio_of_the_configuration_stands_where_a_request_has_no_size(
    adapter: Adapter, model: str, preset: str, sent: str | None
) -> None:
    """A deployment's own ratio is its default size, if the model makes it, its free area included."""
    provider = adapter(model, defaults={"ratio": preset})
    if sent is None:
        with pytest.raises(BadRequestError):
            provider.plan(a_request(model))
    else:
        assert sent.replace(":", "x") == provider.plan(a_request(model)).size
        assert provider.plan(a_request(model, size="2048x2048" if "dream" in model else None))


@pytest.mark.parametrize(
    ("model", "n", "shares"),
    [
        ("gen4_image", 3, [1, 1, 1]),
        ("gpt_image_2", 10, [10]),
        ("seedream5_pro", 6, [4, 2]),
        ("gemini_image3_pro", 6, [4, 1, 1]),
        ("nano_banana_2.1", 3, [3]),
    ],
)
async def test_several_images_take_as_few_tasks_as_the_model_allows(
    adapter: Adapter, model: str, n: int, shares: list[int]
) -> None:
    """`n` is spread over tasks of the numbers that one task of the model can give."""
    plan = adapter(model).plan(a_request(model, n=n))

    assert shares == [part.images for part in plan.parts]


async def test_a_model_the_catalogue_does_not_know_is_sent_as_asked_and_has_no_price(
    adapter: Adapter, runway: Sandbox
) -> None:
    """A model newer than this release works; its price is unknown until Runway says it."""
    provider = adapter("gen9_image")
    plan = provider.plan(a_request("gen9_image", size="640x480"))
    with pytest.raises(SubmissionRefusedError) as caught:
        await submitted(provider, a_request("gen9_image", size="640x480", seed=3))

    assert plan.credits is None
    assert ("provider_rejected", "model") == (caught.value.code, caught.value.param)
    assert runway.requests[-1].body == {
        "model": "gen9_image",
        "promptText": "A cat",
        "ratio": "640:480",
        "seed": 3,
    }


# What a create's answer means


@pytest.mark.parametrize(
    ("fault", "refusal", "code"),
    [
        pytest.param(Fault(status=401), Refusal.FINAL, "provider_auth_failed", id="401"),
        pytest.param(Fault(status=403), Refusal.FINAL, "provider_auth_failed", id="403"),
        pytest.param(Fault(status=404), Refusal.FINAL, "no_deployment_available", id="404"),
        pytest.param(Fault(status=413), Refusal.FINAL, "provider_rejected", id="413"),
        pytest.param(Fault(status=302), Refusal.FINAL, "no_deployment_available", id="redirect"),
        pytest.param(
            Fault(status=400, body="credits"), Refusal.FINAL, "insufficient_credits", id="credits"
        ),
        pytest.param(
            Fault(status=429, body="quota"), Refusal.FINAL, "provider_quota_exceeded", id="quota"
        ),
        pytest.param(
            Fault(status=429, body="throttle"),
            Refusal.RATE_LIMITED,
            "provider_rate_limited",
            id="429",
        ),
        pytest.param(
            Fault(status=503, body="runway"),
            Refusal.OVERLOADED,
            "no_deployment_available",
            id="Runway's own 503",
        ),
    ],
)
async def test_an_answer_that_proves_a_refusal_bought_nothing(
    adapter: Adapter, runway: Sandbox, fault: Fault, refusal: Refusal, code: str
) -> None:
    """A refusal says whether to repeat it, and what the caller is told if it stands."""
    runway.faults.add(fault)
    with pytest.raises(SubmissionRefusedError) as caught:
        await submitted(adapter(), a_request())

    assert (refusal, code) == (caught.value.refusal, caught.value.code)
    assert len(runway.tasks) == 0


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=500, processed=True), id="500"),
        pytest.param(Fault(status=502, body="html", processed=True), id="502"),
        pytest.param(Fault(status=504, body="empty", processed=True), id="504"),
        pytest.param(Fault(status=503, body="html", processed=True), id="a 503 not Runway's own"),
        pytest.param(Fault(cut="answer"), id="cut before the answer"),
        pytest.param(Fault(cut="body"), id="cut in the answer"),
        pytest.param(Fault(truncate=True), id="half the JSON"),
        pytest.param(Fault(drop=("id",)), id="no id"),
        pytest.param(Fault(status=200, body="html", processed=True), id="a page of HTML"),
        pytest.param(Fault(hang=True), id="no answer, ever"),
    ],
)
async def test_an_answer_that_was_lost_leaves_the_outcome_unknown(
    adapter: Adapter, runway: Sandbox, fault: Fault
) -> None:
    """Whatever may hide a bought task is unknown, and never called a refusal."""
    runway.faults.add(fault)
    with pytest.raises(SubmissionUnknownError):
        await submitted(adapter(), a_request())


async def test_a_host_that_is_not_there_bought_nothing(adapter: Adapter) -> None:
    """A connection that never came about is a refusal, to be repeated for a while."""
    with pytest.raises(SubmissionRefusedError) as caught:
        await submitted(adapter(api_base="http://127.0.0.1:9"), a_request())

    assert caught.value.refusal == Refusal.UNREACHABLE


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"Retry-After": "86400"}, 60.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({}, None),
    ],
)
async def test_a_retry_after_is_followed_within_reason(
    adapter: Adapter, runway: Sandbox, headers: dict[str, str], wait_s: float | None
) -> None:
    """Both headers count, up to a minute; one that cannot be read is as good as none."""
    runway.faults.add(Fault(status=429, body="throttle", headers=headers))
    with pytest.raises(SubmissionRefusedError) as caught:
        await submitted(adapter(), a_request())

    assert wait_s == caught.value.retry_after_s


@pytest.mark.parametrize(
    ("path", "param"),
    [
        (["promptText"], "prompt"),
        (["ratio"], "size"),
        (["referenceImages", 0, "uri"], "reference_images[0].uri"),
        (["contentModeration", "publicFigureThreshold"], "moderation.publicFigureThreshold"),
        (["seed"], "seed"),
        ([], None),
    ],
)
def test_a_rejected_field_is_named_in_the_requests_own_words(
    path: list[object], param: str | None
) -> None:
    """Runway's `promptText` is the request's `prompt`; its own text is passed on."""
    issues = [{"path": path, "message": "Too big: expected string to have <=1000 characters"}]
    refusal = refused(400, {"error": "Validation of body failed", "issues": issues}, wait_s=None)

    assert isinstance(refusal, SubmissionRefusedError)
    assert ("provider_rejected", param) == (refusal.code, refusal.param)
    assert "Too big" in refusal.message


# What a task's answer means


@pytest.mark.parametrize(
    ("script", "phase"),
    [
        pytest.param("stuck:PENDING", Phase.PROVIDER_QUEUE, id="PENDING"),
        pytest.param("stuck:THROTTLED", Phase.THROTTLED, id="THROTTLED"),
        pytest.param("queue:0; stuck:RUNNING", Phase.RUNNING, id="RUNNING"),
        pytest.param("poll:answer put=status:DREAMING", Phase.PROVIDER_QUEUE, id="an unknown word"),
    ],
)
async def test_an_active_task_is_in_the_phase_of_its_status(
    adapter: Adapter, runway: Sandbox, script: str, phase: Phase
) -> None:
    """The vendor's words become ours; a word that we do not know means: still running."""
    runway.will(script)
    provider = adapter()
    job, attempt = await submitted(provider, a_request())
    report = await provider.poll(job, attempt)

    assert isinstance(report, Seen)
    assert phase == report.phase


@pytest.mark.parametrize(
    ("failure_code", "code", "retry", "credits_"),
    [
        ("SAFETY.INPUT.TEXT", "content_policy_violation", Again.NEVER, 8),
        ("SAFETY.OUTPUT.IMAGE", "content_policy_violation", Again.NEVER, 8),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", "content_policy_violation", Again.NEVER, 8),
        ("INPUT_PREPROCESSING.INTERNAL", "provider_failed", Again.YES, 0),
        ("INTERNAL.BAD_OUTPUT.CODE01", "provider_failed", Again.ONCE, 0),
        ("INTERNAL", "provider_failed", Again.YES, 0),
        ("ASSET.INVALID", "invalid_image", Again.NEVER, 0),
        ("THIRD_PARTY.UNAVAILABLE", "provider_failed", Again.ELSEWHERE, 0),
        ("SOMETHING.NEW", "provider_failed", Again.ONCE, 0),
        ("SOMETHING.SAFETY", "provider_failed", Again.NEVER, 0),
        ("null", "provider_failed", Again.YES, 0),
        ("absent", "provider_failed", Again.YES, 0),
    ],
)
async def test_every_failure_code_says_what_to_tell_and_whether_to_try_again(
    adapter: Adapter,
    runway: Sandbox,
    failure_code: str,
    code: str,
    retry: Again,
    credits_: int,
) -> None:
    """The longest known prefix of a code decides; what it cost is what the task says."""
    runway.will(f"queue:0; slow:0; fail:{failure_code}")
    provider = adapter()
    job, attempt = await submitted(provider, a_request())
    report = await ended(provider, job, attempt)
    assert isinstance(report, Failed)

    assert (code, retry) == (report.error.code, report.retry)
    if "SOMETHING" not in failure_code:
        assert credits_ == report.credits


async def test_success_without_an_image_is_a_failure_that_may_have_cost(
    adapter: Adapter, runway: Sandbox
) -> None:
    """SUCCEEDED with nothing in it is not a success, and its charge is booked."""
    runway.will("queue:0; slow:0; outputs:none")
    provider = adapter()
    job, attempt = await submitted(provider, a_request())
    report = await ended(provider, job, attempt)
    assert isinstance(report, Failed)

    assert ("provider_empty_output", 8, Again.NEVER) == (
        report.error.code,
        report.credits,
        report.retry,
    )


async def test_a_task_cancelled_by_somebody_else_is_told_as_such(
    adapter: Adapter, runway: Sandbox
) -> None:
    """CANCELLED without a DELETE of ours is the provider's doing, and final."""
    runway.will("queue:0; slow:0; cancelled")
    provider = adapter()
    job, attempt = await submitted(provider, a_request())
    report = await ended(provider, job, attempt)
    assert isinstance(report, Failed)

    assert ("provider_cancelled", Again.NEVER) == (report.error.code, report.retry)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(on="poll", status=status), id=str(status))
        for status in (302, 401, 403, 429, 500, 502, 503, 504)
    ]
    + [
        pytest.param(Fault(on="poll", cut="answer"), id="cut"),
        pytest.param(Fault(on="poll", cut="body"), id="cut in the body"),
        pytest.param(Fault(on="poll", truncate=True), id="truncated"),
        pytest.param(Fault(on="poll", body="html"), id="html"),
        pytest.param(Fault(on="poll", body="empty"), id="empty"),
        pytest.param(Fault(on="poll", drop=("status",)), id="no status"),
        pytest.param(Fault(on="poll", hang=True), id="never answers"),
        pytest.param(Fault(on="poll", status=404, body="html"), id="a 404 not Runway's own"),
    ],
)
async def test_a_poll_that_fails_says_nothing_about_the_task(
    adapter: Adapter, runway: Sandbox, fault: Fault
) -> None:
    """No fault of a poll is a verdict on the task, and none leaves as an exception of aiohttp."""
    provider = adapter()
    job, attempt = await submitted(provider, a_request())
    runway.faults.add(fault)
    with pytest.raises(ProviderUnavailableError) as caught:
        await provider.poll(job, attempt)

    assert not isinstance(caught.value, aiohttp.ClientError)
    assert [] == runway.leaks


async def test_a_task_that_runway_does_not_know_is_gone(adapter: Adapter, runway: Sandbox) -> None:
    """Runway's own 404 is an answer about the task, and cancelling it counts as done."""
    provider = adapter()
    job, attempt = await submitted(provider, a_request())
    await provider.cancel(attempt)
    await provider.cancel(attempt)

    with pytest.raises(UpstreamTaskGoneError):
        await provider.poll(job, attempt)
