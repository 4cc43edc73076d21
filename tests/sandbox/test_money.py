"""What tasks cost at the sandbox: estimates, balance, quota, refunds, usage."""

import asyncio
from typing import Any

import pytest
from tests.days import outlast_midnight
from tests.sandbox.callers import (
    BODY,
    DOC_URL,
    GROK,
    IDEOGRAM,
    PRO,
    REFERENCE,
    Caller,
    Start,
)


@pytest.mark.parametrize(
    ("changes", "price"),
    [
        ({"ratio": "1280:720"}, 5),
        ({"ratio": "1920:1080"}, 8),
        (
            {"model": "gen4_image_turbo", "ratio": "1024:1024", "referenceImages": [REFERENCE] * 2},
            2,
        ),
        ({"model": "gpt_image_2", "ratio": "1920:1920"}, 20),
        ({"model": "gpt_image_2", "ratio": "auto", "outputCount": 2}, 82),
        ({"model": "gpt_image_2", "ratio": "3840:2160", "quality": "medium", "outputCount": 3}, 33),
        ({**PRO, "ratio": "2752:1536", "outputCount": 4}, 80),
        ({**PRO, "ratio": "4096:4096"}, 40),
        ({"model": "seedream5_pro", "ratio": "2720:1530"}, 9),
        ({"model": "seedream5_lite", "ratio": "2048:2048", "outputCount": 4}, 16),
        (
            {
                **GROK,
                "ratio": "2816:1584",
                "quality": "medium",
                "outputCount": 2,
                "referenceImages": [REFERENCE] * 3,
            },
            19,
        ),
        ({**GROK, "quality": "low"}, 4),
        ({"model": "muse_image", "ratio": "auto", "outputCount": 10}, 10),
        ({"model": "bria_fibo_1_5", "ratio": "2048:1152"}, 10),
        ({**IDEOGRAM, "ratio": "1024:1024"}, 25),
        ({**IDEOGRAM, "ratio": "1024:1024", "referenceImages": [REFERENCE]}, 8),
        ({"model": "ideogram_4_0", "ratio": "2048:2048"}, 11),
        ({"model": "nano_banana_2.1", "ratio": "1024:1024"}, 10),
    ],
)
async def test_the_estimate_follows_the_price_list(
    caller: Caller, changes: dict[str, Any], price: int
) -> None:
    """Each order has its price; where none is published, the configured 10 a picture."""
    _, answer = await caller.ask("POST", "/v1/text_to_image", json=BODY | changes)

    assert answer["estimatedCost"] == {"credits": price}


async def test_an_empty_balance_refuses_without_issues_task_or_charge(start: Start) -> None:
    """Missing credits are a plain 400."""
    sandbox, caller = await start(balance=7)
    answer = await caller.ask("POST", "/v1/text_to_image", json=BODY)

    text = "You do not have enough credits to run this task."
    assert answer == (400, {"error": text, "docUrl": DOC_URL})
    assert (sandbox.balance, len(sandbox.tasks), sandbox.charged_credits) == (7, 0, 0)


async def test_a_used_up_quota_is_a_429_until_a_day_has_passed(start: Start) -> None:
    """The daily quota rolls: one task each 24 h, counted for each model."""
    sandbox, caller = await start(daily_quota=1)
    first = await caller.create()
    refused = await caller.ask("POST", "/v1/text_to_image", json=BODY)
    await asyncio.sleep(86_400)
    later = await caller.create()

    text = "Your daily task limit has been reached."
    assert refused == (429, {"error": text, "docUrl": DOC_URL})
    assert list(sandbox.tasks) == [first, later]


@pytest.mark.parametrize(
    ("wait_s", "status", "refunded"),
    [
        pytest.param(0.0, "PENDING", 8, id="pending"),
        pytest.param(1.0, "RUNNING", 0, id="running"),
        pytest.param(9.0, "SUCCEEDED", 0, id="succeeded"),
    ],
)
async def test_a_cancel_gives_back_only_what_has_not_started(
    start: Start, wait_s: float, status: str, refunded: int
) -> None:
    """The balance falls at the create; a DELETE returns it while PENDING and not from RUNNING on."""
    sandbox, caller = await start(balance=100)
    task_id = await caller.create()
    fallen = sandbox.balance
    await asyncio.sleep(wait_s)
    await caller.ask("DELETE", f"/v1/tasks/{task_id}")
    task = sandbox.tasks[task_id]

    assert (92, 92 + refunded) == (fallen, sandbox.balance)
    assert (task.status, task.status_when_deleted) == ("DELETED", status)
    assert (task.charged, task.refunded, sandbox.refunded_credits) == (8, refunded, refunded)


async def test_a_throttled_task_is_refunded_too(start: Start) -> None:
    """A task in line has not started."""
    sandbox, caller = await start(concurrency=1)
    await caller.create()
    await caller.ask("DELETE", f"/v1/tasks/{await caller.create()}")

    assert (sandbox.charged_credits, sandbox.refunded_credits) == (16, 8)


async def test_the_organization_tells_balance_limits_and_counts(start: Start) -> None:
    """`GET /v1/organization` is true to what happened; null means no limit."""
    _, caller = await start(balance=100, concurrency=3, daily_quota={"gen4_image": 200})
    await caller.create()
    _, answer = await caller.ask("GET", "/v1/organization")
    limits = answer["tier"]["models"]

    assert sorted(answer) == ["creditBalance", "tier", "usage"]
    assert answer["creditBalance"] == 92
    assert limits["gen4_image"] == {"maxConcurrentGenerations": 3, "maxDailyGenerations": 200}
    assert limits["muse_image"] == {"maxConcurrentGenerations": 3, "maxDailyGenerations": None}
    assert answer["usage"]["models"]["gen4_image"] == {"dailyGenerations": 1}
    assert len(answer["usage"]["models"]) == 21


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"startDate": "yesterday"}, id="no date"),
        pytest.param({"startDate": "2026-01-01", "beforeDate": "2026-01-01"}, id="no day"),
        pytest.param(
            {"startDate": "2026-01-01", "beforeDate": "2026-06-01"}, id="more than 90 days"
        ),
        pytest.param([], id="no object"),
    ],
)
async def test_usage_refuses_a_senseless_range(caller: Caller, body: Any) -> None:
    """From 1 to 90 days, in dates, can be asked for."""
    status, answer = await caller.ask("POST", "/v1/organization/usage", json=body)

    assert (status, sorted(answer)) == (400, ["docUrl", "error"])


@pytest.fixture
def one_day() -> None:
    """A day that does not end before the test."""
    outlast_midnight(within_s=5)


@pytest.mark.usefixtures("one_day")
async def test_usage_shows_net_credits_by_day_and_model(caller: Caller) -> None:
    """What was given back is taken off; the end of a range is exclusive."""
    await caller.create()
    await caller.create(model="muse_image", ratio="auto")
    await caller.ask("DELETE", f"/v1/tasks/{await caller.create(ratio='1280:720')}")
    _, answer = await caller.ask("POST", "/v1/organization/usage", json={})
    (today,) = answer["results"]
    _, past = await caller.ask("POST", "/v1/organization/usage", json={"beforeDate": today["date"]})

    assert today["usedCredits"] == [
        {"model": "gen4_image", "amount": 8},
        {"model": "muse_image", "amount": 1},
    ]
    assert answer["models"] == ["gen4_image", "muse_image"]
    assert past == {"results": [], "models": []}
