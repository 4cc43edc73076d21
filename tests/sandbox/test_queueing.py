"""Tasks over the concurrency wait in line, model by model."""

import asyncio

from tests.sandbox.callers import (
    Start,
)


async def test_tasks_over_the_concurrency_are_throttled_and_let_in_in_order(start: Start) -> None:
    """With room for two, the third and fourth wait as THROTTLED and go on first in, first out."""
    _, caller = await start(concurrency=2, duration_s=2, queue_s=1)
    ids = [await caller.create() for _ in range(5)]

    async def statuses() -> list[str]:
        return [(await caller.get(each))["status"] for each in ids]

    assert await statuses() == ["PENDING", "PENDING", "THROTTLED", "THROTTLED", "THROTTLED"]
    await asyncio.sleep(3.1)
    assert await statuses() == ["SUCCEEDED", "SUCCEEDED", "PENDING", "PENDING", "THROTTLED"]
    await asyncio.sleep(3)
    assert await statuses() == ["SUCCEEDED"] * 4 + ["PENDING"]
    await asyncio.sleep(3)
    assert await statuses() == ["SUCCEEDED"] * 5


async def test_a_task_deleted_in_line_is_never_let_in(start: Start) -> None:
    """When room is made later, the one behind it gets it."""
    sandbox, caller = await start(concurrency=1, duration_s=2, queue_s=0)
    _, second, third = [await caller.create() for _ in range(3)]
    await caller.ask("DELETE", f"/v1/tasks/{second}")
    await asyncio.sleep(2.1)

    assert [sandbox.tasks[each].status for each in (second, third)] == ["DELETED", "RUNNING"]


async def test_a_deleted_task_makes_room_at_once(start: Start) -> None:
    """The next in line starts when an active task is cancelled; a cancelled one in line is skipped."""
    _, caller = await start(concurrency=1)
    first, second, third = [await caller.create() for _ in range(3)]
    for task_id in (second, first):
        await caller.ask("DELETE", f"/v1/tasks/{task_id}")

    assert (await caller.get(third))["status"] == "PENDING"


async def test_concurrency_is_per_model_and_can_be_raised(start: Start) -> None:
    """A limit for one model leaves the others alone, and a higher one lets the waiting in."""
    sandbox, caller = await start(concurrency={"gen4_image": 1})
    first, second = await caller.create(), await caller.create()
    other = await caller.create(model="muse_image", ratio="auto")
    seen = [sandbox.tasks[each].status for each in (first, second, other)]
    sandbox.change(concurrency=None)

    assert ["PENDING", "THROTTLED", "PENDING"] == seen
    assert sandbox.tasks[second].status == "PENDING"
