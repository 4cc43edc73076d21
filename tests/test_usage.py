"""What was spent: `GET /v1/usage` adds the ledger up, and `taxiway usage` prints it."""

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from taxiway.sandbox import Sandbox
from taxiway.settings import Secret, Settings

# What was bought around midnight is on two days.
pytestmark = pytest.mark.usefixtures("at_noon")

GEN4 = {"model": "runwayml/gen4_image", "prompt": "a red fox"}
GPT = {"model": "runwayml/gpt_image_2", "prompt": "a red fox", "quality": "low"}


async def ask(client: aiohttp.ClientSession, **body: Any) -> Any:
    """Ask for images and wait for them; return the job."""
    async with client.post("/v1/images/generations", json=body) as response:
        where = response.headers["Content-Location"]
    async with client.get(where) as response:
        return await response.json()


async def usage(client: aiohttp.ClientSession, **query: Any) -> Any:
    """Return the report."""
    async with client.get("/v1/usage", params=query) as response:
        assert response.status == 200, await response.text()
        return await response.json()


def cost(credits: int, *, estimated: int = 0, unknown: int = 0) -> Any:  # noqa: A002 - the trade's word
    """The cost of a row: charged but for what is estimated."""
    return {
        "usd": credits / 100,
        "credits": credits,
        "final": not estimated and not unknown,
        "charged_credits": credits - estimated,
        "estimated_credits": estimated,
        "charged_usd": (credits - estimated) / 100,
        "estimated_usd": estimated / 100,
        "unknown_charges": unknown,
    }


NOTHING = {"usd": 0.0, "credits": 0}


async def test_before_anything_was_bought_it_says_so(client: aiohttp.ClientSession) -> None:
    """An empty ledger adds up to nothing, and nothing of it is a guess."""
    total = {"jobs": 0, "attempts": 0, "tasks": 0, "cost": cost(0), "reserved": NOTHING}

    assert await usage(client) == {
        "object": "usage",
        "by": [],
        "since": None,
        "until": None,
        "data": [],
        "total": total,
    }


async def test_it_is_what_runway_has_charged(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Images, failures that were charged and failures that were not: the sum is Runway's own, to the credit."""
    await asyncio.gather(
        *(ask(client, **GEN4, size="1280x720") for _ in range(3)),
        ask(client, **{**GEN4, "prompt": "a fox [[fail:SAFETY.INPUT.TEXT]]"}),
        ask(client, **{**GEN4, "prompt": "a fox [[fail:INTERNAL]]"}),
        ask(client, **GPT, n=2),
    )

    report = await usage(client)

    assert report["total"]["cost"] == cost(sandbox.charged_credits - sandbox.refunded_credits)
    assert (6, 8, 8) == tuple(report["total"][name] for name in ("jobs", "attempts", "tasks"))
    assert 8 == len(sandbox.tasks)
    assert report["total"]["reserved"] == NOTHING


async def test_it_is_told_apart_by_what_is_asked_for(client: aiohttp.ClientSession) -> None:
    """By model and day: a row for each pair there is, and the total of them."""
    gen4, gpt = await ask(client, **GEN4), await ask(client, **GPT)

    report = await usage(client, by="model,day")

    (day,) = {row["day"] for row in report["data"]}
    shown = [(row["model"], row["cost"]["credits"]) for row in report["data"]]
    spent = [job["cost"]["credits"] for job in (gen4, gpt)]
    assert ["model", "day"] == report["by"]
    assert len(day) == len("2026-11-26")
    assert [("runwayml/gen4_image", spent[0]), ("runwayml/gpt_image_2", spent[1])] == shown
    assert sum(spent) == report["total"]["cost"]["credits"]


async def test_what_cannot_be_known_is_said(client: aiohttp.ClientSession) -> None:
    """A submission whose answer was lost is booked at the price, as an estimate, and without a task."""
    await ask(client, **{**GEN4, "prompt": "a fox [[create:cut]]"})

    total = (await usage(client))["total"]

    assert (1, 0) == (total["attempts"], total["tasks"])
    assert cost(8, estimated=8) == total["cost"]


async def test_what_is_under_way_is_reserved(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Until a task ends, what it may cost is held back, and not yet spent."""
    asking = asyncio.create_task(ask(client, **GEN4))
    await asyncio.sleep(2)
    during = (await usage(client))["total"]
    await asking
    after = (await usage(client))["total"]

    assert ({"usd": 0.08, "credits": 8}, cost(0)) == (during["reserved"], during["cost"])
    assert (NOTHING, cost(8)) == (after["reserved"], after["cost"])


async def test_it_is_bounded_by_dates(client: aiohttp.ClientSession) -> None:
    """`since` is in it and `until` is not; both as seconds or as a date."""
    job = await ask(client, **GEN4)
    at = job["finished_at"]

    found = [
        (await usage(client, **bounds))["total"]["attempts"]
        for bounds in (
            {"since": at},
            {"until": at},
            {"since": at - 60, "until": at + 60},
            {"since": "2020-01-01"},
            {"until": "2020-01-01T00:00:00Z"},
        )
    ]

    assert [1, 0, 1, 1, 0] == found


@pytest.mark.parametrize(
    ("query", "param", "said"),
    [
        pytest.param("by=colour", "by", "model, key, day, upstream_model, deployment", id="by"),
        pytest.param("by=day,day", "by", "each once", id="by twice"),
        pytest.param("since=yesterday", "since", "2026-11-23T18:30:00Z", id="since"),
        pytest.param("until=%2B1h", "until", "2026-11-23T18:30:00Z", id="until"),
        pytest.param("since=20&until=10", "until", "later than `since`", id="backwards"),
        pytest.param("model=gen4", "model", "by, since, until", id="unknown"),
        pytest.param("since=1&since=2", "since", "once", id="since twice"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(
    client: aiohttp.ClientSession, query: str, param: str, said: str
) -> None:
    """The parameter at fault is named, and what it accepts."""
    async with client.get(f"/v1/usage?{query}") as response:
        error = (await response.json())["error"]

    assert (400, param) == (response.status, error["param"])
    assert said in error["message"]


class TestWithAKey:
    """A service with a master key."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings with a master key."""
        return replace(settings, master_key=Secret("sk-master"))

    async def test_money_is_shown_to_who_has_it(self, client: aiohttp.ClientSession) -> None:
        """Without the key there is nothing to see."""
        async with client.get("/v1/usage") as response:
            refused = response.status
        async with client.get("/v1/usage", headers={"x-api-key": "sk-master"}) as response:
            shown = response.status

        assert (401, 200) == (refused, shown)
