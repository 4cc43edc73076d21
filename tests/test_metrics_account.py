"""The account at the provider: read once a minute, for nothing, and shown where somebody will look."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from taxiway.errors import ProviderUnavailableError
from taxiway.logs import Logs
from taxiway.metrics import Metrics
from taxiway.providers.runway_account import (
    Account,
    ModelLimits,
    RunwayAccount,
    open_accounts,
)
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server.account_watch import ACCOUNT_PERIOD_S, watch_accounts
from taxiway.server.running import listening
from taxiway.settings import Deployment, Secret

KEY = Secret("key_of_the_tests")


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """An account with 1,000 credits that may make three at once and 200 a day of one model."""
    return SandboxSettings(
        pictures="plain",
        balance=1_000,
        api_keys=("key_of_the_tests",),
        concurrency={"gen4_image": 3},
        daily_quota={"gen4_image": 200},
    )


@pytest.fixture
def metrics() -> Metrics:
    """The numbers of a service with two models on the account."""
    return Metrics(["fast", "gpt_image_2"], version="1")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """The pool of connections."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def deployments(sandbox: Sandbox) -> list[Deployment]:
    """Two models that are bought on one account."""
    return [
        Deployment(
            id=f"{name}-1",
            model_name=name,
            provider="runwayml",
            model=model,
            api_key=KEY,
            api_base=sandbox.url,
        )
        for name, model in (("fast", "gen4_image"), ("gpt_image_2", "gpt_image_2"))
    ]


@pytest.fixture
def account(
    deployments: list[Deployment], session: aiohttp.ClientSession, metrics: Metrics, logs: Logs
) -> RunwayAccount:
    """The account of both."""
    [account] = open_accounts(deployments, session=session, instruments=metrics, note=logs.note)
    return account


@pytest.fixture
def watch(
    deployments: list[Deployment], session: aiohttp.ClientSession, metrics: Metrics, logs: Logs
) -> Coroutine[None, None, None]:
    """The background task."""
    return watch_accounts(
        lambda: tuple(deployments), session=session, metrics=metrics, note=logs.note
    )


