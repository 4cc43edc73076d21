"""The fault table: whatever Runway does, one request buys one task, and every bought task is on the books.

Each fault is written into the prompt in the sandbox's notation, so it strikes every task of that request.
`test_fault_table` says which test shows which fault.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from taxiway.sandbox import Fault, Sandbox
from taxiway.settings import Settings

MODEL = "runwayml/gen4_image"


async def ask(
    client: aiohttp.ClientSession, mark: str = "", **fields: Any
) -> tuple[int, Any, Mapping[str, str]]:
    """Ask for an image whose prompt carries a fault; return status, document and headers."""
    body = {"model": MODEL, "prompt": f"A red fox {mark}".strip(), **fields}
    named = {"Idempotency-Key": "the only one"} if mark else {}
    async with client.post("/v1/images/generations", json=body, headers=named) as response:
        return response.status, await response.json(), response.headers


async def job_behind(client: aiohttp.ClientSession, headers: Mapping[str, str]) -> Any:
    """Return the job that an answer belongs to."""
    async with client.get(headers["Content-Location"]) as response:
        return await response.json()


def posts(sandbox: Sandbox) -> int:
    """Return how often a task was asked for."""
    return sum(record.path == "/v1/text_to_image" for record in sandbox.requests)


def spent(sandbox: Sandbox) -> int:
    """Return the credits that Runway has kept."""
    return sandbox.charged_credits - sandbox.refunded_credits


def still_running(sandbox: Sandbox) -> list[str]:
    """Return the ids of tasks that go on at Runway."""
    return [task_id for task_id, task in sandbox.tasks.items() if task.active]


async def in_order(
    client: aiohttp.ClientSession,
    sandbox: Sandbox,
    lines: Callable[[], list[dict[str, Any]]],
    *,
    mark: str,
    status: int,
) -> None:
    """Assert what holds after every fault: a repeat buys nothing, the books are the job's, the job ended once."""
    bought = set(sandbox.tasks)
    again, _, headers = await ask(client, mark)
    job = await job_behind(client, headers)
    async with client.get("/v1/usage") as response:
        books = (await response.json())["total"]
    ends = {"job.completed", "job.failed", "job.cancelled"}

    assert (status, "true", bought) == (again, headers["Idempotent-Replayed"], set(sandbox.tasks))
    assert (job["cost"]["credits"], 0) == (books["cost"]["credits"], books["reserved"]["credits"])
    assert spent(sandbox) == books["cost"]["credits"]
    assert set(still_running(sandbox)) <= bought - {a["upstream_id"] for a in job["attempts"]}
    assert 1 == sum(line["event"] in ends for line in lines())


SURVIVED = [
    pytest.param("[[create:429 body=throttle retry_after=3 times=1]]", id="4 POST 429"),
    pytest.param("[[create:503 times=2]]", id="6 POST 503"),
    pytest.param("[[poll:503 times=1]]", id="13 one bad poll, 503"),
    pytest.param("[[poll:cut times=3]]", id="13 a few bad polls, cut"),
    pytest.param("[[poll:truncated times=1]]", id="13 one bad poll, half the JSON"),
    pytest.param("[[poll:500 times=8]]", id="14 polls 500"),
    pytest.param("[[poll:502 times=8]]", id="14 polls 502"),
    pytest.param("[[poll:503 times=8]]", id="14 polls 503"),
    pytest.param("[[poll:truncated times=8]]", id="14 polls truncated"),
    pytest.param("[[poll:html times=8]]", id="14 polls with HTML"),
    pytest.param("[[poll:429 retry_after=5 times=2]]", id="15 poll 429"),
    pytest.param("[[poll:answer put=status:DREAMING times=4]]", id="16 an unknown status"),
    pytest.param("[[poll:answer drop=status times=4]]", id="16 no status"),
    pytest.param("[[progress:backwards]]", id="16 progress going backwards"),
    pytest.param("[[poll:401 times=4]]", id="17 poll 401"),
    pytest.param("[[poll:302 times=4]]", id="17 poll redirected"),
    pytest.param("[[poll:hang times=1]]", id="19 a poll without an answer"),
    pytest.param("[[poll:404 times=1]]", id="18 one 404 that was not meant"),
    pytest.param("[[poll:502 p=0.5 seed=3]]", id="37 every second poll 502"),
]


@pytest.mark.parametrize("mark", SURVIVED)
async def test_a_fault_on_the_way_costs_time_and_no_second_task(
    client: aiohttp.ClientSession,
    sandbox: Sandbox,
    log_lines: Callable[[], list[dict[str, Any]]],
    mark: str,
) -> None:
    """A refusal that passes and polls that fail are survived: one image, one task, one charge."""
    status, _, headers = await ask(client, mark)

    job = await job_behind(client, headers)
    assert (status, len(job["images"]), len(sandbox.tasks)) == (200, 1, 1)
    assert (job["cost"], spent(sandbox)) == ({"usd": 0.08, "credits": 8, "final": True}, 8)
    assert [] == sandbox.leaks
    await in_order(client, sandbox, log_lines, mark=mark, status=200)


