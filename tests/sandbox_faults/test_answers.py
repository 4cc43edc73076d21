"""How an answer goes wrong on its way: every way in which Runway has been seen or feared to fail."""

import asyncio
import re
from typing import Any

import aiohttp
import pytest
from tests.sandbox_faults.callers import BODY, Caller, Start

from taxiway.sandbox import Fault, Sandbox, SandboxSettings
from taxiway.sandbox.marks import parse_rule


@pytest.mark.parametrize(
    ("fault", "answer", "tasks"),
    [
        pytest.param("create:500", (500, {"error": "Internal Server Error"}), 0, id="500"),
        pytest.param("create:503", (503, {"error": "Service Unavailable"}), 0, id="503, Runway's"),
        pytest.param(
            "create:503 body=json",
            (503, {"message": "Service Unavailable"}),
            0,
            id="503, the gateway's",
        ),
        pytest.param("create:502 body=empty", (502, b""), 0, id="502 without a body"),
        pytest.param("create:401", (401, {"error": "Unauthorized"}), 0, id="401"),
        pytest.param("create:429", (429, {"message": "Too Many Requests"}), 0, id="429, throttled"),
        pytest.param(
            "create:429 body=quota",
            (
                429,
                {
                    "error": "Your daily task limit has been reached.",
                    "docUrl": "https://docs.dev.runwayml.com/api",
                },
            ),
            0,
            id="429, daily quota",
        ),
        pytest.param(
            "create:400 body=credits",
            (
                400,
                {
                    "error": "You do not have enough credits to run this task.",
                    "docUrl": "https://docs.dev.runwayml.com/api",
                },
            ),
            0,
            id="400, no credits",
        ),
        pytest.param(
            "create:502 after=yes", (502, {"error": "Bad Gateway"}), 1, id="created, yet 502"
        ),
        pytest.param(
            "create:504 after=yes", (504, {"error": "Gateway Timeout"}), 1, id="created, yet 504"
        ),
        pytest.param("create:cut", ("ClientOSError", None), 1, id="lost create"),
        pytest.param("create:cut after=no", ("ClientOSError", None), 0, id="cut, nothing created"),
        pytest.param("create:half", ("ClientPayloadError", None), 1, id="half a body"),
        pytest.param("create:empty", (200, b""), 1, id="200 with nothing"),
    ],
)
async def test_a_create_goes_wrong(
    start: Start, fault: str, answer: tuple[int | str, Any], tasks: int
) -> None:
    """The next create is answered badly; whether there is a task, and a charge, is a knob of its own."""
    sandbox, caller = await start()
    sandbox.will(fault)
    got = await caller.post()
    state = (len(sandbox.tasks), sandbox.charged_credits, sandbox.creates_by_prompt["a red fox"])

    assert (answer, (tasks, tasks * 5, tasks)) == (got, state)
    assert (await caller.post())[0] == 200


async def test_an_html_page_can_come_with_200_or_an_error(start: Start) -> None:
    """A proxy's page in place of JSON, whatever the status."""
    sandbox, caller = await start()
    sandbox.will("create:html", "create:502 body=html")
    answers = [await caller.post() for _ in range(2)]

    assert [status for status, _ in answers] == [200, 502]
    assert all(body.startswith(b"<html>") for _, body in answers)
    assert len(sandbox.tasks) == 1


async def test_json_can_be_truncated_within_a_whole_answer(start: Start) -> None:
    """The framing is right, the JSON stops in the middle."""
    sandbox, caller = await start()
    sandbox.will("create:truncated")
    status, body = await caller.post()

    assert status == 200
    assert re.fullmatch(rb'\{"id":"[0-9a-f-]+', body)


async def test_an_answer_may_never_come(start: Start) -> None:
    """A request can be accepted and left alone; the task exists all the same."""
    sandbox, caller = await start()
    sandbox.will("create:hang")
    limit = aiohttp.ClientTimeout(total=5)
    answer = await caller.ask("POST", "/v1/text_to_image", json=BODY, timeout=limit)

    assert answer[0] == "TimeoutError"
    assert len(sandbox.tasks) == 1
    assert sandbox.requests[0].status is None


async def test_a_sandbox_stops_while_a_request_hangs() -> None:
    """Nobody has to wait for an answer that never comes."""
    sandbox = Sandbox(SandboxSettings(faults=("any:hang",)))
    await sandbox.start()
    async with aiohttp.ClientSession() as session:
        waiting = asyncio.create_task(Caller(session, sandbox.url).post())
        await asyncio.sleep(0.1)
        async with asyncio.timeout(2):
            await sandbox.stop()
        status, _ = await waiting

    assert status == "ServerDisconnectedError"


async def test_the_first_byte_can_be_slow(start: Start) -> None:
    """The task is made at once, the answer comes later."""
    sandbox, caller = await start()
    sandbox.will("create:slow delay=3")
    loop = asyncio.get_running_loop()
    began = loop.time()
    status, _ = await caller.post()

    assert status == 200
    assert loop.time() - began == pytest.approx(3, abs=0.1)


