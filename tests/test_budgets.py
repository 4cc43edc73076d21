"""Budgets and rates of virtual keys: exact in any crowd, and refused before anything is bought."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.holders import MASTER_KEY, Holder, two_replicas
from tests.processes import MODEL, Service, until

from taxiway.cadence import every
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server import create_app
from taxiway.server.keys import RUNNER
from taxiway.server.running import listening
from taxiway.settings import Secret, Settings

#: What a key is worth, and how many of FOX's images that is.
TEN_IMAGES = 0.80
TEN = 10

#: How many holders ask at once.
CROWD = 100


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A service with a master key."""
    return replace(settings, master_key=Secret(MASTER_KEY))


@pytest.fixture
def master(client: aiohttp.ClientSession) -> Holder:
    """Whoever has the master key."""
    return Holder(client, MASTER_KEY)


async def money(holder: Holder) -> tuple[float, float, float]:
    """What a key has spent, reserved, and spent altogether, as it sees it itself."""
    _, document = await holder.get("/key/info")
    row = document["info"]
    return row["spend"], row["reserved"], row["total_spend"]


async def crowd(*holders: Holder, **body: Any) -> Counter[tuple[int, str | None]]:
    """Let a hundred requests come at once, dealt out to holders; count how they are answered."""
    answers = await asyncio.gather(
        *(holders[number % len(holders)].wait(**body) for number in range(CROWD))
    )
    return Counter(
        (status, document["error"]["code"] if status >= 400 else None)
        for status, document in answers
    )


#: Ten images, and ninety refusals.
EXACTLY_TEN = {(200, None): TEN, (422, "budget_exceeded"): CROWD - TEN}


class TestExactly:
    """A hundred at once on a key worth ten."""

    async def test_ten_are_bought(self, master: Holder, sandbox: Sandbox) -> None:
        """Exactly ten tasks are bought, and the key has spent all it had."""
        holder = await master.holder(max_budget=TEN_IMAGES)

        answers = await crowd(holder)

        assert EXACTLY_TEN == answers
        assert TEN == len(sandbox.tasks)
        assert (TEN_IMAGES, 0.0, TEN_IMAGES) == await money(holder)

    @pytest.mark.looptime(False)
    async def test_over_sqlite(self, settings: Settings, sandbox: Sandbox, tmp_path: Path) -> None:
        """In an embedded database too; after a restart the key is still spent."""
        sandbox.change(duration_s=0.2, queue_s=0.1)
        quick = replace(
            settings,
            database_url=f"sqlite+aiosqlite:///{tmp_path}/taxiway.db",
            poll_interval_s=0.1,
        )
        async with (
            listening(create_app(quick), host="127.0.0.1", port=0) as url,
            aiohttp.ClientSession(url) as client,
        ):
            holder = await Holder(client, MASTER_KEY).holder(max_budget=TEN_IMAGES)
            answers = await crowd(holder)

        async with (
            listening(create_app(quick), host="127.0.0.1", port=0) as url,
            aiohttp.ClientSession(url) as client,
        ):
            again = Holder(client, holder.key)
            after = await again.code("POST", "/v1/images/generations", model=MODEL, prompt="a fox")
            left = await money(again)

        assert EXACTLY_TEN == answers
        assert ((422, "budget_exceeded"), (TEN_IMAGES, 0.0, TEN_IMAGES)) == (after, left)
        assert TEN == len(sandbox.tasks)

    async def test_several_images_are_one_price(self, master: Holder, sandbox: Sandbox) -> None:
        """A request for four images is let in whole or not at all."""
        holder = await master.holder(max_budget=TEN_IMAGES)

        answers = await crowd(holder, n=4)

        assert {(200, None): 2, (422, "budget_exceeded"): CROWD - 2} == answers
        assert 8 == len(sandbox.tasks)


