"""How a task fares: stuck, failed, vanished, dear."""

import asyncio
from typing import Any

import pytest
from tests.sandbox_faults.callers import WHOLE, Start, life


@pytest.mark.parametrize("status", ["PENDING", "THROTTLED", "RUNNING"])
async def test_a_task_gets_stuck(start: Start, status: str) -> None:
    """It stays what it is, for ever."""
    _, caller = await start()
    seen = await life(caller, f"a fox [[stuck:{status}]]", 1, 100_000)

    assert [each["status"] for each in seen] == [status, status]
    assert all(each["estimatedCost"] == WHOLE for each in seen)


@pytest.mark.parametrize(
    ("mark", "failure", "cost"),
    [
        pytest.param(
            "fail:SAFETY.INPUT.TEXT",
            {"failureCode": "SAFETY.INPUT.TEXT"},
            WHOLE,
            id="safety is charged",
        ),
        pytest.param(
            "fail:SAFETY.OUTPUT.IMAGE",
            {"failureCode": "SAFETY.OUTPUT.IMAGE"},
            WHOLE,
            id="output too",
        ),
        pytest.param(
            "fail:INTERNAL", {"failureCode": "INTERNAL"}, {"credits": 0}, id="internal is not"
        ),
        pytest.param(
            "fail:INTERNAL.BAD_OUTPUT.CODE01",
            {"failureCode": "INTERNAL.BAD_OUTPUT.CODE01"},
            {"credits": 0},
            id="bad output",
        ),
        pytest.param(
            "fail:ASSET.INVALID", {"failureCode": "ASSET.INVALID"}, {"credits": 0}, id="asset"
        ),
        pytest.param("fail:null", {"failureCode": None}, {"credits": 0}, id="code null"),
        pytest.param("fail:absent", {}, {"credits": 0}, id="code absent"),
        pytest.param(
            "fail:INTERNAL]] [[cost:full",
            {"failureCode": "INTERNAL"},
            WHOLE,
            id="charged all the same",
        ),
        pytest.param(
            "fail:SAFETY.INPUT.TEXT]] [[cost:0",
            {"failureCode": "SAFETY.INPUT.TEXT"},
            {"credits": 0},
            id="for nothing all the same",
        ),
        pytest.param(
            "fail:INTERNAL]] [[cost:absent", {"failureCode": "INTERNAL"}, None, id="cost absent"
        ),
    ],
)
async def test_a_task_fails_with_a_code(
    start: Start, mark: str, failure: dict[str, Any], cost: dict[str, int] | None
) -> None:
    """FAILED with any code, none included, and a cost by the rules or by decree."""
    sandbox, caller = await start()
    (seen,) = await life(caller, f"a fox [[{mark}]]", 7)
    text = seen.pop("failure")

    expected = {"id": seen["id"], "createdAt": seen["createdAt"], "status": "FAILED", **failure}
    assert seen == expected | ({"cost": cost} if cost else {})
    assert text
    spent = 5 if cost is None else cost["credits"]
    assert sandbox.charged_credits - sandbox.refunded_credits == spent


@pytest.mark.parametrize(
    ("settings", "code", "cost"),
    [
        pytest.param({"charge_safety": False}, "SAFETY.INPUT.TEXT", 0, id="safety for nothing"),
        pytest.param({"charge_internal": True}, "INTERNAL", 5, id="internal charged"),
    ],
)
async def test_what_failures_cost_can_be_switched(
    start: Start, settings: dict[str, bool], code: str, cost: int
) -> None:
    """The sources contradict one another, so both ways can be tried."""
    _, caller = await start(**settings)
    (seen,) = await life(caller, f"a fox [[fail:{code}]]", 7)

    assert seen["cost"] == {"credits": cost}


async def test_a_task_fails_before_it_is_seen_running(start: Start) -> None:
    """Input moderation strikes from PENDING."""
    _, caller = await start(queue_s=2)
    seen = await life(caller, "a fox [[fail:SAFETY.INPUT.TEXT at=PENDING]]", 1.9, 2.1)

    assert [each["status"] for each in seen] == ["PENDING", "FAILED"]


