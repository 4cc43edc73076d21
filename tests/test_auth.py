"""Who may come in."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from taxiway.sandbox import Sandbox
from taxiway.settings import Secret, Settings

KEY = "sk-master-canary"
RIGHT = {"Authorization": f"Bearer {KEY}"}


async def status_of(
    client: aiohttp.ClientSession, headers: Mapping[str, str], *, path: str = "/v1/models"
) -> tuple[int, str | None]:
    """Return the status of an answer, and the code of its error."""
    async with client.get(path, headers=headers) as response:
        document = await response.json() if response.content_type == "application/json" else {}
        return response.status, document.get("error", {}).get("code")


class TestWithAMasterKey:
    """A service with a master key."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with a master key."""
        return replace(settings, master_key=Secret(KEY), cors_origins=("https://app.example",))

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param(RIGHT, id="Authorization"),
            pytest.param({"Authorization": f"bearer   {KEY} "}, id="any case, any space"),
            pytest.param({"x-litellm-api-key": KEY}, id="LiteLLM's, bare"),
            pytest.param({"x-litellm-api-key": f"Bearer {KEY}"}, id="LiteLLM's, Bearer"),
            pytest.param({"api-key": KEY}, id="Azure's"),
            pytest.param({"x-api-key": KEY}, id="Anthropic's"),
            pytest.param({"x-goog-api-key": KEY}, id="Google's"),
            pytest.param({"Ocp-Apim-Subscription-Key": KEY}, id="a subscription's"),
            pytest.param({"Authorization": "", "x-api-key": KEY}, id="an empty one is skipped"),
            pytest.param({"Authorization": "Bearer ", "api-key": KEY}, id="an empty Bearer too"),
            pytest.param({"x-litellm-api-key": KEY, "Authorization": "Bearer no"}, id="first wins"),
        ],
    )
    async def test_the_key_is_found_where_programs_put_it(
        self, client: aiohttp.ClientSession, headers: dict[str, str]
    ) -> None:
        """The key is taken from each of the headers in use, the first that is present counting."""
        assert await status_of(client, headers) == (200, None)

    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            pytest.param({}, "missing_api_key", id="none"),
            pytest.param({"Authorization": "Bearer "}, "missing_api_key", id="empty"),
            pytest.param({"Authorization": "Bearer no"}, "invalid_api_key", id="wrong"),
            pytest.param({"Authorization": KEY}, "invalid_api_key", id="bare"),
            pytest.param({"Authorization": f"Basic {KEY}"}, "invalid_api_key", id="Basic"),
            pytest.param({"x-litellm-api-key": "no", **RIGHT}, "invalid_api_key", id="first wins"),
            pytest.param({"x-api-key": KEY + "x"}, "invalid_api_key", id="longer"),
            pytest.param({"x-api-key": KEY[:-1]}, "invalid_api_key", id="shorter"),
            pytest.param({"x-api-key": "ключ"}, "invalid_api_key", id="not ASCII"),
        ],
    )
    async def test_without_the_key_nobody_comes_in(
        self, client: aiohttp.ClientSession, sandbox: Sandbox, headers: dict[str, str], code: str
    ) -> None:
        """A request without the right key is 401, says how to show one, and is not worth repeating."""
        async with client.post(
            "/v1/images/generations", json={"model": "gen4", "prompt": "a fox"}, headers=headers
        ) as response:
            document = await response.json()

        assert (response.status, document["error"]["code"]) == (401, code)
        assert document["error"]["type"] == "authentication_error"
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.headers["x-should-retry"] == "false"
        assert KEY not in str(document)
        assert len(sandbox.requests) == 0

    @pytest.mark.parametrize(
        "path",
        ["/healthz", "/health/liveliness", "/health/liveness", "/readyz", "/health/readiness"],
    )
    async def test_the_probes_are_open(self, client: aiohttp.ClientSession, path: str) -> None:
        """Probes need no key."""
        assert await status_of(client, {}, path=path) == (200, None)

    @pytest.mark.parametrize(
        "path",
        ["/v1/models/gen4", "/v1/jobs", "/v1/jobs/job_1", "/v1/jobs/job_1/events", "/models"],
    )
    async def test_everything_else_is_closed(
        self, client: aiohttp.ClientSession, path: str
    ) -> None:
        """Every other route asks for the key before it says whether there is anything."""
        assert await status_of(client, {}, path=path) == (401, "missing_api_key")

    async def test_the_key_goes_nowhere(
        self,
        client: aiohttp.ClientSession,
        sandbox: Sandbox,
        log_lines: Callable[[], list[dict[str, Any]]],
    ) -> None:
        """The caller's key is neither sent to the vendor nor written to the log."""
        headers = {**RIGHT, "x-api-key": KEY}
        async with client.post(
            "/v1/images/generations", json={"model": "gen4", "prompt": "a fox"}, headers=headers
        ) as response:
            assert response.status == 200

        sent = [str(dict(record.raw_headers)) for record in sandbox.requests]
        assert sent
        assert not [headers for headers in sent if KEY in headers]
        assert KEY not in str(log_lines())

    async def test_a_page_of_a_named_origin_may_call(self, client: aiohttp.ClientSession) -> None:
        """A browser's preflight needs no key, and the answer lets the page read what matters."""
        origin = {"Origin": "https://app.example"}
        asking = {**origin, "Access-Control-Request-Method": "POST"}

        async with client.options("/v1/images/generations", headers=asking) as preflight:
            pass
        async with client.get("/v1/models", headers={**origin, **RIGHT}) as answer:
            pass

        assert preflight.status == 204
        assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "x-taxiway-job-id" in answer.headers["Access-Control-Expose-Headers"]
        assert answer.headers["Vary"] == "Origin"

    async def test_an_sdk_in_a_page_does_not_buy_again(
        self, client: aiohttp.ClientSession, sandbox: Sandbox
    ) -> None:
        """The page may read what forbids a repeat: a 502 behind which an image may have been bought is one."""
        sandbox.will("create:500")
        headers = {"Origin": "https://app.example", **RIGHT}
        asking = {"model": "runwayml/gen4_image", "prompt": "A page"}

        async with client.post("/v1/images/generations", json=asking, headers=headers) as answer:
            readable = answer.headers["Access-Control-Expose-Headers"].split(", ")

        assert answer.status == 502
        assert answer.headers["x-should-retry"] == "false"
        assert "x-should-retry" in readable

    async def test_a_page_of_another_origin_may_not(self, client: aiohttp.ClientSession) -> None:
        """An origin that is not named gets no permission, and a preflight is just another OPTIONS."""
        asking = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}

        async with client.options("/v1/images/generations", headers=asking) as preflight:
            pass

        assert preflight.status == 405
        assert "Access-Control-Allow-Origin" not in preflight.headers


