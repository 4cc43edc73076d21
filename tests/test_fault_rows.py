"""Lines of the fault table that no other chapter shows: waiting, pausing, and what an operator is told.

Each of them counts the Runway tasks that were bought; `test_fault_table` is the whole of it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from tests.relays import relay
from tests.test_failures import ask, in_order, posts, spent

from taxiway.errors import StoreError
from taxiway.events import Event
from taxiway.sandbox import Sandbox
from taxiway.settings import Settings
from taxiway.store.memory import MemoryStore


def polls(sandbox: Sandbox) -> list[float]:
    """Return when somebody looked at a task."""
    return [each.at for each in sandbox.requests if each.path.startswith("/v1/tasks/")]


def named(lines: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the lines about one event."""
    return [line for line in lines if line["event"] == name]


async def test_a_rate_limit_is_waited_for(client: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    """Runway says how long to wait; the next submission comes after that, and not long after."""
    status, _, _ = await ask(client, "[[create:429 body=throttle retry_after=7 times=1]]")

    first, second = (each.at for each in sandbox.requests if each.path == "/v1/text_to_image")
    assert 7 <= second - first < 10
    assert (status, len(sandbox.tasks)) == (200, 1)


async def test_an_answer_that_never_comes_is_given_up_before_the_deadline(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """A submission has a limit of its own: nobody waits ten minutes to hear that the answer is lost."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    status, document, _ = await ask(client, "[[create:hang]]")

    assert (status, document["error"]["code"]) == (502, "submission_unknown")
    assert loop.time() - began_s < 120
    assert (posts(sandbox), len(sandbox.tasks)) == (1, 1)


async def test_a_limit_on_looks_holds_for_every_task_of_the_account(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """After a 429 with `Retry-After` nobody looks at any task of that account before the time is up."""
    asking = [asyncio.create_task(ask(client, prompt=f"fox {n} [[slow:20]]")) for n in range(5)]
    await asyncio.sleep(3)
    sandbox.faults.add("poll:429 retry_after=9 times=1")
    await asyncio.gather(*asking)

    gaps = [later - earlier for earlier, later in pairwise(polls(sandbox))]
    assert max(gaps) >= 8.9
    assert (5, 5) == (posts(sandbox), len(sandbox.tasks))


async def test_a_word_that_is_new_is_logged_once(
    client: aiohttp.ClientSession,
    sandbox: Sandbox,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """A status that Runway did not have before is a running task, one line, and a number."""
    await asyncio.gather(
        *(ask(client, prompt=f"{n} [[poll:answer put=status:DREAMING times=3]]") for n in range(3))
    )
    async with client.get("/metrics") as response:
        page = await response.text()

    (line,) = named(log_lines(), "upstream.status_unknown")
    assert "DREAMING" == line["status"]
    assert 'taxiway_polls_total{result="unknown"} 9.0' in page
    assert (3, 3) == (posts(sandbox), len(sandbox.tasks))


async def test_a_key_that_is_refused_at_a_look_is_logged_once(
    client: aiohttp.ClientSession,
    sandbox: Sandbox,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """A key that stops being good in the middle of a task is told to the operator; the task goes on."""
    status, _, _ = await ask(client, "[[poll:401 times=4]]")

    assert 1 == len(named(log_lines(), "upstream.auth_refused"))
    assert (status, len(sandbox.tasks), sandbox.leaks) == (200, 1, [])


class TestBackInTime:
    """A Runway that starts later than the request."""

    @pytest.fixture
    def settings(self, settings: Settings, unused_tcp_port: int) -> Settings:
        """Send every task to a port that nobody listens on yet."""
        base = f"http://127.0.0.1:{unused_tcp_port}"
        return replace(
            settings,
            deployments=tuple(replace(each, api_base=base) for each in settings.deployments),
        )

    async def test_a_runway_that_comes_back_makes_the_image(
        self, client: aiohttp.ClientSession, sandbox: Sandbox, unused_tcp_port: int
    ) -> None:
        """What was never sent is sent again, and bought once."""
        asking = asyncio.create_task(ask(client))
        await asyncio.sleep(10)
        async with relay(sandbox.url, port=unused_tcp_port):
            status, _, _ = await asking

        assert status == 200
        assert (1, 1, 8) == (posts(sandbox), len(sandbox.tasks), spent(sandbox))


class MoodyStore(MemoryStore):
    """A store that can be away for what a running job has to say."""

    away = False

    async def record(self, event: Event, **options: Any) -> Any:
        """Record, or raise."""
        if self.away:
            raise StoreError("The store is out of reach.")
        return await super().record(event, **options)


class TestAStoreThatIsAway:
    """A store that is out of reach while Runway works."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[MoodyStore]:
        """A store that can be away."""
        store = MoodyStore()
        yield store
        await store.close()

    async def test_a_task_is_followed_without_the_store(
        self,
        client: aiohttp.ClientSession,
        store: MoodyStore,
        sandbox: Sandbox,
        log_lines: Callable[[], list[dict[str, Any]]],
    ) -> None:
        """The end of a task that nobody could write down is written down when the store is back."""
        mark = "[[slow:5]]"
        asking = asyncio.create_task(ask(client, mark))
        await asyncio.sleep(3)
        store.away = True
        await asyncio.sleep(20)
        waiting = not asking.done()
        store.away = False
        status, _, _ = await asking

        assert (waiting, status, posts(sandbox), len(sandbox.tasks)) == (True, 200, 1, 1)
        await in_order(client, sandbox, log_lines, mark=mark, status=200)

    async def test_one_line_speaks_for_all_jobs(
        self,
        client: aiohttp.ClientSession,
        store: MoodyStore,
        log_lines: Callable[[], list[dict[str, Any]]],
    ) -> None:
        """Thirty jobs that cannot be written down are no thirty errors a second: it is said every ten seconds."""
        body = {"model": "gen4", "prompt": "A fox [[slow:5]]"}
        asking = [
            asyncio.create_task(client.post("/v1/images/generations", json=body)) for _ in range(30)
        ]
        await asyncio.sleep(3)
        store.away = True
        await asyncio.sleep(29)
        store.away = False
        answers = await asyncio.gather(*asking)

        lines = [line for line in log_lines() if line["event"] == "store.failed"]
        assert {200} == {answer.status for answer in answers}
        assert 1 < len(lines) <= 3


async def test_health_costs_nothing(client: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    """Whatever asks how the service is, and however often, it buys nothing and asks Runway for nothing."""
    paths = ("/healthz", "/readyz", "/health/liveliness", "/health/liveness", "/health/readiness")
    for path in (*paths, "/health", "/metrics", "/v1/models") * 20:
        async with client.get(path) as response:
            await response.read()

    assert (0, 0, 0) == (posts(sandbox), len(sandbox.tasks), spent(sandbox))


async def test_every_call_goes_to_the_configured_address(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Submission, looks and deletion reach the host that the deployment names; the key is shown nowhere else."""
    status, _, _ = await ask(client, "[[slow:60]]", timeout=10)

    assert {"POST", "GET", "DELETE"} == {each.method for each in sandbox.requests}
    assert (status, len(sandbox.tasks), sandbox.leaks) == (504, 1, [])
