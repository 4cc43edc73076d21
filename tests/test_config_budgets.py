"""The budgets of the configuration: of the service, of a provider, of a deployment."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families
from tests.holders import Holder
from tests.test_budgets import crowd

from taxiway.metrics import Metrics
from taxiway.purses import LOOK_S, Purse, Purses
from taxiway.sandbox import Sandbox
from taxiway.server import create_app
from taxiway.server.keys import RUNNER
from taxiway.server.reloading import reload
from taxiway.server.running import listening
from taxiway.settings import Budget, Settings
from taxiway.store.memory import MemoryStore

# A budget of a day is whole again at midnight.
pytestmark = pytest.mark.usefixtures("at_noon")

MODEL = "runwayml/gen4_image"


@pytest.fixture
def caller(client: aiohttp.ClientSession) -> Holder:
    """Somebody who calls the service, which asks for no key."""
    return Holder(client, "any")


@pytest.mark.parametrize(
    ("duration", "left"), [("1d", 800_000), ("1mo", 500_000), ("1w", 500_000), (None, 500_000)]
)
def test_a_new_period_has_a_new_budget(duration: str | None, left: int) -> None:
    """At midnight a day's budget is whole again; a longer one goes on."""
    midnight = 1_704_153_600.0  # from Monday to Tuesday, 2 January 2024
    budget = Budget(microusd=800_000, duration=duration)
    purse = Purse("service", budget, deployments=None, now=midnight - 60)
    purse.looked(100_000, booked_microusd=0)
    purse.book(200_000, now=midnight - 30)

    assert 500_000 == purse.left_microusd(midnight - 1)
    assert left == purse.left_microusd(midnight)


