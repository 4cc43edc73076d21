"""Many at once: nobody waits for somebody else's image."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import aiohttp
import pytest

from taxiway.cadence import every
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.settings import Settings

GENERATIONS = "/v1/images/generations"

#: How long a task of these tests takes at the vendor.
TASK_S = 10.0
MANY = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One caller's answer: the status, how many images, and the seconds it took."""

    status: int
    images: int
    took_s: float


async def ask(client: aiohttp.ClientSession, prompt: str) -> Answer:
    """Ask for an image, and wait for it."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    body = {"model": "runwayml/gen4_image", "prompt": prompt}
    async with client.post(GENERATIONS, json=body) as response:
        document = await response.json()
    return Answer(
        status=response.status,
        images=len(document.get("data", ())),
        took_s=loop.time() - began_s,
    )


async def slowest_probe_s(client: aiohttp.ClientSession, asking: "asyncio.Future[object]") -> float:
    """Look at the liveness probe twice a second while others ask. Returns the longest it took, in seconds."""
    loop, slowest_s = asyncio.get_running_loop(), 0.0
    async for _ in every(0.5, first_s=0.0):
        if asking.done():
            break
        began_s = loop.time()
        async with client.get("/healthz") as response:
            assert response.status == 200
        slowest_s = max(slowest_s, loop.time() - began_s)
    return slowest_s


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway whose tasks take ten seconds each, however many there are."""
    return SandboxSettings(duration_s=TASK_S - 0.5, queue_s=0.5, pictures="plain")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings, with a log that has nothing to say."""
    return replace(settings, log_level="warning")


@pytest.fixture
async def probe(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A prober with a connection of its own."""
    async with aiohttp.ClientSession(url) as probe:
        yield probe


# Fewer idle rounds before each step of virtual time: with ten thousand steps they are most of the work.
@pytest.mark.looptime(noop_cycles=6)
async def test_a_thousand_generations_take_as_long_as_one(
    client: aiohttp.ClientSession, probe: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """A thousand at once all get their image within a poll interval of one alone, and none is bought twice."""
    # asyncio's debug mode takes a traceback at every step: a thousand jobs would measure nothing else.
    asyncio.get_running_loop().set_debug(False)
    alone = await ask(client, "alone")

    asking = asyncio.gather(*(ask(client, f"fox {number}") for number in range(MANY)))
    slowest_s = await slowest_probe_s(probe, asking)
    answers = await asking

    assert [(each.status, each.images) for each in answers] == [(200, 1)] * MANY
    assert max(each.took_s for each in answers) < alone.took_s + 2.5
    assert slowest_s < 0.1
    assert set(sandbox.creates_by_prompt.values()) == {1}
    assert len(sandbox.creates_by_prompt) == MANY + 1


async def test_a_hanging_poll_holds_up_nobody_else(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """While the vendor leaves every look at one task unanswered, others get their images on time."""
    hanging = asyncio.create_task(ask(client, "a fox [[poll:hang]]"))
    await asyncio.sleep(3)

    answers = await asyncio.gather(*(ask(client, f"fox {number}") for number in range(20)))

    assert not hanging.done()
    assert max(each.took_s for each in answers) < TASK_S + 2.5
    hanging.cancel()
    await asyncio.wait([hanging])


class TestAFullHouse:
    """A service that takes three jobs at a time."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with room for three jobs."""
        return replace(settings, max_queued_jobs=3)

    async def test_beyond_its_limit_the_service_says_come_back(
        self, client: aiohttp.ClientSession, sandbox: Sandbox
    ) -> None:
        """Past `max_queued_jobs` a request is 429 `queue_full`, and worth repeating: nothing was bought."""
        asking = [asyncio.create_task(ask(client, f"fox {number}")) for number in range(3)]
        await asyncio.sleep(1)

        body = {"model": "runwayml/gen4_image", "prompt": "one too many"}
        async with client.post(GENERATIONS, json=body) as response:
            document = await response.json()
        answers = await asyncio.gather(*asking)

        assert (response.status, document["error"]["code"]) == (429, "queue_full")
        assert document["error"]["type"] == "rate_limit_error"
        assert response.headers["x-should-retry"] == "true"
        assert response.headers["Retry-After"] == "10"
        assert "x-taxiway-job-id" not in response.headers
        assert [each.status for each in answers] == [200, 200, 200]
        assert sandbox.creates_by_prompt["one too many"] == 0


@pytest.mark.quiet
@pytest.mark.looptime(False)
class TestInRealTime:
    """The same with a clock that nobody turns."""

    @pytest.fixture
    def sandbox_settings(self) -> SandboxSettings:
        """A Runway whose tasks take half a second."""
        return SandboxSettings(duration_s=0.4, queue_s=0.1, pictures="plain")

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with a look every fifth of a second."""
        return replace(settings, poll_interval_s=0.2)

    async def test_a_hundred_at_once_are_as_good_as_parallel(
        self, client: aiohttp.ClientSession, probe: aiohttp.ClientSession
    ) -> None:
        """A hundred half-second tasks are done in a few seconds, not in fifty, and the probe answers all along."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()

        asking = asyncio.gather(*(ask(client, f"fox {number}") for number in range(100)))
        slowest_s = await slowest_probe_s(probe, asking)
        answers = await asking

        assert [(each.status, each.images) for each in answers] == [(200, 1)] * 100
        assert loop.time() - began_s < 10
        assert slowest_s < 3
