"""Python: images in process, over the same runner, without a server."""

import asyncio
import base64
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

import taxiway
from taxiway.jobs import Phase
from taxiway.responses import ImageResponse
from taxiway.sandbox import Fault, Outcome, Sandbox, SandboxSettings

PROMPT = "A serene mountain landscape at sunset"
SIZE = "1920x1080"


@pytest.fixture
async def runway() -> AsyncIterator[Sandbox]:
    async with Sandbox(
        SandboxSettings(duration_s=1.0, queue_s=0.1, progress_tick_s=0.1)
    ) as sandbox:
        yield sandbox


async def test_awaiting_an_image_returns_its_address_and_its_cost(runway: Sandbox) -> None:
    """An awaited generation returns OpenAI's shape, and its cost is what Runway charged."""
    response = await taxiway.aimage_generation(
        model="runwayml/gen4_image", prompt=PROMPT, size=SIZE, api_key="key_x", api_base=runway.url
    )

    assert len(response.data) == 1
    assert response.data[0].url == response["data"][0]["url"]
    assert response.size == SIZE
    assert taxiway.completion_cost(completion_response=response) == 0.08
    assert runway.charged_credits == 8


@pytest.mark.looptime(False)
async def test_the_synchronous_call_works_in_a_thread_with_and_without_a_loop(
    runway: Sandbox,
) -> None:
    """`image_generation` needs no loop, and where one is running it uses another."""

    def without_loop() -> str | None:
        return (
            taxiway.image_generation(
                model="runwayml/gen4_image", prompt=PROMPT, api_key="key_x", api_base=runway.url
            )
            .data[0]
            .url
        )

    def inside_loop() -> str | None:
        async def call() -> str | None:
            return without_loop()

        return asyncio.run(call())

    urls = await asyncio.gather(asyncio.to_thread(without_loop), asyncio.to_thread(inside_loop))

    assert all(url is not None and url.startswith(runway.url) for url in urls)
    assert len(runway.tasks) == 2


async def test_base64_is_the_picture_itself(runway: Sandbox) -> None:
    """`response_format="b64_json"` returns the bytes of a picture of the size asked for."""
    response = await taxiway.aimage_generation(
        PROMPT,
        "runwayml/gen4_image",
        size="1280x720",
        response_format="b64_json",
        api_key="key_x",
        api_base=runway.url,
    )

    picture = Image.open(BytesIO(base64.b64decode(response.data[0].b64_json or "")))

    assert (picture.format, picture.size) == ("PNG", (1280, 720))
    assert response.data[0].url is None


async def test_following_shows_every_state_up_to_the_image(runway: Sandbox) -> None:
    """An iteration yields the job at once, then its progress, and ends with its images."""
    jobs = [
        job
        async for job in taxiway.follow_image_generation(
            model="gen4_image", prompt=PROMPT, api_key="key_x", api_base=runway.url
        )
    ]

    progress = [job.progress for job in jobs]
    assert jobs[0].status == "queued"
    assert progress == sorted(progress)
    assert progress[-1] == 100
    assert [image.size for image in jobs[-1].images] == ["1920x1080"]


async def test_leaving_an_iteration_stops_the_task_at_runway(runway: Sandbox) -> None:
    """Whoever stops following has cancelled: Runway is told."""
    stream = taxiway.follow_image_generation(
        model="gen4_image", prompt=PROMPT, api_key="key_x", api_base=runway.url
    )
    async for job in stream:
        if job.phase == "provider_queue":
            break
    await stream.aclose()

    assert [request.method for request in runway.requests][-1] == "DELETE"


class _Interrupted(BaseException):
    """As `KeyboardInterrupt`, which pytest would take for its own."""


@pytest.mark.looptime(False)
@pytest.mark.parametrize("interrupted", [False, True])
async def test_a_program_that_ends_in_an_iteration_stops_the_task_at_runway(
    runway: Sandbox, interrupted: bool
) -> None:
    """A `break`, or an interrupt, as a program's last act leaves nothing running that is paid for."""
    runway.change(duration_s=30.0)

    async def program() -> None:
        async for job in taxiway.follow_image_generation(
            model="runwayml/gen4_image", prompt=PROMPT, api_key="key_x", api_base=runway.url
        ):
            if job.phase is Phase.RUNNING or (job.attempts and job.attempts[0].upstream_id):
                if interrupted:
                    raise _Interrupted
                break

    for _ in range(4):
        with suppress(_Interrupted):
            await asyncio.to_thread(asyncio.run, program())

    assert ["DELETED"] * 4 == [task.status for task in runway.tasks.values()]