async def test_a_task_is_cancelled_by_nobody(start: Start) -> None:
    """CANCELLED appears without a DELETE, and costs nothing."""
    _, caller = await start()
    (seen,) = await life(caller, "a fox [[cancelled]]", 7)

    expected = {"id": seen["id"], "createdAt": seen["createdAt"], "status": "CANCELLED"}
    assert seen == expected | {"cost": {"credits": 0}}


async def test_a_task_vanishes(start: Start) -> None:
    """It turns into a 404 by itself, and nothing comes back."""
    sandbox, caller = await start()
    seen = await life(caller, "a fox [[vanish at=PENDING]]", 0.1, 1)

    assert (seen[0]["status"], seen[1]) == ("PENDING", 404)
    assert (sandbox.charged_credits, sandbox.refunded_credits) == (5, 0)


async def test_a_cancel_comes_too_late(start: Start) -> None:
    """In a race the task had just finished: 204, and nothing is given back."""
    sandbox, caller = await start()
    task_id = await caller.create("a fox [[race]]")
    before = (await caller.get(task_id))["status"]
    answer = await caller.ask("DELETE", f"/v1/tasks/{task_id}")

    assert (before, answer) == ("PENDING", (204, b""))
    assert sandbox.refunded_credits == 0
    assert (await caller.poll(task_id))[0] == 404


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param("frozen", [0.02, 0.26, 0.4, 0.4], id="frozen"),
        pytest.param("backwards", [0.02, 0, 0.5, 0.44], id="backwards"),
        pytest.param("early", [1, 1, 1, 1], id="early"),
        pytest.param("absent", [None] * 4, id="absent"),
    ],
)
async def test_progress_misbehaves(start: Start, kind: str, expected: list[float | None]) -> None:
    """It may freeze, fall, claim the end too early, or not be there."""
    _, caller = await start(queue_s=0, duration_s=4, progress_tick_s=1)
    seen = await life(caller, f"a fox [[progress:{kind}]]", 0.1, 1.1, 2.1, 3.1)
    shown = [each.get("progress") for each in seen]

    assert expected == shown
    assert {each["status"] for each in seen} == {"RUNNING"}


@pytest.mark.parametrize(
    ("mark", "cost", "refunded"),
    [
        pytest.param("cost:3", {"credits": 3}, 2, id="below the estimate"),
        pytest.param("cost:0", {"credits": 0}, 5, id="nothing"),
        pytest.param("cost:absent", None, 0, id="absent"),
    ],
)
async def test_the_final_cost_differs(
    start: Start, mark: str, cost: dict[str, int] | None, refunded: int
) -> None:
    """A success may cost less than estimated, or not say what it cost."""
    sandbox, caller = await start()
    (seen,) = await life(caller, f"a fox [[{mark}]]", 7)

    assert (seen["status"], seen.get("cost")) == ("SUCCEEDED", cost)
    assert sandbox.refunded_credits == refunded


@pytest.mark.parametrize(
    ("kind", "output"),
    [
        pytest.param("none", {"output": []}, id="empty list"),
        pytest.param("null", {"output": None}, id="null"),
        pytest.param("absent", {}, id="absent"),
    ],
)
async def test_a_success_may_have_nothing_to_show(
    start: Start, kind: str, output: dict[str, Any]
) -> None:
    """SUCCEEDED and charged, without a picture."""
    _, caller = await start()
    (seen,) = await life(caller, f"a fox [[outputs:{kind}]]", 7)

    expected = {"id": seen["id"], "createdAt": seen["createdAt"], "status": "SUCCEEDED"}
    assert seen == expected | {"cost": WHOLE} | output


async def test_a_success_may_have_fewer_pictures(start: Start) -> None:
    """Of four that were asked for, three come."""
    _, caller = await start()
    task_id = await caller.create(
        "a fox [[outputs:fewer]]", model="seedream5_lite", ratio="2048:2048", outputCount=4
    )
    await asyncio.sleep(7)

    assert len((await caller.get(task_id))["output"]) == 3
