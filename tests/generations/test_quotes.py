"""The price before the image: `POST /v1/images/quote`."""

import aiohttp
import pytest
from tests.generations.asking import ask, get

from taxiway.sandbox import Sandbox
from taxiway.server.headers import usd_text
from taxiway.store.memory import MemoryStore


async def test_a_quote_says_the_price_and_asks_nobody(
    client: aiohttp.ClientSession, sandbox: Sandbox, store: MemoryStore
) -> None:
    """`POST /v1/images/quote` answers with the tasks a request would need and their price."""
    status, document, headers = await ask(client, path="/v1/images/quote", n=2, size="1280x720")

    assert status == 200
    assert document == {
        "object": "image.generation.quote",
        "model": "runwayml/gen4_image",
        "size": "1280x720",
        "n": 2,
        "tasks": [{"images": 1, "credits": 5}, {"images": 1, "credits": 5}],
        "dropped_params": [],
        "cost": {"usd": 0.1, "credits": 10, "final": False},
        "cost_credits": 10,
        "cost_microusd": 100_000,
    }
    assert "x-taxiway-job-id" not in headers
    assert len(sandbox.requests) == 0
    assert (await get(client, "/v1/jobs"))["data"] == []


async def test_a_price_that_nobody_has_published_is_null(client: aiohttp.ClientSession) -> None:
    """An unknown price is said to be unknown, and never to be nothing."""
    _, document, _ = await ask(
        client, path="/v1/images/quote", model="runwayml/recraft_v4_1_vector"
    )

    assert document["cost"] == {"usd": None, "credits": None, "final": False}
    assert document["cost_microusd"] is None


@pytest.mark.parametrize(
    ("microusd", "expected"),
    [
        pytest.param(0, "0", id="nothing"),
        pytest.param(1, "0.000001", id="the least"),
        pytest.param(10_000, "0.01", id="a cent"),
        pytest.param(31_250, "0.03125", id="three cents and an eighth"),
        pytest.param(1_000_000, "1", id="a dollar"),
        pytest.param(1_234_567_890_000, "1234567.89", id="much"),
    ],
)
def test_money_in_a_header_is_a_plain_decimal(microusd: int, expected: str) -> None:
    """A cost is written out, never as 1e-05."""
    assert usd_text(microusd) == expected