@asynccontextmanager
async def running(watch: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Let the background task run while the context lasts, which must not end by itself."""
    task = asyncio.create_task(watch)
    yield
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


def shown(metrics: Metrics, *names: str) -> dict[str, float]:
    """The series of these metrics, written as in PromQL."""
    body, _ = metrics.render(None)
    return {
        f"{sample.name}{{{','.join(f'{k}={v}' for k, v in sorted(sample.labels.items()))}}}": (
            sample.value
        )
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name in names
    }


ACCOUNT_NUMBERS = (
    "taxiway_upstream_credits_balance",
    "taxiway_upstream_slots",
    "taxiway_upstream_daily_generations_remaining",
)


async def test_an_account_is_read(account: RunwayAccount, sandbox: Sandbox) -> None:
    """One free GET tells the credits, and what each model may still do; no limit is None."""
    seen = await account.account()
    limits = {model: seen.limits[model] for model in ("gen4_image", "gpt_image_2")}

    assert seen.credits == 1_000
    assert limits == {
        "gen4_image": ModelLimits(slots=3, daily_remaining=200),
        "gpt_image_2": ModelLimits(slots=None, daily_remaining=None),
    }
    assert [(each.method, each.path) for each in sandbox.requests] == [("GET", "/v1/organization")]


async def test_an_account_is_shown_once_a_minute(
    watch: Coroutine[None, None, None], metrics: Metrics, sandbox: Sandbox
) -> None:
    """The first look comes soon, the others a minute apart; what is shown bears our names of the models."""
    async with running(watch):
        await asyncio.sleep(ACCOUNT_PERIOD_S * 2.5)

    assert len(sandbox.requests) == 3
    assert shown(metrics, *ACCOUNT_NUMBERS) == {
        "taxiway_upstream_credits_balance{account=runwayml-1}": 1_000,
        "taxiway_upstream_slots{account=runwayml-1,model=fast}": 3,
        "taxiway_upstream_daily_generations_remaining{account=runwayml-1,model=fast}": 200,
    }


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param("organization:500", "500", id="an error there"),
        pytest.param("organization:429", "429", id="too many calls"),
        pytest.param("organization:html", "200", id="a page instead of JSON"),
        pytest.param("organization:truncated", "200", id="half an answer"),
        pytest.param("organization:cut", "error", id="no answer"),
    ],
)
async def test_a_failed_look_is_counted_and_changes_nothing(
    watch: Coroutine[None, None, None],
    metrics: Metrics,
    sandbox: Sandbox,
    fault: str,
    code: str,
) -> None:
    """What was last known stays on the page; the failure is in the numbers of the task and of the calls."""
    async with running(watch):
        await asyncio.sleep(ACCOUNT_PERIOD_S / 2)
        sandbox.faults.add(fault)
        await asyncio.sleep(ACCOUNT_PERIOD_S)
    counts = shown(
        metrics,
        "taxiway_background_task_failures_total",
        "taxiway_upstream_request_duration_seconds_count",
    )
    counted = {key for key, number in counts.items() if number and code in key}

    assert counts["taxiway_background_task_failures_total{task=account}"] == 1
    assert counted == {
        f"taxiway_upstream_request_duration_seconds_count{{code={code},operation=account}}"
    }
    assert (
        shown(metrics, ACCOUNT_NUMBERS[0])["taxiway_upstream_credits_balance{account=runwayml-1}"]
        == 1_000
    )


async def test_a_configuration_that_is_read_anew_is_followed(
    watch: Coroutine[None, None, None], deployments: list[Deployment], metrics: Metrics
) -> None:
    """An account that is no longer used leaves the page with the next look; another one takes its number."""
    async with running(watch):
        await asyncio.sleep(ACCOUNT_PERIOD_S / 2)
        before = shown(metrics, *ACCOUNT_NUMBERS)
        deployments[:] = [replace(deployments[0], api_key=Secret("unknown there"))]
        await asyncio.sleep(ACCOUNT_PERIOD_S)
        refused = shown(metrics, *ACCOUNT_NUMBERS)
        deployments.clear()
        await asyncio.sleep(ACCOUNT_PERIOD_S)

    assert len(before) == 3
    assert refused == {}
    assert shown(metrics, *ACCOUNT_NUMBERS) == {}


async def test_a_refused_key_is_said_once(
    account: RunwayAccount,
    metrics: Metrics,
    sandbox: Sandbox,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """A key that is not accepted is an error in the log, before any job has failed of it; and then silence."""
    sandbox.faults.add("organization:401")
    for _ in range(3):
        with pytest.raises(ProviderUnavailableError):
            await account.account()
    events = [line["event"] for line in log_lines() if line["level"] == "error"]

    assert events == ["upstream.auth_refused"]


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        pytest.param({}, Account(credits=None, limits={}), id="empty"),
        pytest.param(
            {"creditBalance": True, "tier": [], "usage": "none"},
            Account(credits=None, limits={}),
            id="of other types",
        ),
        pytest.param(
            {
                "creditBalance": 5,
                "tier": {"models": {"gen4_image": {"maxDailyGenerations": 3}, "odd": 1}},
                "usage": {"models": {"gen4_image": {"dailyGenerations": 9}}},
            },
            Account(credits=5, limits={"gen4_image": ModelLimits(slots=None, daily_remaining=0)}),
            id="over the quota",
        ),
    ],
)
async def test_an_answer_in_another_form_harms_nobody(
    answer: dict[str, Any],
    seen: Account,
    deployments: list[Deployment],
    session: aiohttp.ClientSession,
    metrics: Metrics,
    logs: Logs,
) -> None:
    """What the vendor does not say, or says otherwise than published, is unknown and not zero."""

    async def organization(_request: web.Request) -> web.Response:
        return web.json_response(answer)

    app = web.Application()
    app.router.add_get("/v1/organization", organization)
    async with listening(app, host="127.0.0.1", port=0) as url:
        moved = [replace(each, api_base=url) for each in deployments]
        [account] = open_accounts(moved, session=session, instruments=metrics, note=logs.note)

        assert await account.account() == seen


async def test_one_account_for_each_key(
    deployments: list[Deployment], session: aiohttp.ClientSession, metrics: Metrics, logs: Logs
) -> None:
    """Deployments that share a key share an account; one without a key has none."""
    other = replace(deployments[0], id="other", api_key=Secret("another"))
    keyless = replace(deployments[0], id="keyless", api_key=None)
    accounts = open_accounts(
        [*deployments, other, keyless], session=session, instruments=metrics, note=logs.note
    )

    assert [(account.name, account.models) for account in accounts] == [
        ("runwayml-1", (("fast", "gen4_image"), ("gpt_image_2", "gpt_image_2"))),
        ("runwayml-2", (("fast", "gen4_image"),)),
    ]
