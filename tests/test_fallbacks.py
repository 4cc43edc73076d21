"""When a deployment does not make the image: where it goes on, how often, and how many tasks that buys.

Two accounts bear the name `image`, a third is its fallback `spare`, and a fourth serves what moderation refuses.
Each is a sandbox of its own, so every task and every credit can be counted where it was bought.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest

from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.settings import Deployment, Routing, Secret, Settings, Strategy

ACCOUNTS = ("first", "second", "spare", "lenient")

#: The name that each account serves.
NAMES = {"first": "image", "second": "image", "spare": "spare", "lenient": "lenient"}


@pytest.fixture
async def accounts() -> AsyncIterator[dict[str, Sandbox]]:
    """The accounts, each at a sandbox of its own."""
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(Sandbox(SandboxSettings(pictures="plain")))
            for name in ACCOUNTS
        }


@pytest.fixture
def routing() -> Routing:
    """Deployments in the order of their levels, and the fallbacks."""
    return Routing(
        strategy=Strategy.SIMPLE_SHUFFLE,
        fallbacks={"image": ("spare",)},
        content_policy_fallbacks={"image": ("lenient",)},
    )


@pytest.fixture
def settings(accounts: dict[str, Sandbox], routing: Routing) -> Settings:
    """The settings of a service with all accounts: `first` is used before `second`."""
    orders = {"first": 1, "second": 2}
    return Settings(
        database_url="memory://",
        log_level="debug",
        shutdown_budget_s=1.0,
        routing=routing,
        deployments=tuple(
            Deployment(
                id=account,
                model_name=NAMES[account],
                provider="runwayml",
                model="gen4_image",
                api_key=Secret(f"key_of_{account}"),
                api_base=sandbox.url,
                order=orders.get(account),
            )
            for account, sandbox in accounts.items()
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a caller got, and the job behind it."""

    status: int
    document: Any
    headers: Mapping[str, str]
    job: Any

    @property
    def code(self) -> str | None:
        """The code of the error, None for an image."""
        error = self.document.get("error")
        return error and error["code"]

    @property
    def way(self) -> list[tuple[str, str]]:
        """The deployment and the end of each attempt."""
        return [(each["deployment"], each["status"]) for each in self.job["attempts"]]


async def ask(client: aiohttp.ClientSession, mark: str = "", **fields: Any) -> Answer:
    """Ask for an image whose prompt carries a fault, and return everything about it."""
    body = {"model": "image", "prompt": f"A red fox {mark}".strip(), **fields}
    async with client.post("/v1/images/generations", json=body) as response:
        document, headers = await response.json(), response.headers
        status = response.status
    async with client.get(headers["Content-Location"]) as response:
        job = await response.json()
    return Answer(status=status, document=document, headers=headers, job=job)


def tasks(accounts: dict[str, Sandbox]) -> dict[str, int]:
    """Return how many tasks each account has bought, those that bought none apart."""
    return {name: n for name, sandbox in accounts.items() if (n := len(sandbox.tasks))}


def spent(accounts: dict[str, Sandbox]) -> int:
    """Return the credits that all accounts have kept."""
    return sum(each.charged_credits - each.refunded_credits for each in accounts.values())


def break_(accounts: dict[str, Sandbox], fault: str, *names: str) -> None:
    """Put a fault in force at some accounts."""
    for name in names:
        accounts[name].faults.add(fault)