@pytest.mark.looptime(False)
class TestReplicas:
    """Two processes on one PostgreSQL."""

    @pytest.fixture
    def sandbox_settings(self) -> SandboxSettings:
        """A Runway that needs two seconds."""
        return SandboxSettings(duration_s=1.5, queue_s=0.5, pictures="plain")

    @pytest.fixture
    async def replicas(
        self, tmp_path: Path, postgres: str, sandbox: Sandbox
    ) -> AsyncIterator[tuple[list[Service], list[Holder]]]:
        """The two processes, and the master's key at either of them."""
        async with two_replicas(tmp_path, postgres, sandbox) as both:
            yield both

    @pytest.fixture
    def services(self, replicas: tuple[list[Service], list[Holder]]) -> list[Service]:
        """The processes."""
        return replicas[0]

    @pytest.fixture
    def masters(self, replicas: tuple[list[Service], list[Holder]]) -> list[Holder]:
        """The master's key at either of them."""
        return replicas[1]

    async def test_ten_are_bought_together(self, masters: list[Holder], sandbox: Sandbox) -> None:
        """Fifty requests at each of two replicas buy exactly ten images, and both know what is left."""
        holder = await masters[0].holder(max_budget=TEN_IMAGES)
        holders = [Holder(master.client, holder.key) for master in masters]

        answers = await crowd(*holders, model=MODEL)

        assert EXACTLY_TEN == answers
        assert TEN == len(sandbox.tasks)
        assert [(TEN_IMAGES, 0.0, TEN_IMAGES)] * 2 == [await money(each) for each in holders]

    async def test_a_refusal_counts_what_the_other_let_in(self, masters: list[Holder]) -> None:
        """Whom one replica turns away for what the other let in hears that none is left, and until when."""
        holder = await masters[0].holder(rpm_limit=3)
        other = Holder(masters[1].client, holder.key)
        accepted = [await other.ask(model=MODEL) for _ in range(1)]
        accepted += [await holder.ask(model=MODEL) for _ in range(2)]
        assert [202] * 3 == [status for status, _ in accepted]

        status, _ = await other.ask(model=MODEL)

        wait_s = other.headers["retry-after"]
        assert (429, "0", f"{wait_s}s", f'"rpm";r=0;t={wait_s}') == (
            status,
            other.headers["x-ratelimit-remaining-requests"],
            other.headers["x-ratelimit-reset-requests"],
            other.headers["ratelimit"],
        )

    async def test_a_killed_replica_leaves_nothing_reserved(
        self, services: list[Service], masters: list[Holder], sandbox: Sandbox
    ) -> None:
        """Whoever takes over the jobs of a dead process settles them: in the end every credit is accounted for."""
        holder = await masters[0].holder(max_budget=TEN_IMAGES)
        other = Holder(masters[1].client, holder.key)
        jobs = [await holder.ask(model=MODEL) for _ in range(4)]
        assert [202] * 4 == [status for status, _ in jobs]
        await until(lambda: 4 == sum(task.polls > 0 for task in sandbox.tasks.values()))

        await services[0].kill(signal.SIGKILL)
        async with asyncio.timeout(30):
            async for _ in every(0.2, first_s=0.0):
                spent, reserved, total = await money(other)
                if not reserved:
                    break

        assert sandbox.charged_credits == len(sandbox.tasks) * 8 == 32
        assert (0.32, 0.32) == (spent, total)

    async def test_a_change_is_heard_at_once(self, masters: list[Holder]) -> None:
        """What one replica is told of a key holds at the other well before its memory of it ends."""
        holder = await masters[0].holder()
        other = Holder(masters[1].client, holder.key)
        assert (200, None) == await other.code("GET", "/v1/models")

        await masters[0].post("/key/block", key=holder.id)
        async with asyncio.timeout(8):  # the memory lasts for ten seconds
            async for _ in every(0.05, first_s=0.0):
                if (401, "key_blocked") == await other.code("GET", "/v1/models"):
                    break

        assert (401, "key_blocked") == await other.code("GET", "/v1/models")


