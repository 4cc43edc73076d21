"""`output_cost_per_image`: what an image costs by its owner's word. Runway's credits stay beside it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from taxiway.config import Loaded, describe, load_settings
from taxiway.errors import ConfigError
from taxiway.metrics import Metrics
from taxiway.settings import Settings

Load = Callable[[str], Loaded]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that loads one entry with the given parts."""

    def load_entry(params: str, info: str = "") -> Loaded:
        path = tmp_path / "config.yaml"
        path.write_text(
            "model_list: [{model_name: image, "
            f"litellm_params: {{model: runwayml/gen4_image, {params}}}, model_info: {{{info}}}}}]"
        )
        return load_settings(path=path, environ={"RUNWAYML_API_SECRET": "key_of_the_account"})

    return load_entry


@pytest.mark.parametrize(
    ("params", "info", "microusd"),
    [
        pytest.param("output_cost_per_image: 0.05", "", 50_000, id="dollars"),
        pytest.param("output_cost_per_image: 0", "", 0, id="free"),
        pytest.param("output_cost_per_image: 0.0000005", "", 1, id="half of one is one"),
        pytest.param("input_cost_per_image: 0.03", "", 30_000, id="the other word"),
        pytest.param(
            "input_cost_per_image: 0.03, output_cost_per_image: 0.05", "", 50_000, id="not added up"
        ),
        pytest.param("", "output_cost_per_image: 1.5e-2", 15_000, id="in model_info"),
        pytest.param("", "", None, id="none"),
    ],
)
def test_a_price_is_read_in_dollars(
    load: Load, params: str, info: str, microusd: int | None
) -> None:
    """Either word is the price of one image, the output's before the input's, and never their sum."""
    (deployment,) = load(f"{params}" if params else "weight: 1", info).settings.deployments

    assert microusd == deployment.price_microusd


@pytest.mark.parametrize("value", ["-0.01", "free", "1001", ".nan", "[0.05]"])
def test_a_wrong_price_stops_the_start(load: Load, value: str) -> None:
    """A price that cannot be meant is refused by its place."""
    with pytest.raises(ConfigError) as caught:
        load(f"output_cost_per_image: {value}")

    assert "model_list[0].litellm_params.output_cost_per_image must be a price in US dollars" in (
        caught.value.message
    )


def test_the_check_shows_it(load: Load) -> None:
    """`taxiway check` shows the price that counts, to the last digit it has."""
    prices = [
        describe(load(f"output_cost_per_image: {price}")).rows[0].price
        for price in ("0.1", "0.03125", "2")
    ]

    assert ["$0.10", "$0.03125", "$2.00"] == prices


class TestAtWork:
    """A service whose first model has a price of its own: three and an eighth cents."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The price."""
        first, *others = settings.deployments
        return replace(settings, deployments=(replace(first, price_microusd=31_250), *others))

    async def test_it_is_charged(self, client: aiohttp.ClientSession, metrics: Metrics) -> None:
        """Job, header, quote, books and metrics say the owner's price, beside the credits that Runway took."""
        body = {"model": "gen4", "prompt": "A red fox", "n": 2}
        async with client.post("/v1/images/quote", json=body) as response:
            quote = await response.json()
        async with client.post("/v1/images/generations", json=body) as response:
            headers, answer = response.headers, await response.json()
        job = await _get(client, headers["Content-Location"])
        usage = (await _get(client, "/v1/usage"))["total"]

        assert {"usd": 0.0625, "credits": 16, "final": False} == quote["cost"]
        assert {"usd": 0.0625, "credits": 16, "final": True} == job["cost"]
        assert (62_500, 16) == (answer["cost_microusd"], answer["cost_credits"])
        assert "0.0625" == headers["x-litellm-response-cost"]
        assert (0.0625, 0.0625, 0.0, 16) == (
            usage["cost"]["usd"],
            usage["cost"]["charged_usd"],
            usage["cost"]["estimated_usd"],
            usage["cost"]["credits"],
        )
        text = metrics.render(None)[0].decode()
        charged = '{basis="charged",model="gen4"}'
        assert f"taxiway_cost_usd_total{charged} 0.0625" in text
        assert f"taxiway_upstream_credits_spent_total{charged} 16" in text

    async def test_a_failure_costs_what_runway_took(self, client: aiohttp.ClientSession) -> None:
        """The price is that of an image: what brought none is booked as Runway charged it."""
        body = {"model": "gen4", "prompt": "A red fox [[fail:SAFETY.INPUT.TEXT]]"}
        async with client.post("/v1/images/generations", json=body) as response:
            job = await _get(client, response.headers["Content-Location"])

        assert (job["cost"]["credits"] * 10_000, True) == (
            round(job["cost"]["usd"] * 1_000_000),
            job["cost"]["final"],
        )

    async def test_the_list_of_models_shows_it(self, client: aiohttp.ClientSession) -> None:
        """Every size costs the same."""
        document = await _get(client, "/v1/models/gen4")

        assert {0.03125} == {each["cost_usd"] for each in document["sizes"]}


async def _get(client: aiohttp.ClientSession, path: str) -> Any:
    async with client.get(path) as response:
        return await response.json()