#: fault, where → status, the way, tasks bought by account, fallbacks, retries
SAVED = [
    pytest.param(
        *("create:401", ("first",)),
        *([("first", "refused"), ("second", "completed")], {"second": 1}, 0, 1),
        id="a refused key: the next deployment",
    ),
    pytest.param(
        *("create:401", ("first", "second")),
        [("first", "refused"), ("second", "refused"), ("spare", "completed")],
        *({"spare": 1}, 1, 1),
        id="both keys refused: the fallback",
    ),
    pytest.param(
        *("create:400 body=credits", ("first",)),
        *([("first", "refused"), ("second", "completed")], {"second": 1}, 0, 1),
        id="out of credits: the next deployment",
    ),
    pytest.param(
        *("create:429 body=quota", ("first", "second")),
        [("first", "refused"), ("second", "refused"), ("spare", "completed")],
        *({"spare": 1}, 1, 1),
        id="both quotas used up: the fallback",
    ),
    pytest.param(
        *("create:404", ("first",)),
        *([("first", "refused"), ("second", "completed")], {"second": 1}, 0, 1),
        id="a wrong address: the next deployment",
    ),
    pytest.param(
        *("create:429 body=throttle retry_after=20", ("first",)),
        *([("second", "completed")], {"second": 1}, 0, 1),
        id="a rate limit: the next deployment, at once, in the same attempt",
    ),
    pytest.param(
        *("create:503", ("first", "second")),
        *([("first", "refused"), ("spare", "completed")], {"spare": 1}, 1, 2),
        id="overloaded everywhere: the fallback after the retries",
    ),
    pytest.param(
        *("fail:INTERNAL", ("first",)),
        *([("first", "failed"), ("second", "completed")], {"first": 1, "second": 1}, 0, 1),
        id="INTERNAL: the next deployment, for nothing",
    ),
    pytest.param(
        *("fail:INTERNAL", ("first", "second")),
        [("first", "failed"), ("second", "failed"), ("first", "failed"), ("spare", "completed")],
        *({"first": 2, "second": 1, "spare": 1}, 1, 2),
        id="INTERNAL everywhere: one task for each retry, then the fallback",
    ),
    pytest.param(
        *("fail:THIRD_PARTY.UNAVAILABLE", ("first",)),
        *([("first", "failed"), ("spare", "completed")], {"first": 1, "spare": 1}, 1, 0),
        id="the vendor behind is away: another model first",
    ),
]


@pytest.mark.parametrize(("fault", "where", "way", "bought", "fallbacks", "retries"), SAVED)
async def test_an_image_is_made_elsewhere(
    client: aiohttp.ClientSession,
    accounts: dict[str, Sandbox],
    fault: str,
    where: tuple[str, ...],
    way: list[tuple[str, str]],
    bought: dict[str, int],
    fallbacks: int,
    retries: int,
) -> None:
    """A failure that cost nothing sends the image on; attempts and headers tell how, and one image is paid for."""
    break_(accounts, fault, *where)
    answer = await ask(client)

    assert (answer.status, answer.way) == (200, way)
    assert bought == tasks(accounts)
    assert (8, 8) == (answer.job["cost"]["credits"], spent(accounts))
    assert str(fallbacks) == answer.headers["x-litellm-attempted-fallbacks"]
    assert str(retries) == answer.headers["x-litellm-attempted-retries"]
    assert way[-1][0] == answer.headers["x-litellm-model-id"]


async def test_a_refused_prompt_goes_on_only_where_that_is_configured(
    client: aiohttp.ClientSession, accounts: dict[str, Sandbox]
) -> None:
    """What moderation refuses goes to the names of `content_policy_fallbacks`; both tasks are on the books."""
    break_(accounts, "fail:SAFETY.INPUT.TEXT", "first")
    answer = await ask(client)

    assert (answer.status, answer.way) == (200, [("first", "failed"), ("lenient", "completed")])
    assert {"first": 1, "lenient": 1} == tasks(accounts)
    assert (16, 16) == (answer.job["cost"]["credits"], spent(accounts))
    assert "1" == answer.headers["x-litellm-attempted-fallbacks"]
    assert ["image", "lenient"] == [each["group"] for each in answer.job["attempts"]]


class TestWithoutContentPolicyFallbacks:
    """A service that falls back for everything else."""

    @pytest.fixture
    def routing(self, routing: Routing) -> Routing:
        """The fallbacks, but for refused prompts."""
        return replace(routing, content_policy_fallbacks={})

    async def test_a_refused_prompt_ends_the_job(
        self, client: aiohttp.ClientSession, accounts: dict[str, Sandbox]
    ) -> None:
        """Two levels, a fallback and retries: a refused prompt buys one task all the same (row 28)."""
        break_(accounts, "fail:SAFETY.INPUT.TEXT", *ACCOUNTS)
        answer = await ask(client, num_retries=1)

        assert (answer.status, answer.code) == (400, "content_policy_violation")
        assert {"first": 1} == tasks(accounts)