async def test_retry_headers_can_be_added(start: Start) -> None:
    """The real service is not known to send them, its gateway might."""
    _, caller = await start(
        faults=(
            Fault(on="create", status=429, headers={"Retry-After": "3", "x-should-retry": "false"}),
        )
    )
    async with caller.session.post(caller.url + "/v1/text_to_image", json=BODY) as response:
        headers = response.headers

    assert (headers["Retry-After"], headers["x-should-retry"]) == ("3", "false")
    assert parse_rule("create:429 retry_after=3").headers == {"Retry-After": "3"}
    assert parse_rule("poll:429 header=retry-after-ms:250").headers == {"retry-after-ms": "250"}


@pytest.mark.parametrize(
    ("fault", "missing"),
    [
        pytest.param("create:answer drop=id", {"id"}, id="id"),
        pytest.param("create:answer drop=estimatedCost", {"estimatedCost"}, id="estimatedCost"),
        pytest.param("create:answer drop=id,estimatedCost", {"id", "estimatedCost"}, id="both"),
    ],
)
async def test_keys_can_be_left_out_of_an_answer(
    start: Start, fault: str, missing: set[str]
) -> None:
    """An answer without its id belongs to a task that exists."""
    sandbox, caller = await start()
    sandbox.will(fault)
    status, answer = await caller.post()

    assert (status, set(answer)) == (200, {"id", "estimatedCost"} - missing)
    assert len(sandbox.tasks) == 1


async def test_a_poll_can_say_what_the_vendor_never_said(start: Start) -> None:
    """Unknown statuses, extra keys and missing ones, in one answer or in all."""
    sandbox, caller = await start()
    sandbox.faults.add(Fault(on="poll", put={"status": "WAITING", "eta": 3}, times=1))
    sandbox.faults.add("poll:answer drop=status times=1")
    task_id = await caller.create()
    await asyncio.sleep(1)
    odd, none, right = [await caller.get(task_id) for _ in range(3)]

    assert (odd["status"], odd["eta"]) == ("WAITING", 3)
    assert set(right) - set(none) == {"status"}
    assert right["status"] == "RUNNING"


@pytest.mark.parametrize("route", ["poll", "delete"])
@pytest.mark.parametrize("status", [302, 401, 404, 429, 500, 502, 503, 504])
async def test_a_poll_or_a_delete_is_refused(start: Start, route: str, status: int) -> None:
    """A refusal leaves the task as it was, and the next request is served."""
    sandbox, caller = await start()
    sandbox.faults.add(f"{route}:{status} times=1")
    task_id = await caller.create()
    method = "GET" if route == "poll" else "DELETE"
    refused = await caller.ask(method, f"/v1/tasks/{task_id}")
    served = await caller.poll(task_id)

    assert (status, 200) == (refused[0], served[0])


@pytest.mark.parametrize("route", ["poll", "delete"])
@pytest.mark.parametrize(
    ("action", "answer"),
    [
        pytest.param("cut", "ClientOSError", id="cut"),
        pytest.param("hang", "TimeoutError", id="hang"),
        pytest.param("html", 200, id="html"),
    ],
)
async def test_the_answer_to_a_poll_or_a_delete_is_lost(
    start: Start, route: str, action: str, answer: int | str
) -> None:
    """A DELETE whose answer is lost has been carried out. (aiohttp repeats one cut GET or DELETE by itself.)"""
    sandbox, caller = await start()
    sandbox.faults.add(f"{route}:{action}")
    task_id = await caller.create()
    method = "GET" if route == "poll" else "DELETE"
    limit = aiohttp.ClientTimeout(total=0.3)
    lost = await caller.ask(method, f"/v1/tasks/{task_id}", timeout=limit)

    assert lost[0] == answer
    assert sandbox.tasks[task_id].status == ("PENDING" if route == "poll" else "DELETED")


async def test_a_redirect_leads_to_a_place_that_knows_leaks(start: Start) -> None:
    """A caller who follows a redirect with its key is found out."""
    sandbox, caller = await start()
    task_id = await caller.create("a fox [[poll:302]]")
    stays = await caller.poll(task_id)
    clean = list(sandbox.leaks)
    await caller.ask("GET", f"/v1/tasks/{task_id}", allow_redirects=True)

    assert (stays[0], clean) == (302, [])
    assert [leak.path for leak in sandbox.leaks] == ["/sandbox/elsewhere"]


@pytest.mark.parametrize(
    ("route", "method", "path"),
    [
        ("organization", "GET", "/v1/organization"),
        ("usage", "POST", "/v1/organization/usage"),
        ("upload", "POST", "/v1/uploads"),
        ("form", "POST", "/storage/uploads/none"),
        ("output", "GET", "/storage/outputs/gen4_image/none/a_0.png"),
    ],
)
async def test_every_route_has_its_faults(start: Start, route: str, method: str, path: str) -> None:
    """The routes beside the tasks' fail on demand as well."""
    sandbox, caller = await start()
    sandbox.faults.add(f"{route}:503")

    assert (await caller.ask(method, path))[0] == 503