class TestWithAHeaderOfItsOwn:
    """A service whose configuration names the header that carries the key."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with a master key and `litellm_key_header_name`."""
        return replace(settings, master_key=Secret(KEY), key_header="X-Our-Key")

    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            pytest.param({"X-Our-Key": f"Bearer {KEY}"}, (200, None), id="right"),
            pytest.param({"X-Our-Key": KEY}, (401, "missing_api_key"), id="bare"),
            pytest.param(RIGHT, (401, "missing_api_key"), id="the usual one"),
            pytest.param({"X-Our-Key": "Bearer no"}, (401, "invalid_api_key"), id="wrong"),
        ],
    )
    async def test_it_replaces_all_others(
        self,
        client: aiohttp.ClientSession,
        headers: dict[str, str],
        expected: tuple[int, str | None],
    ) -> None:
        """Only the named header counts, and it carries `Bearer`."""
        assert await status_of(client, headers) == expected


class TestNumbersWithAKey:
    """`require_auth_for_metrics_endpoint` of `litellm_settings`."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """A service that shows its numbers to the holder of the master key."""
        return replace(settings, master_key=Secret(KEY), metrics_need_key=True)

    async def test_the_numbers_are_closed_to_others(self, client: aiohttp.ClientSession) -> None:
        """Without the master key they are a 401, and a virtual key does not do; the probes stay open."""
        asked: list[Mapping[str, str]] = [{}, {"Authorization": "Bearer sk-other"}, RIGHT]

        answers = [await status_of(client, headers, path="/metrics") for headers in asked]

        assert [(401, "missing_api_key"), (401, "invalid_api_key"), (200, None)] == answers
        assert (200, None) == await status_of(client, {}, path="/healthz")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer anything"}, {"api-key": "x"}])
async def test_without_a_master_key_everybody_is_served(
    client: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    """With no master key every caller is served, whatever key it shows."""
    assert await status_of(client, headers) == (200, None)


async def test_without_named_origins_no_page_may_call(client: aiohttp.ClientSession) -> None:
    """With no origins configured no answer carries a permission for pages."""
    async with client.get("/v1/models", headers={"Origin": "https://app.example"}) as response:
        pass

    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Vary" not in response.headers
