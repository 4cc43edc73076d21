"""The second provider: whatever speaks OpenAI's API makes an image too."""

from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.openai_provider.vendor import (
    BASE64,
    KEY,
    PNG,
    Vendor,
    app_settings,
    ask,
    deployed,
    fetched,
    made,
    metrics_of,
)

from taxiway.server.reloading import reload
from taxiway.settings import Settings
from taxiway.store.memory import MemoryStore


async def test_an_image_in_base64(
    client: aiohttp.ClientSession, vendor: Vendor, store: MemoryStore
) -> None:
    """The bytes go into the archive, not into the job; they tell type and size, and the owner the price."""
    usage = {"input_tokens": 9, "output_tokens": 1056, "input_tokens_details": {"text_tokens": 9}}
    vendor.answers = [made(usage=usage, headers={"x-request-id": "req_1"})]
    status, document, job = await ask(client)
    (image,), (attempt,) = job["images"], job["attempts"]

    assert (200, "completed", {"usd": 0.04, "credits": None, "final": True}) == (
        status,
        job["status"],
        job["cost"],
    )
    assert ("64x48", "image/png") == (image["size"], image["content_type"])
    assert ("openai", "flux", "req_1", "completed") == (
        attempt["provider"],
        attempt["model"],
        attempt["upstream_id"],
        attempt["status"],
    )
    assert (200, PNG) == await fetched(client, f"/v1/jobs/{job['id']}/images/0")
    assert (9, 1056, 1065) == tuple(
        document["usage"][name] for name in ("input_tokens", "output_tokens", "total_tokens")
    )
    stored = await store.get(job["id"])
    assert BASE64 not in str(stored)
    assert 'taxiway_images_stored_total{result="stored"} 1.0' in await metrics_of(client)


async def test_an_image_by_address(client: aiohttp.ClientSession, vendor: Vendor) -> None:
    """An address is fetched and archived like Runway's; what was made of the prompt is passed on."""
    vendor.answers = [made({"url": f"{vendor.url}/image.png", "revised_prompt": "A fox, red"})]
    status, document, job = await ask(client, response_format="b64_json")

    assert (200, "64x48") == (status, job["images"][0]["size"])
    assert (BASE64, "A fox, red") == (
        document["data"][0]["b64_json"],
        document["data"][0]["revised_prompt"],
    )


async def test_what_is_sent(client: aiohttp.ClientSession, vendor: Vendor) -> None:
    """OpenAI's fields go out as they came, with the deployment's key and a key for repeats; nothing else does."""
    await ask(client, n=2, size="1234x567", quality="high", background="opaque", user="me", seed=7)
    ((headers, body),) = vendor.asked

    assert {
        "model": "flux",
        "prompt": "A red fox",
        "n": 2,
        "size": "1234x567",
        "quality": "high",
        "background": "opaque",
        "user": "me",
        "seed": 7,
    } == body
    assert f"Bearer {KEY}" == headers["Authorization"]
    assert headers["Idempotency-Key"].startswith("job_")


@pytest.mark.parametrize(
    ("answer", "usd", "final"),
    [
        pytest.param(
            made(headers={"x-litellm-response-cost": "0.0125"}),
            0.0125,
            True,
            id="told by a gateway",
        ),
        pytest.param(made(), None, False, id="told by nobody"),
        pytest.param(
            made(headers={"x-litellm-response-cost": "NaN"}), None, False, id="told in no number"
        ),
    ],
)
async def test_without_a_price_the_answer_counts(
    client: aiohttp.ClientSession,
    app: web.Application,
    vendor: Vendor,
    answer: Any,
    usd: float | None,
    final: bool,
) -> None:
    """Without a price of its own a deployment costs what the answer says, and else nobody knows: never zero."""
    before = app_settings(app)
    reload(app, replace(before, deployments=(deployed(vendor),)))
    vendor.answers = [answer]
    _, document, job = await ask(client)
    async with client.get("/v1/usage") as response:
        spent = (await response.json())["total"]["cost"]

    assert {"usd": usd, "credits": None, "final": final} == job["cost"]
    assert (None if usd is None else round(usd * 1e6)) == document["cost_microusd"]
    assert (usd or 0.0, int(usd is None)) == (spent["usd"], spent["unknown_charges"])


