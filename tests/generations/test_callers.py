"""What a caller may say of a call: names for it, its deadline, fields to drop."""

from dataclasses import replace

import aiohttp
import openai
import pytest
from tests.generations.asking import ASK, GENERATIONS, ask

from taxiway.sandbox import Sandbox
from taxiway.settings import Settings
from taxiway.store.memory import MemoryStore


async def test_the_callers_names_for_a_call_are_kept(
    client: aiohttp.ClientSession, store: MemoryStore
) -> None:
    """The call id is echoed, and stored with the job together with the trace the caller is in."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    sent = {
        "x-litellm-call-id": "call-17",
        "traceparent": f"00-{trace_id}-b7ad6b7169203331-01",
        "Prefer": "respond-async",
    }

    async with client.post(GENERATIONS, json=ASK, headers=sent) as response:
        document = await response.json()

    job = await store.get(document["id"])
    assert job is not None
    assert (job.request_id, job.trace_id) == ("call-17", trace_id)
    assert (job.parent_span_id, job.trace_flags) == ("b7ad6b7169203331", "01")
    assert response.headers["x-litellm-call-id"] == "call-17"
    assert response.headers["x-request-id"] == "call-17"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({"x-litellm-call-id": "a b"}, id="a space"),
        pytest.param({"x-litellm-call-id": "x" * 129}, id="too long"),
        pytest.param({"X-Request-ID": "<script>"}, id="no name"),
        pytest.param({"traceparent": "00-" + "0" * 32 + "-b7ad6b7169203331-01"}, id="zero trace"),
        pytest.param({"traceparent": "ff-" + "1" * 32 + "-b7ad6b7169203331-01"}, id="version ff"),
        pytest.param({"traceparent": "nonsense"}, id="no trace"),
    ],
)
async def test_a_name_that_is_not_safe_is_replaced(
    client: aiohttp.ClientSession, store: MemoryStore, sent: dict[str, str]
) -> None:
    """What is no proper call id or trace is not stored, not logged and not sent back."""
    async with client.post(
        GENERATIONS, json=ASK, headers={**sent, "Prefer": "respond-async"}
    ) as response:
        document = await response.json()

    job = await store.get(document["id"])
    assert job is not None
    assert job.request_id == response.headers["x-request-id"]
    assert job.request_id not in sent.values()
    assert (job.trace_id, job.parent_span_id, job.trace_flags) == (None, None, None)


@pytest.mark.parametrize(
    ("headers", "fields", "expected_s"),
    [
        pytest.param({}, {}, 600, id="the service's own"),
        pytest.param({}, {"timeout": 30.5}, 30.5, id="in the body"),
        pytest.param({"x-litellm-timeout": "20"}, {}, 20, id="in LiteLLM's header"),
        pytest.param({"x-litellm-timeout": "20"}, {"timeout": 30}, 30, id="the body wins"),
        pytest.param({}, {"timeout": 100_000}, 600, id="never longer than the service's own"),
    ],
)
async def test_a_caller_may_shorten_the_deadline(
    client: aiohttp.ClientSession,
    store: MemoryStore,
    headers: dict[str, str],
    fields: dict[str, float],
    expected_s: float,
) -> None:
    """The seconds a job may take are the caller's, within those of the configuration."""
    async with client.post(
        GENERATIONS, json={**ASK, **fields}, headers={**headers, "Prefer": "respond-async"}
    ) as response:
        document = await response.json()

    job = await store.get(document["id"])
    assert job is not None
    assert job.deadline_at - job.created_at == pytest.approx(expected_s)


class TestDropping:
    """A deployment that may leave out what its model does not have."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The deployments, with `drop_params`."""
        return replace(
            settings,
            deployments=tuple(replace(each, drop_params=True) for each in settings.deployments),
        )

    async def test_what_is_dropped_is_said(self, client: aiohttp.ClientSession) -> None:
        """Fields that were left out are listed in a header, and nothing in their names can break it."""
        status, _, headers = await ask(
            client, quality="high", style="natural", **{"a\r\nb": 1, "ü": 2}
        )

        assert status == 200
        assert sorted(headers["x-taxiway-dropped-params"].split(", ")) == [
            "?",
            "a??b",
            "quality",
            "style",
        ]

    async def test_a_caller_may_want_nothing_dropped(
        self, client: aiohttp.ClientSession, sandbox: Sandbox
    ) -> None:
        """`drop_params: false` in the body comes before the configuration: nothing is bought by half."""
        status, document, _ = await ask(client, style="natural", drop_params=False)

        assert (status, document["error"]["param"]) == (400, "style")
        assert not sandbox.tasks


class TestDroppingForOneRequest:
    """`drop_params` in the body, where the configuration says nothing of it."""

    async def test_a_caller_may_let_fields_be_dropped(self, client: aiohttp.ClientSession) -> None:
        """What the model does not have is left out, and said."""
        status, _, headers = await ask(client, style="natural", drop_params=True)

        assert (status, headers["x-taxiway-dropped-params"]) == (200, "style")

    @pytest.mark.parametrize("fields", [{}, {"drop_params": None}, {"drop_params": False}])
    async def test_without_it_they_are_refused(
        self, client: aiohttp.ClientSession, fields: dict[str, object]
    ) -> None:
        """Nothing is left out unasked; null asks for nothing."""
        status, document, _ = await ask(client, style="natural", **fields)

        assert (status, document["error"]["code"]) == (400, "unsupported_parameter")

    async def test_it_alone_changes_nothing(self, client: aiohttp.ClientSession) -> None:
        """Where there is nothing to drop, nothing is said of it."""
        status, _, headers = await ask(client, drop_params=True)

        assert status == 200
        assert "x-taxiway-dropped-params" not in headers

    @pytest.mark.parametrize("value", ["true", 1, "yes", []])
    async def test_it_is_true_or_false(self, client: aiohttp.ClientSession, value: object) -> None:
        """Anything else is a 400 that says so."""
        status, document, _ = await ask(client, drop_params=value)

        assert status == 400
        assert document["error"]["message"] == "`drop_params` must be true or false."
        assert document["error"]["param"] == "drop_params"

    async def test_a_quote_honours_it_too(self, client: aiohttp.ClientSession) -> None:
        """The price of a request is asked in the same words."""
        body = {**ASK, "style": "natural", "drop_params": True}
        async with client.post("/v1/images/quote", json=body) as response:
            assert response.status == 200

    async def test_openais_client_sends_it_in_its_extra_body(self, url: str) -> None:
        """As LiteLLM's users do."""
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as sdk:
            answer = await sdk.images.with_raw_response.generate(
                model=ASK["model"],
                prompt=ASK["prompt"],
                style="natural",
                extra_body={"drop_params": True},
            )

        assert answer.headers["x-taxiway-dropped-params"] == "style"