#: mark → status, code, tasks bought, POSTs sent, credits booked, whether they are exact
ENDED = [
    pytest.param("[[create:401]]", 502, "provider_auth_failed", 0, 1, 0, True, id="3 POST 401"),
    pytest.param(
        "[[create:400 body=credits]]", 503, "insufficient_credits", 0, 1, 0, True, id="2 no credits"
    ),
    pytest.param(
        "[[create:429 body=quota]]", 429, "provider_quota_exceeded", 0, 1, 0, True, id="5 quota"
    ),
    pytest.param(
        "[[create:503]]", 503, "no_deployment_available", 0, 3, 0, True, id="6 503 for good"
    ),
    pytest.param(
        "[[create:500 after=yes]]", 502, "submission_unknown", 1, 1, 8, False, id="8 accepted, 500"
    ),
    pytest.param(
        "[[create:502 after=yes]]", 502, "submission_unknown", 1, 1, 8, False, id="8 accepted, 502"
    ),
    pytest.param(
        "[[create:504 after=yes]]", 502, "submission_unknown", 1, 1, 8, False, id="8 accepted, 504"
    ),
    pytest.param("[[create:cut]]", 502, "submission_unknown", 1, 1, 8, False, id="9 answer cut"),
    pytest.param("[[create:hang]]", 502, "submission_unknown", 1, 1, 8, False, id="10 no answer"),
    pytest.param(
        "[[create:answer drop=id]]", 502, "submission_unknown", 1, 1, 8, False, id="11 no id"
    ),
    pytest.param("[[create:html]]", 502, "submission_unknown", 1, 1, 8, False, id="12 HTML"),
    pytest.param("[[vanish]]", 502, "provider_failed", 1, 1, 8, False, id="18 gone for good"),
    pytest.param("[[fail:INTERNAL]]", 502, "provider_failed", 3, 3, 0, True, id="21 INTERNAL"),
    pytest.param("[[fail:null]]", 502, "provider_failed", 3, 3, 0, True, id="21 null code"),
    pytest.param("[[fail:absent]]", 502, "provider_failed", 3, 3, 0, True, id="21 no code"),
    pytest.param(
        "[[fail:INTERNAL.BAD_OUTPUT.CODE01]]", 502, "provider_failed", 2, 2, 0, True, id="22 BAD"
    ),
    pytest.param(
        "[[fail:THIRD_PARTY.UNAVAILABLE]]", 502, "provider_failed", 3, 3, 0, True, id="third party"
    ),
    pytest.param(
        "[[fail:INTERNAL; cost:full]]", 502, "provider_failed", 1, 1, 8, True, id="charged INTERNAL"
    ),
    pytest.param(
        "[[fail:INTERNAL; cost:absent]]", 502, "provider_failed", 1, 1, 8, False, id="cost unsaid"
    ),
    pytest.param(
        "[[fail:SAFETY.INPUT.TEXT]]", 400, "content_policy_violation", 1, 1, 8, True, id="23 input"
    ),
    pytest.param(
        "[[fail:SAFETY.OUTPUT.IMAGE]]", 400, "content_policy_violation", 1, 1, 8, True, id="24 out"
    ),
    pytest.param("[[fail:ASSET.INVALID]]", 400, "invalid_image", 1, 1, 0, True, id="25 asset"),
    pytest.param("[[cancelled]]", 502, "provider_cancelled", 1, 1, 0, True, id="26 CANCELLED"),
    pytest.param("[[outputs:none]]", 502, "provider_empty_output", 1, 1, 8, True, id="27 empty"),
    pytest.param("[[outputs:null]]", 502, "provider_empty_output", 1, 1, 8, True, id="27 null"),
]


@pytest.mark.parametrize(("mark", "status", "code", "tasks", "sent", "credits_", "exact"), ENDED)
async def test_a_fault_for_good_ends_the_job_with_its_name_and_its_cost(
    client: aiohttp.ClientSession,
    sandbox: Sandbox,
    log_lines: Callable[[], list[dict[str, Any]]],
    mark: str,
    status: int,
    code: str,
    tasks: int,
    sent: int,
    credits_: int,
    exact: bool,
) -> None:
    """The answer names what happened and forbids a repeat; the job books what it cost, or says that it guesses."""
    answered, document, headers = await ask(client, mark)

    job = await job_behind(client, headers)
    assert (answered, document["error"]["code"]) == (status, code)
    assert (headers["x-should-retry"], job["status"]) == ("false", "failed")
    assert (tasks, sent) == (len(sandbox.tasks), posts(sandbox))
    assert (credits_, exact) == (job["cost"]["credits"], job["cost"]["final"])
    await in_order(client, sandbox, log_lines, mark=mark, status=status)