async def test_cancelling_the_call_stops_the_task_at_runway(runway: Sandbox) -> None:
    """A cancelled coroutine leaves nothing running at Runway."""
    call = asyncio.create_task(
        taxiway.aimage_generation(PROMPT, "gen4_image", api_key="key_x", api_base=runway.url)
    )
    await asyncio.sleep(0.7)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert [request.method for request in runway.requests][-1] == "DELETE"


async def test_a_refused_prompt_raises_the_error_that_litellm_users_catch(runway: Sandbox) -> None:
    """Moderation is a `ContentPolicyViolationError`, with the job and Runway's own code on it."""
    runway.faults.add(Fault(on="create", outcome=Outcome(fail="SAFETY.INPUT.TEXT")))
    with pytest.raises(taxiway.ContentPolicyViolationError) as caught:
        await taxiway.aimage_generation(PROMPT, "gen4_image", api_key="key_x", api_base=runway.url)

    error = caught.value
    assert (error.status_code, error.code, error.failure_code) == (
        400,
        "content_policy_violation",
        "SAFETY.INPUT.TEXT",
    )
    assert error.job_id is not None
    assert error.job_id.startswith("job_")
    assert len(runway.tasks) == 1


async def test_a_wrong_argument_is_refused_before_runway_is_asked(runway: Sandbox) -> None:
    """A size that the model does not make raises, and nothing is sent."""
    with pytest.raises(taxiway.BadRequestError) as caught:
        await taxiway.aimage_generation(
            PROMPT, "gen4_image", size="123x45", api_key="key_x", api_base=runway.url
        )

    assert (caught.value.param, caught.value.code) == ("size", "invalid_size")
    assert list(runway.requests) == []


@pytest.mark.parametrize(
    ("param", "value"),
    [
        *(("prompt", each) for each in ("", " ", None, 7)),
        *(("n", each) for each in (0, 11, "2", True)),
        *(("size", 1024), ("quality", 1), ("style", "natural"), ("response_format", "png")),
        *(("seed", each) for each in (-1, 2**32, 1.5)),
        *(("timeout", each) for each in (0, -1, "10", float("nan"))),
        *(("reference_images", each) for each in (7, ["x"], [{"url": "https://a"}])),
        *(("metadata", "x"), ("mask", 7), ("prompt", "half a pair \ud83d"), ("user", "\udc00")),
        *(("model", each) for each in (7, b"gen4_image")),
        *(("num_retries", each) for each in (-1, "2", True)),
        *(("api_key", each) for each in (b"key", 7, "key\nof two lines", "schlüssel")),
        *(
            ("api_base", each)
            for each in ("runway", "ftp://runway", "http://", "http://[::", "http://a?b", 7)
        ),
        *(("api_version", each) for each in (20241106, "latest", "2024-11-06\n2")),
    ],
)
async def test_an_argument_of_another_kind_is_named(
    runway: Sandbox, param: str, value: Any
) -> None:
    """The error says which argument it is and what it must be, and nothing is sent."""
    account = {"api_key": "key_x", "api_base": runway.url}
    arguments = {"prompt": PROMPT, "model": "gen4_image", **account, param: value}
    with pytest.raises(taxiway.BadRequestError, match=f"^{param} must be ") as caught:
        await taxiway.aimage_generation(**arguments)

    assert param == caught.value.param
    assert list(runway.requests) == []