#: model, request → what is sent, or the code of the refusal
KNOWN = [
    pytest.param("dall-e-3", {"size": "1920x1080"}, {"size": "1792x1024"}, id="the nearest"),
    pytest.param("gpt-image-1", {"size": "1080x1920"}, {"size": "1024x1536"}, id="upright"),
    pytest.param("dall-e-3", {"size": "auto", "quality": "hd"}, {"quality": "hd"}, id="a quality"),
    pytest.param("gpt-image-1", {"quality": "standard"}, {}, id="a default asks for nothing"),
    pytest.param("dall-e-3", {"size": "3x3"}, "invalid_size", id="a size it has not"),
    pytest.param("dall-e-3", {"quality": "high"}, "invalid_value", id="a quality it has not"),
    pytest.param("dall-e-3", {"background": "opaque"}, "unsupported_parameter", id="a field"),
    pytest.param("gpt-image-1", {"style": "natural"}, "unsupported_parameter", id="a style"),
    pytest.param("gpt-image-1", {"seed": 1}, "unsupported_parameter", id="a seed"),
    pytest.param("dall-e-2", {"prompt": "x" * 1001}, "string_above_max_length", id="a long prompt"),
    pytest.param(
        *("flux", {"reference_images": [{"uri": "https://a.example/b.png"}]}),
        *("unsupported_parameter",),
        id="a reference",
    ),
]


@pytest.mark.parametrize(("model", "fields", "expected"), KNOWN)
async def test_openais_own_models_are_checked(
    client: aiohttp.ClientSession,
    app: web.Application,
    vendor: Vendor,
    model: str,
    fields: dict[str, Any],
    expected: dict[str, Any] | str,
) -> None:
    """What OpenAI's model does not take is refused before anybody is asked; common sizes find the nearest."""
    reload(app, replace(app_settings(app), deployments=(deployed(vendor, model=model),)))
    body = {"model": "image", "prompt": "A red fox", **fields}
    async with client.post("/v1/images/generations", json=body) as response:
        document = await response.json()

    if isinstance(expected, str):
        assert (400, expected, []) == (response.status, document["error"]["code"], vendor.asked)
    else:
        plain = {"model": model, "prompt": "A red fox", "n": 1}
        assert {**plain, **expected} == vendor.asked[0][1]


async def test_one_call_for_each_where_a_model_makes_one(
    client: aiohttp.ClientSession, app: web.Application, vendor: Vendor
) -> None:
    """DALL·E 3 makes one image a call: three are three calls of one job."""
    reload(app, replace(app_settings(app), deployments=(deployed(vendor, model="dall-e-3"),)))
    status, _, job = await ask(client, n=3)

    assert (200, 3, [1, 1, 1]) == (
        status,
        len(job["images"]),
        [body["n"] for _, body in vendor.asked],
    )


class TestDropping:
    """At a model whose fields are known."""

    @pytest.fixture
    def settings(self, settings: Settings, vendor: Vendor) -> Settings:
        """OpenAI's `gpt-image-1`, which has no seed."""
        return replace(settings, deployments=(deployed(vendor, model="gpt-image-1"),))

    async def test_a_caller_may_let_fields_be_dropped(
        self, client: aiohttp.ClientSession, vendor: Vendor, store: MemoryStore
    ) -> None:
        """`drop_params` of a request is heard here as at Runway, and is not passed on."""
        vendor.answers = [made()]
        status, _, job = await ask(client, seed=7, drop_params=True)
        ((_, sent),) = vendor.asked

        stored = await store.get(job["id"])
        assert stored is not None
        assert (200, ("seed",)) == (status, stored.dropped)
        assert not {"seed", "drop_params"} & set(sent)