ENDED = [
    pytest.param("create:400", 400, "provider_rejected", {}, id="the caller's fault"),
    pytest.param("create:502", 502, "submission_unknown", {}, id="nobody knows"),
    pytest.param("create:cut", 502, "submission_unknown", {"first": 1}, id="the answer is lost"),
    pytest.param("fail:ASSET.INVALID", 400, "invalid_image", {"first": 1}, id="a bad reference"),
    pytest.param(
        "fail:INTERNAL; cost:full", 502, "provider_failed", {"first": 1}, id="a failure that cost"
    ),
    pytest.param("cancelled", 502, "provider_cancelled", {"first": 1}, id="cancelled there"),
    pytest.param("vanish", 502, "provider_failed", {"first": 1}, id="gone there"),
]


@pytest.mark.parametrize(("fault", "status", "code", "bought"), ENDED)
async def test_an_end_for_good_is_no_occasion_for_a_second_task(
    client: aiohttp.ClientSession,
    accounts: dict[str, Sandbox],
    fault: str,
    status: int,
    code: str,
    bought: dict[str, int],
) -> None:
    """What is the caller's fault, may have been bought, or has cost something is not repeated anywhere."""
    answer = await ask(client, f"[[{fault}]]")

    assert (answer.status, answer.code) == (status, code)
    assert bought == tasks(accounts)


async def test_polls_that_fail_never_use_the_fallback(
    client: aiohttp.ClientSession, accounts: dict[str, Sandbox]
) -> None:
    """A task that cannot be seen is looked at again, whoever else could make the image (row 29)."""
    break_(accounts, "poll:503 for=20", "first")
    answer = await ask(client)

    assert (answer.status, answer.way) == (200, [("first", "completed")])
    assert {"first": 1} == tasks(accounts)


async def test_when_nobody_can_make_it_the_last_reason_is_told(
    client: aiohttp.ClientSession, accounts: dict[str, Sandbox]
) -> None:
    """Every account refused: one POST to each, nothing bought, and the caller learns whose fault it is."""
    break_(accounts, "create:401", "first", "second")
    break_(accounts, "create:400 body=credits", "spare")
    answer = await ask(client)

    assert (answer.status, answer.code) == (503, "insufficient_credits")
    assert [1, 1, 1, 0] == [posts(sandbox) for sandbox in accounts.values()]
    assert {"usd": 0.0, "credits": 0, "final": True} == answer.job["cost"]


async def test_an_account_that_was_refused_is_not_asked_again(
    client: aiohttp.ClientSession, accounts: dict[str, Sandbox]
) -> None:
    """The next job does not knock at a door that was just shut; with every door shut it fails at once."""
    break_(accounts, "create:401", "first", "second", "spare")
    await ask(client)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    answer = await ask(client)

    assert (answer.status, answer.code) == (502, "provider_auth_failed")
    assert loop.time() - began_s < 1
    assert (answer.way, answer.job["cost"]["credits"]) == ([], 0)
    assert [1, 1, 1, 0] == [posts(sandbox) for sandbox in accounts.values()]


async def test_a_caller_may_bring_fallbacks(
    client: aiohttp.ClientSession, accounts: dict[str, Sandbox]
) -> None:
    """`fallbacks` of a request come before those of the configuration."""
    break_(accounts, "create:401", "first", "second")
    answer = await ask(client, fallbacks=["lenient"])

    assert ("lenient", "completed") == answer.way[-1]
    assert {"lenient": 1} == tasks(accounts)


async def test_a_fallback_that_does_not_exist_is_refused(client: aiohttp.ClientSession) -> None:
    """A misspelt name in `fallbacks` is a 400 that names it, and no job."""
    body = {"model": "image", "prompt": "A red fox", "fallbacks": ["sparre"]}
    async with client.post("/v1/images/generations", json=body) as response:
        document = await response.json()

    assert (response.status, document["error"]["param"]) == (400, "fallbacks")
    assert "x-taxiway-job-id" not in response.headers


