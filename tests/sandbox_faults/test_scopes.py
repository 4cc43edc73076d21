"""Whom a fault strikes: the next, some of them, a model, a prompt, a task."""

import asyncio

from tests.sandbox_faults.callers import Start, statuses

from taxiway.sandbox import Fault, Outcome, Step
from taxiway.sandbox.marks import marks_in


async def test_a_fault_strikes_the_next_requests_only(start: Start) -> None:
    """`times` ends it, `skip` lets the first ones through."""
    sandbox, caller = await start()
    sandbox.faults.add("create:503 times=2 skip=1")

    assert await statuses(caller, 5) == [200, 503, 503, 200, 200]


async def test_a_fault_strikes_with_a_seeded_probability(start: Start) -> None:
    """The same seed draws the same lots, another seed others, and the share is right."""
    runs = []
    for seed in (7, 7, 8):
        sandbox, caller = await start()
        sandbox.faults.add(Fault(on="create", status=502, probability=0.3, seed=seed))
        runs.append(await statuses(caller, 60))

    assert runs[0] == runs[1] != runs[2]
    assert 10 <= runs[0].count(502) <= 26


async def test_a_fault_strikes_one_model_or_one_prompt(start: Start) -> None:
    """The scope may be a model, or a piece of the prompt."""
    sandbox, caller = await start()
    sandbox.faults.add("create:500 model=muse_image")
    sandbox.faults.add("create:502 prompt=badger")
    muse = {"model": "muse_image", "ratio": "auto"}

    assert await statuses(caller, 1) == [200]
    assert await statuses(caller, 1, **muse) == [500]
    assert await statuses(caller, 1, promptText="a badger") == [502]


async def test_a_fault_strikes_one_task_or_each_task_once(start: Start) -> None:
    """`task` names one; `per_task=1` is one bad poll in the life of each."""
    sandbox, caller = await start()
    first, second = await caller.create(), await caller.create()
    sandbox.faults.add(f"poll:500 task={first} times=1")
    sandbox.faults.add("poll:502 per_task=1")
    seen = [[(await caller.poll(each))[0] for _ in range(3)] for each in (first, second)]

    assert seen == [[500, 502, 200], [502, 200, 200]]


async def test_a_fault_lasts_for_a_while(start: Start) -> None:
    """A key that is being rotated is refused for some seconds."""
    sandbox, caller = await start()
    task_id = await caller.create()
    sandbox.faults.add("poll:401 for=2")
    before = (await caller.poll(task_id))[0]
    await asyncio.sleep(2)

    assert (before, (await caller.poll(task_id))[0]) == (401, 200)


async def test_steps_of_a_script_are_taken_one_by_one(start: Start) -> None:
    """`will` takes outcomes, faults, both together, and texts, for one create each."""
    sandbox, caller = await start(duration_s=1)
    sandbox.will(
        Outcome(fail="INTERNAL"),
        "ok",
        Step(outcome=Outcome(cancelled=True), faults=(Fault(on="poll", status=500, times=1),)),
        Fault(on="create", status=503),
    )
    ids = [await caller.create() for _ in range(3)]
    refused = (await caller.post())[0]
    first_polls = [(await caller.poll(each))[0] for each in ids]

    assert ([200, 200, 500], 503) == (first_polls, refused)
    await asyncio.sleep(2)
    ends = [(await caller.get(each))["status"] for each in ids]
    assert ends == ["FAILED", "SUCCEEDED", "CANCELLED"]


async def test_marks_in_a_prompt_hold_for_that_prompt_alone(start: Start) -> None:
    """Whoever types a mark gets the fault; polls count anew for each task, creates for the prompt."""
    _, caller = await start()
    prompt = "a fox [[create:503 times=1]] [[poll:502 times=1]] [[slow:20]]"
    first = (await caller.post(promptText=prompt))[0]
    ids = [await caller.create(prompt) for _ in range(2)]
    polls = [[(await caller.poll(each))[0] for _ in range(2)] for each in ids]
    await asyncio.sleep(20)

    assert (503, [[502, 200], [502, 200]]) == (first, polls)
    assert (await caller.get(ids[0]))["status"] == "RUNNING"


async def test_what_is_no_mark_is_plain_text(start: Start) -> None:
    """A prompt is never refused for what stands in its brackets."""
    _, caller = await start()

    assert await caller.create("a fox [[nonsense:7]] [[Fail:X]] [[]] [[poll:never]]")
    assert marks_in("a fox [[nonsense:7]]") is None
