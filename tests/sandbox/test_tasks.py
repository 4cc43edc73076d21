"""The sandbox: a local Runway whose tasks live and end as the real ones do."""

import asyncio
import re

import pytest
from tests.sandbox.callers import (
    BODY,
    GONE,
    Caller,
    Start,
)


async def test_create_answers_with_an_id_and_an_estimate_and_nothing_else(caller: Caller) -> None:
    """A create answers 200 with a uuid v4 and the most the task may cost."""
    status, answer = await caller.ask("POST", "/v1/text_to_image", json=BODY)

    assert (status, answer) == (200, {"id": answer["id"], "estimatedCost": {"credits": 8}})
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", answer["id"]
    )


async def test_a_task_is_pending_then_running_then_succeeded(caller: Caller) -> None:
    """Each status shows its own keys: an estimate while active, a cost in the end."""
    task_id = await caller.create()
    seen = []
    for wait_s in (0.0, 0.6, 3.0, 3.0):
        await asyncio.sleep(wait_s)
        seen.append(await caller.get(task_id))
    common = {"id": task_id, "createdAt": seen[0]["createdAt"]}
    estimate = {"estimatedCost": {"credits": 8}}
    expected = [
        {**common, "status": "PENDING", **estimate},
        {**common, "status": "RUNNING", "progress": 0.02, **estimate},
        {**common, "status": "RUNNING", "progress": 0.5, **estimate},
        {**common, "status": "SUCCEEDED", "output": seen[3]["output"], "cost": {"credits": 8}},
    ]

    assert expected == seen
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", seen[0]["createdAt"])


async def test_state_comes_from_the_clock_and_not_from_polls(start: Start) -> None:
    """A task that nobody polled is as far on as one that everybody did."""
    sandbox, caller = await start(duration_s=6, queue_s=1)
    watched, ignored = await caller.create(), await caller.create()
    for _ in range(70):
        await caller.get(watched)
        await asyncio.sleep(0.1)

    assert [sandbox.tasks[each].status for each in (watched, ignored)] == ["SUCCEEDED"] * 2
    assert [sandbox.tasks[each].polls for each in (watched, ignored)] == [70, 0]
    assert sandbox.tasks[watched].smallest_gap_s == pytest.approx(0.1, abs=0.01)


async def test_progress_moves_on_ticks_only(start: Start) -> None:
    """Between two ticks every poll reads the same progress, always within 0 and 1."""
    _, caller = await start(duration_s=10, queue_s=0, progress_tick_s=5)
    task_id = await caller.create()
    seen = []
    for _ in range(9):
        await asyncio.sleep(1)
        seen.append((await caller.get(task_id))["progress"])

    assert [0.02] * 4 + [0.5] * 5 == seen


async def test_the_time_scale_shortens_a_life_and_leaves_dates_alone(start: Start) -> None:
    """At a hundred times the speed a task of 6.5 s is over in 65 ms."""
    _, caller = await start(time_scale=100)
    task_id = await caller.create()
    before = await caller.get(task_id)
    await asyncio.sleep(0.07)
    after = await caller.get(task_id)

    assert ("PENDING", "SUCCEEDED") == (before["status"], after["status"])
    assert before["createdAt"] == after["createdAt"]


async def test_durations_vary_when_asked_and_alike_in_each_run(start: Start) -> None:
    """Jitter comes from the seed, so two runs have the same durations."""
    lives = []
    for _ in range(2):
        sandbox, caller = await start(jitter=0.5, seed=3)
        for _ in range(4):
            await caller.create()
        lives.append([round(task.running_s, 6) for task in sandbox.tasks.values()])

    assert lives[0] == lives[1]
    assert len(set(lives[0])) == 4
    assert all(3 <= life <= 9 for life in lives[0])


async def test_delete_answers_204_without_a_body_and_404_ever_after(caller: Caller) -> None:
    """A deleted task is unknown to GET and DELETE alike."""
    path = f"/v1/tasks/{await caller.create()}"
    answers = [await caller.ask(method, path) for method in ("DELETE", "GET", "DELETE")]

    assert [(204, None), GONE, GONE] == answers


@pytest.mark.parametrize(
    "task_id",
    [
        pytest.param("5b0a3c52-6f0e-4f0b-9a53-2d7f6d1b8a10", id="never issued"),
        pytest.param("not-a-uuid", id="no uuid"),
    ],
)
async def test_an_unknown_id_is_a_404(caller: Caller, task_id: str) -> None:
    """An id that was never given out cannot be told from a deleted one."""
    assert await caller.ask("GET", f"/v1/tasks/{task_id}") == GONE