@pytest.mark.parametrize("stuck", ["PENDING", "THROTTLED", "RUNNING"])
async def test_a_task_that_never_ends_is_stopped_at_the_deadline(
    client: aiohttp.ClientSession, sandbox: Sandbox, stuck: str
) -> None:
    """At the deadline the task is deleted at Runway, and the cost stays an estimate (row 20)."""
    status, document, headers = await ask(client, f"[[stuck:{stuck}]]", timeout=30)

    job = await job_behind(client, headers)
    assert (status, document["error"]["code"]) == (504, "job_timeout")
    assert [] == still_running(sandbox)
    assert len(sandbox.tasks) == 1
    assert (job["cost"]["credits"], job["cost"]["final"]) == (8, False)


async def test_a_deadline_that_meets_a_finished_image_delivers_it(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Polls that fail until the deadline hide a finished image; the last look finds it."""
    status, _, headers = await ask(client, "[[slow:1]] [[poll:502 for=19]]", timeout=20)

    job = await job_behind(client, headers)
    assert (status, job["status"], len(job["images"])) == (200, "completed", 1)
    assert len(sandbox.tasks) == 1


async def test_an_asked_field_that_only_runway_refuses_is_the_callers(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Runway's own validation answers the caller with a 400 and costs nothing (row 1)."""
    sandbox.faults.add(Fault(on="create", status=400))
    status, document, _ = await ask(client)

    assert (status, document["error"]["code"]) == (400, "provider_rejected")
    assert (len(sandbox.tasks), posts(sandbox), spent(sandbox)) == (0, 1, 0)


class TestNobodyThere:
    """A provider that cannot be reached."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Send every task to a port that nobody listens on."""
        gone = tuple(replace(d, api_base="http://127.0.0.1:9") for d in settings.deployments)
        return replace(settings, deployments=gone)

    async def test_it_is_tried_for_half_a_minute_and_nothing_is_bought(
        self, client: aiohttp.ClientSession, sandbox: Sandbox
    ) -> None:
        """A connection that never comes about is repeated for a while, then answered with 503 (row 7)."""
        status, document, headers = await ask(client)

        job = await job_behind(client, headers)
        assert (status, document["error"]["code"]) == (503, "no_deployment_available")
        assert 30 <= job["finished_at"] - job["created_at"] < 60
        assert job["cost"] == {"usd": 0.0, "credits": 0, "final": True}
        assert len(sandbox.tasks) == 0


async def test_with_every_fifth_poll_failing_thirty_jobs_buy_thirty_tasks(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """20 % of polls answering 502: thirty jobs, thirty images, thirty Runway tasks."""
    sandbox.faults.add(Fault(on="poll", status=502, probability=0.2, seed=11))
    answers = await asyncio.gather(*(ask(client) for _ in range(30)))

    assert [200] * 30 == [status for status, _, _ in answers]
    assert 30 == len({document["data"][0]["url"] for _, document, _ in answers})
    assert (30, 30, 240) == (len(sandbox.tasks), posts(sandbox), spent(sandbox))


async def test_polls_are_two_seconds_apart_however_long_they_take(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """The beat does not drift: each poll starts two seconds after the one before, slow answers or not."""
    sandbox.faults.add(Fault(on="poll", delay_s=0.7))
    await ask(client, "[[slow:20]]")

    at = [each.at for each in sandbox.requests if each.path.startswith("/v1/tasks/")]
    gaps = [round(later - earlier, 2) for earlier, later in pairwise(at)]
    assert len(gaps) >= 8
    assert {2.0} == set(gaps)


async def test_a_burst_does_not_poll_in_step(
    client: aiohttp.ClientSession, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs accepted at one moment look at their tasks at different moments."""
    monkeypatch.setattr("random.uniform", random.Random(1).uniform)
    await asyncio.gather(*(ask(client) for _ in range(20)))

    firsts: dict[str, float] = {}
    for record in sandbox.requests:
        if record.method == "GET":
            firsts.setdefault(record.path, record.at)
    assert max(firsts.values()) - min(firsts.values()) > 0.5


async def test_what_a_viewer_sees_of_the_progress_never_falls(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Runway's figure may go backwards; the job's does not."""
    shown: list[int] = []
    asking = asyncio.create_task(ask(client, "[[slow:20]] [[progress:backwards]]"))
    while not asking.done():
        await asyncio.sleep(1)
        async with client.get("/v1/jobs?limit=1") as response:
            shown += [job["progress"] for job in (await response.json())["data"]]

    assert len(set(shown)) > 3
    assert sorted(shown) == shown
    assert len(sandbox.tasks) == 1