class TestSettlement:
    """What a job costs its key in the end."""

    @pytest.mark.parametrize(
        ("prompt", "spent"),
        [
            pytest.param("a fox", 0.08, id="completed"),
            pytest.param("a fox [[fail:SAFETY.INPUT.TEXT]]", 0.08, id="moderated, and charged"),
            pytest.param("a fox [[fail:INTERNAL]]", 0.0, id="failed, and free"),
        ],
    )
    async def test_what_was_charged(
        self, master: Holder, sandbox: Sandbox, prompt: str, spent: float
    ) -> None:
        """A job costs what Runway charged for all of its tasks."""
        holder = await master.holder(max_budget=TEN_IMAGES)

        await holder.wait(prompt=prompt, num_retries=0)

        assert (spent, 0.0, spent) == await money(holder)
        assert round(spent * 100) == sandbox.charged_credits - sandbox.refunded_credits

    async def test_a_cancelled_job_in_the_queue_is_free(
        self, master: Holder, sandbox: Sandbox
    ) -> None:
        """What never came to Runway costs nothing, and leaves its room to others."""
        holder = await master.holder(max_budget=0.16, max_parallel_requests=1)
        _, first = await holder.ask()
        _, second = await holder.ask()
        full = await holder.code("POST", "/v1/images/generations", model="gen4", prompt="a fox")

        await holder.post(f"/v1/jobs/{second['id']}/cancel")
        await asyncio.sleep(0.5)
        status, _ = await holder.wait()

        assert ((422, "budget_exceeded"), 200) == (full, status)
        assert 2 == len(sandbox.tasks)
        assert "completed" == (await holder.get(f"/v1/jobs/{first['id']}"))[1]["status"]


class TestInTheMiddle:
    """A job that turns out dearer than it was thought to be."""

    @pytest.mark.parametrize(
        ("budget", "tasks"), [(0.15, 1), (0.16, 2), (0.23, 2), (0.24, 3), (None, 3)]
    )
    async def test_a_charged_failure_is_repeated_within_the_budget(
        self, master: Holder, sandbox: Sandbox, budget: float | None, tasks: int
    ) -> None:
        """With `retry_charged`, another task is bought only while the key can pay for both."""
        holder = await master.holder(max_budget=budget)
        # A failure that Runway charges for, and that may be tried again.
        sandbox.will(*["fail:INTERNAL; cost:full"] * 5)

        await holder.wait(retry_charged=True, num_retries=2)

        assert tasks == len(sandbox.tasks)
        assert (round(tasks * 0.08, 2), 0.0) == (await money(holder))[:2]

    @pytest.mark.parametrize(("budget", "status"), [(0.08, 502), (0.19, 502), (0.20, 200)])
    async def test_a_dearer_fallback_has_to_be_paid_for(
        self, master: Holder, sandbox: Sandbox, budget: float, status: int
    ) -> None:
        """A fallback that costs more than was reserved is taken only where the key can pay the difference."""
        holder = await master.holder(max_budget=budget)
        sandbox.will("fail:INTERNAL")

        answer, _ = await holder.wait(fallbacks=["runwayml/gpt_image_2"], num_retries=0)

        assert status == answer


