"""What a test may look at, and set, while the sandbox runs."""

import asyncio
import re
from typing import Any

import aiohttp
import pytest
from tests.sandbox.callers import (
    GONE,
    Caller,
    Start,
)

from taxiway.sandbox import Sandbox, SandboxSettings, serve


async def test_the_request_log_holds_everything_but_the_key(start: Start) -> None:
    """Each request is logged with its body and headers; long strings are shortened, keys left out."""
    sandbox, caller = await start()
    task_id = await caller.create(referenceImages=[{"uri": "data:image/png;base64," + "A" * 4_000}])
    await caller.get(task_id)
    create, poll = sandbox.requests

    assert (create.method, create.path, create.status) == ("POST", "/v1/text_to_image", 200)
    assert create.body["promptText"] == "a red fox"
    assert create.body["referenceImages"][0]["uri"].endswith("characters)")
    assert create.headers["x-runway-version"] == "2024-11-06"
    assert "authorization" not in create.headers
    assert (poll.method, poll.path) == ("GET", f"/v1/tasks/{task_id}")


async def test_the_state_tells_what_a_test_wants_to_know(start: Start) -> None:
    """One look shows tasks, creates by prompt, polls and their gap, money, leaks, connections."""
    _, caller = await start(balance=100)
    task_id = await caller.create()
    await caller.create()
    await caller.get(task_id)
    await asyncio.sleep(2)
    await caller.get(task_id)
    status, state = await caller.ask("GET", "/sandbox/state")
    gap = state.pop("smallest_poll_gap_s")

    assert status == 200
    assert gap == pytest.approx(2, abs=0.05)
    assert state == {
        "tasks": 2,
        "statuses": {"RUNNING": 2},
        "polls": 2,
        "creates_by_prompt": {"a red fox": 2},
        "requests": 4,
        "open_connections": 1,
        "balance": 84,
        "charged_credits": 16,
        "refunded_credits": 0,
        "leaks": [],
    }


async def test_settings_change_while_it_runs(start: Start) -> None:
    """New settings hold for new tasks, and a wrong one is refused with a sentence."""
    sandbox, caller = await start()
    _, now = await caller.ask("POST", "/sandbox/settings", json={"balance": 3, "duration_s": 1})
    refused = await caller.ask("POST", "/sandbox/settings", json={"balanse": 3})
    negative = await caller.ask("POST", "/sandbox/settings", json={"duration_s": -1})

    assert (now["balance"], now["duration_s"], sandbox.balance) == (3, 1.0, 3)
    assert refused[0] == 400
    assert refused[1]["error"].startswith("'balanse' is not a field of SandboxSettings; it has")
    _, settings = await caller.ask("GET", "/sandbox/settings")
    assert settings == now
    assert negative == (400, {"error": "duration_s must be 0 or more, not -1.0."})


async def test_a_reset_starts_afresh_on_the_same_socket(start: Start) -> None:
    """After a reset there are no tasks, no log, no faults, and the first settings hold."""
    sandbox, caller = await start(balance=100)
    sandbox.faults.add("poll:502")
    sandbox.change(time_scale=9)
    task_id = await caller.create()
    assert sandbox.tasks[task_id].active
    status, _ = await caller.ask("POST", "/sandbox/reset")
    await caller.create()
    sandbox.reset()

    assert status == 204
    assert (sandbox.balance, len(sandbox.tasks), len(sandbox.requests)) == (100, 0, 0)
    assert (len(sandbox.faults), sandbox.settings.time_scale) == (0, 1.0)
    assert await caller.ask("GET", f"/v1/tasks/{task_id}") == GONE


async def test_control_routes_list_tasks_and_requests(caller: Caller) -> None:
    """Tasks come newest first, requests oldest first; both take a limit."""
    ids = [await caller.create() for _ in range(3)]
    _, tasks = await caller.ask("GET", "/sandbox/tasks?limit=2")
    _, one = await caller.ask("GET", f"/sandbox/tasks/{ids[0]}")
    _, requests = await caller.ask("GET", "/sandbox/requests?limit=1")
    _, everything = await caller.ask("GET", "/sandbox/requests")
    wrong = await caller.ask("GET", "/sandbox/requests?limit=few")

    assert [task["id"] for task in tasks["tasks"]] == [ids[2], ids[1]]
    assert (one["id"], one["prompt"], one["charged"]) == (ids[0], "a red fox", 8)
    assert (requests["total"], len(requests["requests"])) == (3, 1)
    assert len(everything["requests"]) == 3
    assert wrong == (400, {"error": "limit takes a whole number, not 'few'."})


async def test_the_front_page_explains_the_sandbox(
    caller: Caller, session: aiohttp.ClientSession
) -> None:
    """A person who opens it in a browser finds the routes and the notation."""
    texts = []
    for path in ("/", "/sandbox/notation"):
        async with session.get(caller.url + path) as response:
            texts.append(await response.text())

    assert "POST /v1/text_to_image" in texts[0]
    assert "fail:CODE" in texts[1]


async def test_thousands_of_tasks_are_cheap(start: Start) -> None:
    """A task costs no timer and no asyncio task of its own."""
    sandbox, caller = await start(concurrency=100)
    await caller.create()
    before = len(asyncio.all_tasks())
    for _ in range(399):
        await caller.create()

    assert len(asyncio.all_tasks()) == before
    await asyncio.sleep(27)
    assert {task.status for task in sandbox.tasks.values()} == {"SUCCEEDED"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"time_scale": 0}, "time_scale must be above 0, not 0.", id="still"),
        pytest.param({"jitter": 1}, "jitter must be from 0 to below 1, not 1.", id="jitter"),
        pytest.param(
            {"expired_status": 500}, "expired_status must be 401 or 403, not 500.", id="expired"
        ),
    ],
)
def test_senseless_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    """A setting out of range is named when the settings are made."""
    with pytest.raises(ValueError, match=re.escape(message)):
        SandboxSettings(**settings)


async def test_serve_runs_until_it_is_cancelled() -> None:
    """`serve` tells when it listens, and leaves nothing behind."""
    listening: asyncio.Future[Sandbox] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(SandboxSettings(), host="::1", port=0, ready=listening.set_result)
    )
    sandbox = await listening
    async with aiohttp.ClientSession() as session:
        status, _ = await Caller(session, sandbox.url).ask("GET", "/v1/organization")
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert sandbox.url.startswith("http://[::1]:")
    assert (status, sandbox.open_connections) == (200, 0)


async def test_a_port_that_is_taken_is_an_error(start: Start) -> None:
    """A second sandbox on the same port does not start."""
    sandbox, _ = await start()
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(OSError, match="address already in use"):
        await Sandbox().start(port=port)


async def test_it_starts_and_stops_once() -> None:
    """There is no URL before the start, and a second start is an error."""
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = sandbox.url
    async with sandbox:
        with pytest.raises(RuntimeError, match="already been started"):
            await sandbox.start()