async def test_an_account_may_be_read_from_a_file(
    runway: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line's end behind a key or an address is none of it, as an argument and in the environment."""
    monkeypatch.setenv("RUNWAYML_API_SECRET", "key_x\n")
    for account in ({}, {"api_key": "key_y\n"}):
        await taxiway.aimage_generation(PROMPT, "gen4_image", api_base=f"{runway.url}\n", **account)

    assert len(runway.tasks) == 2


async def test_no_timeout_is_the_usual_one(runway: Sandbox) -> None:
    """`timeout=None` is what a caller passes on who was given none."""
    response = await taxiway.aimage_generation(
        PROMPT, "gen4_image", timeout=None, api_key="key_x", api_base=runway.url
    )

    assert len(response.data) == 1


async def test_without_a_key_nothing_is_asked(
    runway: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where neither the call nor the environment has a key, the error says where to put one."""
    monkeypatch.delenv("RUNWAYML_API_SECRET", raising=False)
    monkeypatch.delenv("RUNWAYML_API_KEY", raising=False)
    with pytest.raises(
        taxiway.AuthenticationError, match="pass api_key, or set RUNWAYML_API_SECRET"
    ):
        await taxiway.aimage_generation(PROMPT, "gen4_image", api_base=runway.url)

    assert list(runway.requests) == []


@pytest.mark.parametrize(
    ("arguments", "usd"),
    [
        pytest.param({"model": "runwayml/gen4_image", "size": "1920x1080"}, 0.08, id="gen4"),
        pytest.param({"model": "gen4_image", "size": "1280x720", "n": 3}, 0.15, id="three of 720p"),
        pytest.param({"model": "gen4_image_turbo"}, 0.02, id="turbo"),
        pytest.param(
            {"model": "gpt_image_2", "size": "3840x2160", "quality": "medium", "n": 3},
            0.33,
            id="4K",
        ),
    ],
)
def test_a_price_is_known_before_asking(arguments: dict[str, object], usd: float) -> None:
    """Without a response, `completion_cost` gives the estimate for model, size, quality and number."""
    assert taxiway.completion_cost(**arguments) == pytest.approx(usd)  # type: ignore[arg-type]


def test_an_unknown_price_is_never_zero() -> None:
    """A model whose price nobody has published raises instead of being free."""
    with pytest.raises(taxiway.ModelNotMappedError):
        taxiway.completion_cost(model="nano_banana_2.1")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param({"data": []}, id="a document"),
        pytest.param("runwayml/gen4_image", id="a model"),
        pytest.param(0, id="a number"),
        pytest.param(ImageResponse(created=1, data=[]), id="without a cost"),
        pytest.param(
            ImageResponse(created=1, data=[], _hidden_params={"response_cost": "much"}),
            id="a cost in words",
        ),
    ],
)
def test_what_carries_no_cost_is_refused_with_what_does(response: Any) -> None:
    """The sentence names the argument, what it accepts, what was given, and how an estimate is had."""
    with pytest.raises(taxiway.BadRequestError) as caught:
        taxiway.completion_cost(completion_response=response)

    assert caught.value.param == "completion_response"
    assert str(caught.value) == (
        "completion_response must be what image_generation has returned, with its cost; this one is of the "
        f"type {type(response).__name__}. Without it, model, size, quality and n give an estimate."
    )


def test_a_cost_that_the_provider_has_not_said_is_never_zero() -> None:
    """A response whose price nobody knows raises instead of being free."""
    response = ImageResponse(created=1, data=[], _hidden_params={"response_cost": None})

    with pytest.raises(taxiway.ModelNotMappedError):
        taxiway.completion_cost(completion_response=response)


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        *(("n", n, "an integer from 1 to 10") for n in (0, -1, 11, 1.0, "2", True)),
        ("size", 7, '"auto" or "WIDTHxHEIGHT" in pixels'),
        ("quality", 7, "a text"),
    ],
)
def test_an_estimate_of_a_wrong_argument_is_refused(name: str, value: Any, accepted: str) -> None:
    """As `image_generation` refuses it: no image has no price."""
    with pytest.raises(taxiway.BadRequestError) as caught:
        taxiway.completion_cost(model="gen4_image", **{name: value})

    assert (str(caught.value), caught.value.param) == (f"{name} must be {accepted}.", name)


def test_importing_taxiway_loads_no_server_no_database_and_no_logging_library() -> None:
    """`import taxiway` is cheap: what a server needs is paid for by those who serve."""
    code = (
        "import sys, taxiway; heavy = {'aiohttp', 'aiohttp.web', 'sqlalchemy', 'structlog', 'pydantic',"
        " 'typer', 'prometheus_client', 'PIL'}; print(sorted(heavy & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == "[]"


def test_the_python_api_itself_needs_no_server_and_no_database() -> None:
    """Using the API loads neither `aiohttp.web` nor SQLAlchemy nor structlog."""
    code = (
        "import sys, taxiway; taxiway.image_generation; heavy = {'aiohttp.web', 'sqlalchemy', 'structlog',"
        " 'pydantic', 'typer', 'prometheus_client'}; print(sorted(heavy & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == "[]"


def test_every_public_name_exists() -> None:
    """What `__all__` promises can be had, and nothing is missing from it."""
    assert [name for name in taxiway.__all__ if getattr(taxiway, name, None) is None] == []
    assert sorted(taxiway.__all__) == sorted({*taxiway._HOME_OF, "Timeout"})