async def test_the_log_tells_of_a_fallback(
    client: aiohttp.ClientSession,
    accounts: dict[str, Sandbox],
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """A change of name, and a deployment that is out, have a line each, with the reason."""
    break_(accounts, "create:401", "first", "second")
    await ask(client)
    lines = log_lines()
    hops = [line for line in lines if line["event"] == "job.fallback"]
    out = [line for line in lines if line["event"] == "deployment.rests"]
    refused = [line["deployment"] for line in lines if line["event"] == "upstream.auth_refused"]

    assert [("spare", "auth")] == [(line["group"], line["error.type"]) for line in hops]
    assert [("first", "auth", 60.0), ("second", "auth", 60.0)] == [
        (line["deployment"], line["error.type"], line["duration_s"]) for line in out
    ]
    assert ["first", "second"] == refused


class TestNobodyThere:
    """Accounts of which some cannot be reached."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with nobody listening where `first` and `second` should be."""
        return replace(
            settings,
            deployments=tuple(
                replace(each, api_base="http://127.0.0.1:9") if each.model_name == "image" else each
                for each in settings.deployments
            ),
        )

    async def test_an_unreachable_name_falls_back_within_seconds(
        self, client: aiohttp.ClientSession, accounts: dict[str, Sandbox]
    ) -> None:
        """With a fallback nobody waits the half minute that is given to the only provider."""
        answer = await ask(client)

        assert (answer.status, answer.way[-1]) == (200, ("spare", "completed"))
        assert answer.job["finished_at"] - answer.job["created_at"] < 15
        assert {"spare": 1} == tasks(accounts)


class TestChains:
    """Fallbacks of fallbacks."""

    @pytest.fixture
    def routing(self, routing: Routing) -> Routing:
        """Names that lead to each other, and at most two changes."""
        return replace(
            routing,
            fallbacks={"image": ("spare",), "spare": ("image", "lenient")},
            max_fallbacks=2,
        )

    async def test_a_chain_is_followed_and_never_goes_round(
        self, client: aiohttp.ClientSession, accounts: dict[str, Sandbox]
    ) -> None:
        """A fallback's own fallbacks follow it; a name that was tried is not tried again."""
        break_(accounts, "create:401", "first", "second", "spare")
        answer = await ask(client)

        assert ("lenient", "completed") == answer.way[-1]
        assert ["image", "image", "spare", "lenient"] == [
            a["group"] for a in answer.job["attempts"]
        ]
        assert "2" == answer.headers["x-litellm-attempted-fallbacks"]


class TestOneChange:
    """The same chain with a bound."""

    @pytest.fixture
    def routing(self, routing: Routing) -> Routing:
        """At most one change of name."""
        return replace(
            routing, fallbacks={"image": ("spare",), "spare": ("lenient",)}, max_fallbacks=1
        )

    async def test_max_fallbacks_ends_a_chain(
        self, client: aiohttp.ClientSession, accounts: dict[str, Sandbox]
    ) -> None:
        """Beyond `max_fallbacks` nothing follows."""
        break_(accounts, "create:401", "first", "second", "spare")
        answer = await ask(client)

        assert (answer.status, answer.code) == (502, "provider_auth_failed")
        assert {} == tasks(accounts)


class TestAnotherModel:
    """A fallback to a model that makes fewer images at once, at another price."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """`image` is a model that makes several images per task, `spare` one that makes one."""
        models = {"image": "gpt_image_2", "spare": "gen4_image_turbo", "lenient": "gen4_image"}
        return replace(
            settings,
            deployments=tuple(
                replace(each, model=models[each.model_name]) for each in settings.deployments
            ),
            routing=replace(settings.routing, fallbacks={"image": ("spare", "lenient")}),
        )

    async def test_a_part_is_planned_anew(
        self, client: aiohttp.ClientSession, accounts: dict[str, Sandbox]
    ) -> None:
        """Three images of one task become three tasks elsewhere, at the other model's price and in its size."""
        break_(accounts, "create:401", "first", "second")
        answer = await ask(client, n=3)

        made = [each for each in answer.job["attempts"] if each["status"] == "completed"]
        assert (answer.status, len(answer.document["data"])) == (200, 3)
        assert ["lenient"] * 3 == [each["deployment"] for each in made]
        assert {"lenient": 3} == tasks(accounts)
        assert (24, 24) == (answer.job["cost"]["credits"], spent(accounts))
        assert ["1920x1080"] * 3 == [image["size"] for image in answer.job["images"]]

    async def test_a_model_that_cannot_honour_the_request_is_passed_over(
        self, client: aiohttp.ClientSession, accounts: dict[str, Sandbox]
    ) -> None:
        """A size or a field that the fallback does not have takes it out of the chain, and buys nothing there."""
        break_(accounts, "create:401", "first", "second")
        answer = await ask(client, size="3840x2160")

        assert (answer.status, answer.code) == (502, "provider_auth_failed")
        assert {} == tasks(accounts)


def posts(sandbox: Sandbox) -> int:
    """Return how often a task was asked for."""
    return sum(record.path == "/v1/text_to_image" for record in sandbox.requests)