async def left_of(client: aiohttp.ClientSession) -> dict[tuple[str, str], float]:
    """What the page of numbers says to be left, by budget and window. A page is a second old at most."""
    await asyncio.sleep(1.5)
    async with client.get("/metrics") as response:
        page = await response.text()
    return {
        (sample.labels["budget"], sample.labels["window"]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "taxiway_budget_remaining_usd"
    }


async def test_without_budgets_the_numbers_have_none(client: aiohttp.ClientSession) -> None:
    """No series is the only way to say that there is no limit."""
    assert {} == await left_of(client)


class TestOfTheService:
    """`max_budget` and `budget_duration` of `litellm_settings`."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """A service that may spend ten images a day."""
        return replace(settings, max_budget_microusd=800_000, budget_duration="1d")

    async def test_a_hundred_at_once_buy_ten(self, caller: Holder, sandbox: Sandbox) -> None:
        """What it does not cover is refused before anything is bought, in any crowd."""
        answers = await crowd(caller)

        assert {(200, None): 10, (422, "budget_exceeded"): 90} == answers
        assert 10 == len(sandbox.tasks)

    async def test_the_refusal_says_what_is_left(self, caller: Holder) -> None:
        """A request that is too dear is told what there is; a cheaper one is served."""
        await asyncio.gather(*(caller.wait() for _ in range(9)))

        status, document = await caller.wait(n=2)

        assert (422, 200) == (status, (await caller.wait())[0])
        assert (
            "The budget of this service is $0.80, of which $0.08 are left"
            in (document["error"]["message"])
        )

    async def test_the_numbers_say_what_is_left(self, caller: Holder) -> None:
        """From the start, and after each look at the ledger."""
        whole = await left_of(caller.client)
        await asyncio.gather(*(caller.wait() for _ in range(3)))

        await asyncio.sleep(LOOK_S)

        assert {("service", "1d"): 0.8} == whole
        assert {("service", "1d"): 0.56} == await left_of(caller.client)

    async def test_the_next_process_knows_what_was_spent(
        self, settings: Settings, store: MemoryStore, caller: Holder, sandbox: Sandbox
    ) -> None:
        """What was spent before a restart is in the ledger, and counts."""
        await asyncio.gather(*(caller.wait() for _ in range(10)))

        again = create_app(settings, store=store)
        async with (
            listening(again, host="127.0.0.1", port=0) as url,
            aiohttp.ClientSession(url) as client,
        ):
            status, _ = await Holder(client, "any").wait()

            left = await left_of(client)

        assert 422 == status
        assert {("service", "1d"): 0.0} == left
        assert 10 == len(sandbox.tasks)

    async def test_a_failure_that_cost_nothing_gives_its_room_back(
        self, caller: Holder, sandbox: Sandbox
    ) -> None:
        """What was set aside for a job is free when the job has ended for nothing."""
        sandbox.will(*["fail:INTERNAL"] * 10)
        failed = await asyncio.gather(*(caller.wait(num_retries=0) for _ in range(10)))

        answers = await crowd(caller)

        assert {502} == {status for status, _ in failed}
        assert 10 == answers[200, None]


class TestOfADeployment:
    """`max_budget` and `budget_duration` of `litellm_params`, and `provider_budget_config`."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Two deployments of one name, of which the first may spend three images."""
        first = replace(settings.deployments[0], order=1, max_budget_microusd=240_000)
        spare = replace(first, id="spare", order=2, max_budget_microusd=None)
        return replace(settings, deployments=(first, spare))

    async def test_others_take_its_place(self, caller: Holder, sandbox: Sandbox) -> None:
        """With nothing left it takes no further tasks, and the next level does."""
        used = []
        for _ in range(5):
            await caller.wait(model=MODEL)
            used.append(caller.headers["x-litellm-model-id"])

        assert ["gen4_image-1"] * 3 + ["spare"] * 2 == used

    async def test_a_crowd_finds_it_spent_as_well(self, caller: Holder) -> None:
        """Of twenty at once three go there: what is let go counts before it is written down."""
        answers = await asyncio.gather(*(caller.wait(model=MODEL) for _ in range(20)))
        _, usage = await caller.get("/v1/usage?by=deployment")
        _, model = await caller.get(f"/v1/models/{MODEL}")

        assert {200} == {status for status, _ in answers}
        assert {"gen4_image-1": 3, "spare": 17} == {
            row["deployment"]: row["tasks"] for row in usage["data"]
        }
        assert ["over_budget", "ready"] == [each["status"] for each in model["deployments"]]

    async def test_what_is_let_go_and_never_leaves_gives_its_room_back(
        self, settings: Settings
    ) -> None:
        """Once a job holds no slot, nothing is set aside for it."""
        purses = Purses(MemoryStore(), settings, now=lambda: 0.0)
        purses.set_aside("job_1", 0, deployment="gen4_image-1", microusd=80_000)
        purses.set_aside("job_1", 1, deployment="gen4_image-1", microusd=160_000)
        before = purses.exhausted("gen4_image-1")

        purses.let_go("job_1")

        assert (True, False) == (before, purses.exhausted("gen4_image-1"))
        assert (True, False) == (purses.watches("gen4_image-1"), purses.watches("spare"))

    async def test_the_numbers_follow_the_configuration(
        self, app: web.Application, caller: Holder
    ) -> None:
        """A reload shows what is new within a moment, overspent or not, and hides what is gone."""
        before = await left_of(caller.client)
        await caller.wait(model=MODEL)
        settings = app[RUNNER].settings
        providers = {"runwayml": Budget(microusd=50_000, duration="1mo")}

        reload(app, replace(settings, provider_budgets=providers, max_budget_microusd=1_000_000))
        more = await left_of(caller.client)
        free = [replace(each, max_budget_microusd=None) for each in settings.deployments]
        reload(app, replace(settings, deployments=tuple(free)))

        assert {("gen4_image-1", "total"): 0.24} == before
        assert {
            ("service", "total"): 0.92,
            ("runwayml", "1mo"): -0.03,
            ("gen4_image-1", "total"): 0.16,
        } == more
        assert {} == await left_of(caller.client)

    async def test_equal_ones_are_kept_apart(self, app: web.Application, caller: Holder) -> None:
        """After a reload too, a provider and its only deployment with the same budget each book a task once."""
        settings = app[RUNNER].settings
        alone = replace(settings.deployments[0], id="runwayml", max_budget_microusd=320_000)
        equal = Budget(microusd=320_000, duration=None)
        same = replace(settings, deployments=(alone,), provider_budgets={"runwayml": equal})
        reload(app, same)
        reload(app, same)
        await asyncio.sleep(1)

        statuses = [(await caller.wait(model=MODEL))[0] for _ in range(5)]

        assert [200] * 4 + [503] == statuses

    async def test_a_provider_has_one_too(
        self, app: web.Application, caller: Holder, sandbox: Sandbox
    ) -> None:
        """What all deployments of a provider may cost; a reload brings it, and counts what was spent before."""
        await caller.wait(model=MODEL)
        settings = app[RUNNER].settings
        budget = Budget(microusd=160_000, duration="1mo")

        reload(app, replace(settings, provider_budgets={"runwayml": budget}))
        await asyncio.sleep(1)
        status, _ = await caller.wait(model=MODEL)
        refused, document = await caller.wait(model=MODEL)

        assert (200, 503) == (status, refused)
        assert "no_deployment_available" == document["error"]["code"]
        assert "budget" in document["error"]["message"]
        assert 2 == len(sandbox.tasks)

    async def test_a_spent_one_is_no_outage(
        self, app: web.Application, caller: Holder, metrics: Metrics
    ) -> None:
        """Jobs that find it spent are counted as just that, apart from those of a provider that is down."""
        providers = {"runwayml": Budget(microusd=80_000, duration=None)}
        reload(app, replace(app[RUNNER].settings, provider_budgets=providers))
        await asyncio.sleep(1)

        statuses = [(await caller.wait(model=MODEL))[0] for _ in range(3)]

        page, _ = metrics.render(None)
        failed = {
            sample.labels["reason"]: sample.value
            for family in text_string_to_metric_families(page.decode())
            for sample in family.samples
            if sample.name == "taxiway_jobs_finished_total"
            if sample.labels["outcome"] == "failed" and sample.value
        }
        assert [200, 503, 503] == statuses
        assert {"budget": 2} == failed