class TestDearerSiblings:
    """Deployments of one name with prices of their own."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """A cheap deployment with one slot, and a dear one with as many as anybody wants."""
        cheap = replace(settings.deployments[0], price_microusd=10_000, max_parallel_requests=1)
        dear = replace(cheap, id="dear", price_microusd=900_000, max_parallel_requests=None)
        return replace(settings, deployments=(cheap, dear))

    async def test_the_dearest_has_to_be_covered(self, master: Holder, sandbox: Sandbox) -> None:
        """While it is open who makes an image, the dearest price is held; in the end, the real one is paid."""
        poor, rich = await master.holder(max_budget=0.89), await master.holder(max_budget=1.8)
        refused = await poor.code("POST", "/v1/images/generations", model=MODEL, prompt="a fox")

        answers = await asyncio.gather(*(rich.wait(model=MODEL) for _ in range(3)))

        assert (422, "budget_exceeded") == refused
        assert [200, 200, 422] == sorted(status for status, _ in answers)
        spent, reserved, _ = await money(rich)
        assert (0.0, True) == (reserved, spent <= 1.8)
        assert 2 == len(sandbox.tasks)


class TestRefusals:
    """How a holder learns that there is nothing left."""

    @pytest.mark.parametrize("more", [{}, {"stream": True}, {"n": 3}])
    async def test_it_is_said_before_anything_begins(
        self, master: Holder, sandbox: Sandbox, more: dict[str, Any]
    ) -> None:
        """It is a plain 422 of its own type, which no SDK repeats; nothing is asked of Runway, no job is made."""
        holder = await master.holder(max_budget=0.07)

        status, document = await holder.wait(**more)

        assert (422, "budget_exceeded", "budget_exceeded") == (
            status,
            document["error"]["type"],
            document["error"]["code"],
        )
        assert "$0.07" in document["error"]["message"]
        assert "false" == holder.headers["x-should-retry"]
        assert 0 == len(sandbox.requests)
        assert [] == (await holder.get("/v1/jobs"))[1]["data"]

    async def test_without_a_price_there_is_no_budget(
        self, master: Holder, sandbox: Sandbox
    ) -> None:
        """What nobody knows the price of is refused to a key with a budget, and to no other."""
        unknown = {"model": "runwayml/recraft_v4_1_vector"}
        limited, free = await master.holder(max_budget=100), await master.holder()

        _, document = await limited.wait(**unknown)
        status, _ = await free.ask(**unknown)

        assert "price" in document["error"]["message"]
        assert (422, 202) == (document["error"].get("status", 422), status)

    @pytest.mark.parametrize("status", [400, 402, 403, 429])
    async def test_the_status_can_be_moved(
        self, master: Holder, app: web.Application, status: int
    ) -> None:
        """`budget_exceeded_status_code` decides the status; that a repeat cannot help stays true."""
        runner = app[RUNNER]
        runner.reload(replace(runner.settings, budget_exceeded_status=status))
        holder = await master.holder(max_budget=0)

        answer, document = await holder.wait()

        assert (status, "budget_exceeded") == (answer, document["error"]["code"])
        assert ("false", None) == (
            holder.headers["x-should-retry"],
            holder.headers.get("retry-after"),
        )

    async def test_a_budget_that_is_raised_lets_in_again(self, master: Holder) -> None:
        """More money holds for the next request."""
        holder = await master.holder(max_budget=0.01)
        before, _ = await holder.ask()

        await master.post("/key/update", key=holder.id, max_budget=1)

        assert (422, 202) == (before, (await holder.ask())[0])

    async def test_a_budget_begins_anew(self, master: Holder) -> None:
        """After `budget_duration` all of it is there again; the total goes on."""
        holder = await master.holder(max_budget=0.08, budget_duration="90s")
        await holder.wait()
        before = await holder.code("POST", "/v1/images/generations", model="gen4", prompt="a fox")
        _, refused = await holder.wait()
        _, document = await holder.get("/key/info")

        await asyncio.sleep(91)
        fresh = await money(holder)
        after, _ = await holder.wait()

        assert ((422, "budget_exceeded"), (0.0, 0.0, 0.08), 200) == (before, fresh, after)
        begins = document["info"]["budget_reset_at"][:16].replace("T", " ")
        assert f"it begins anew at {begins} UTC" in refused["error"]["message"]
        assert (0.08, 0.0, 0.16) == await money(holder)
        assert document["info"]["budget_reset_at"] > document["info"]["created_at"]

    async def test_what_is_refused_is_counted(self, master: Holder, client: Any) -> None:
        """Refusals are counted by their reason."""
        broke = await master.holder(max_budget=0)
        slow = await master.holder(rpm_limit=1)
        for holder in (broke, slow, slow, slow):
            await holder.ask()

        async with client.get("/metrics") as response:
            text = await response.text()

        counted = [line for line in text.splitlines() if line.startswith("taxiway_http_rejections")]
        assert {'reason="budget"} 1.0', 'reason="rate_limit"} 2.0'} == {
            line.partition("{")[2] for line in counted if "budget" in line or "rate_limit" in line
        }


class TestRates:
    """`rpm_limit`."""

    async def test_so_many_within_any_minute(self, master: Holder, sandbox: Sandbox) -> None:
        """The next one is 429 with the exact time to wait, worth repeating; after that time it is let in."""
        holder = await master.holder(rpm_limit=3)
        for _ in range(3):
            assert 202 == (await holder.ask())[0]
            await asyncio.sleep(10)

        status, document = await holder.ask()
        wait_s = int(holder.headers["retry-after"])
        await asyncio.sleep(wait_s - 1.5)
        early, _ = await holder.ask()
        await asyncio.sleep(1.5)
        late, _ = await holder.ask()
        await asyncio.sleep(1)

        assert (429, "rate_limit_error", "rate_limit_exceeded") == (
            status,
            document["error"]["type"],
            document["error"]["code"],
        )
        assert (30, 429, 202) == (wait_s, early, late)
        assert 4 == len(sandbox.tasks)

    async def test_a_crowd_is_counted_exactly(self, master: Holder, sandbox: Sandbox) -> None:
        """Of a hundred at once as many are let in as the limit says."""
        holder = await master.holder(rpm_limit=7)

        answers = await crowd(holder)

        assert {(200, None): 7, (429, "rate_limit_exceeded"): 93} == answers
        assert 7 == len(sandbox.tasks)


class TestHeaders:
    """What answers say of a key's limits."""

    async def test_with_limits(self, master: Holder) -> None:
        """LiteLLM's names, OpenAI's, and those of the standard to come."""
        holder = await master.holder(rpm_limit=5, max_budget=2)
        await holder.wait()

        await holder.ask()

        wait_s = holder.headers["x-ratelimit-reset-requests"].removesuffix("s")
        assert {
            "x-litellm-key-spend": "0.08",
            "x-litellm-key-max-budget": "2",
            "x-litellm-key-rpm-limit": "5",
            "x-ratelimit-limit-requests": "5",
            "x-ratelimit-remaining-requests": "3",
            "x-ratelimit-reset-requests": f"{wait_s}s",
            "ratelimit-policy": '"rpm";q=5;w=60',
            "ratelimit": f'"rpm";r=3;t={wait_s}',
        } == {
            name: text
            for name, text in holder.headers.items()
            if "ratelimit" in name or "litellm-key" in name
        }
        assert 50 <= int(wait_s) <= 60

    async def test_a_refusal_says_that_none_is_left(self, master: Holder) -> None:
        """A 429 has them too."""
        holder = await master.holder(rpm_limit=1)
        await holder.ask()
        await asyncio.sleep(20)

        await holder.ask()

        assert ("0", "40s", "40") == tuple(
            holder.headers[name]
            for name in (
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
                "retry-after",
            )
        )

    async def test_the_spend_includes_this_job(self, master: Holder) -> None:
        """Whoever waits for the image hears what has been spent with it."""
        holder = await master.holder()

        await holder.wait()

        assert "0.08" == holder.headers["x-litellm-key-spend"]
        assert "x-ratelimit-limit-requests" not in holder.headers

    async def test_the_master_key_has_none(self, master: Holder) -> None:
        """Whoever may do everything has no limits to hear of."""
        await master.wait()

        assert [] == [name for name in master.headers if "ratelimit" in name or "-key-" in name]
