"""What cannot be honoured is refused before anybody is asked: a 4xx in OpenAI's shape that names the field."""

import asyncio
import gzip
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import orjson
import pytest
from yarl import URL

from taxiway.sandbox import Sandbox
from taxiway.settings import Settings
from taxiway.store.memory import MemoryStore

GENERATIONS = "/v1/images/generations"
ASK = {"model": "runwayml/gen4_image", "prompt": "a red fox"}
GPT = {"model": "runwayml/gpt_image_2", "prompt": "a red fox"}
JSON = {"Content-Type": "application/json"}
PICTURE = "https://images.example/cat.png"

MISSING = "missing_required_parameter"
UNSUPPORTED = "unsupported_parameter"
TOO_LONG = "string_above_max_length"
SURROGATE = b'{"model": "runwayml/gen4_image", "prompt": "half \\ud83d of a smile"}'


def without(name: str) -> dict[str, Any]:
    """Return a good request without one of its fields."""
    return {key: value for key, value in ASK.items() if key != name}


def nested(levels: int) -> bytes:
    """Return a request with metadata so many levels deep."""
    return orjson.dumps(ASK)[:-1] + b',"metadata":' + b'{"a":' * levels + b"1" + b"}" * (levels + 1)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A service that takes bodies of 64 KiB."""
    return replace(settings, max_body_bytes=64 * 1024)


FIELDS = [
    pytest.param(without("model"), "model", MISSING, id="no model"),
    pytest.param({**ASK, "model": None}, "model", MISSING, id="model null"),
    pytest.param({**ASK, "model": ""}, "model", MISSING, id="model empty"),
    pytest.param({**ASK, "model": 5}, "model", "invalid_type", id="model a number"),
    pytest.param({**ASK, "model": ["gen4"]}, "model", "invalid_type", id="model a list"),
    pytest.param({**ASK, "model": "gen5"}, "model", "model_not_found", id="model unknown"),
    pytest.param({**ASK, "model": "x" * 5000}, "model", "model_not_found", id="model endless"),
    pytest.param(without("prompt"), "prompt", MISSING, id="no prompt"),
    pytest.param({**ASK, "prompt": None}, "prompt", MISSING, id="prompt null"),
    pytest.param({**ASK, "prompt": ""}, "prompt", MISSING, id="prompt empty"),
    pytest.param({**ASK, "prompt": " \t\n\u3000"}, "prompt", MISSING, id="prompt blank"),
    pytest.param({**ASK, "prompt": 5}, "prompt", "invalid_type", id="prompt a number"),
    pytest.param({**ASK, "prompt": True}, "prompt", "invalid_type", id="prompt a boolean"),
    pytest.param({**ASK, "prompt": ["a"]}, "prompt", "invalid_type", id="prompt a list"),
    pytest.param({**ASK, "prompt": "x" * 1001}, "prompt", TOO_LONG, id="prompt too long"),
    pytest.param({**ASK, "prompt": "🦊" * 501}, "prompt", TOO_LONG, id="too long in UTF-16"),
    pytest.param({**ASK, "prompt": "a\0b"}, "prompt", "invalid_value", id="prompt with NUL"),
    pytest.param({**ASK, "n": 0}, "n", "invalid_value", id="n 0"),
    pytest.param({**ASK, "n": 11}, "n", "invalid_value", id="n 11"),
    pytest.param({**ASK, "n": -1}, "n", "invalid_value", id="n negative"),
    pytest.param({**ASK, "n": "2"}, "n", "invalid_type", id="n a text"),
    pytest.param({**ASK, "n": 1.0}, "n", "invalid_type", id="n a fraction"),
    pytest.param({**ASK, "n": True}, "n", "invalid_type", id="n a boolean"),
    pytest.param({**ASK, "n": 2**63 - 1}, "n", "invalid_value", id="n enormous"),
    pytest.param({**ASK, "size": 1024}, "size", "invalid_type", id="size a number"),
    pytest.param({**ASK, "size": "512x512"}, "size", "invalid_size", id="size not made"),
    pytest.param(
        {**ASK, "size": "1024x1024", "ratio": "1920:1080"},
        "ratio",
        "invalid_size",
        id="size and another ratio",
    ),
    pytest.param({**ASK, "size": "big"}, "size", "invalid_size", id="size a word"),
    pytest.param({**ASK, "size": "1920X1080"}, "size", "invalid_size", id="size, capital X"),
    pytest.param({**ASK, "size": "9" * 65}, "size", TOO_LONG, id="size endless"),
    pytest.param({**ASK, "quality": "high"}, "quality", UNSUPPORTED, id="quality not there"),
    pytest.param({**GPT, "quality": "best"}, "quality", "invalid_value", id="quality unknown"),
    pytest.param({**GPT, "quality": 1}, "quality", "invalid_type", id="quality a number"),
    pytest.param({**ASK, "style": "natural"}, "style", UNSUPPORTED, id="style"),
    pytest.param(
        {**ASK, "response_format": "jpeg"}, "response_format", "invalid_value", id="format unknown"
    ),
    pytest.param(
        {**ASK, "output_format": "webp"}, "output_format", UNSUPPORTED, id="output not made"
    ),
    pytest.param(
        {**ASK, "output_compression": 50}, "output_compression", UNSUPPORTED, id="compression"
    ),
    pytest.param(
        {**ASK, "output_compression": 101},
        "output_compression",
        "invalid_value",
        id="compression above 100",
    ),
    pytest.param(
        {**ASK, "background": "transparent"}, "background", UNSUPPORTED, id="background not there"
    ),
    pytest.param(
        {**GPT, "background": "blue"}, "background", "invalid_value", id="background unknown"
    ),
    pytest.param(
        {**ASK, "moderation": "none"}, "moderation", "invalid_value", id="moderation unknown"
    ),
    pytest.param({**GPT, "moderation": "low"}, "moderation", UNSUPPORTED, id="moderation"),
    pytest.param({**ASK, "user": 7}, "user", "invalid_type", id="user a number"),
    pytest.param({**ASK, "stream": "true"}, "stream", "invalid_type", id="stream a text"),
    pytest.param({**ASK, "stream": 1}, "stream", "invalid_type", id="stream a number"),
    pytest.param(
        {**ASK, "partial_images": 4}, "partial_images", "invalid_value", id="partial images"
    ),
    pytest.param({**ASK, "seed": -1}, "seed", "invalid_value", id="seed negative"),
    pytest.param({**ASK, "seed": 2**32}, "seed", "invalid_value", id="seed too large"),
    pytest.param({**ASK, "seed": 1.5}, "seed", "invalid_type", id="seed a fraction"),
    pytest.param({**GPT, "seed": 1}, "seed", UNSUPPORTED, id="seed not there"),
    pytest.param({**ASK, "timeout": 0}, "timeout", "invalid_value", id="timeout 0"),
    pytest.param({**ASK, "timeout": 0.9}, "timeout", "invalid_value", id="timeout too short"),
    pytest.param({**ASK, "timeout": "60"}, "timeout", "invalid_type", id="timeout a text"),
    pytest.param({**ASK, "timeout": True}, "timeout", "invalid_type", id="timeout a boolean"),
    pytest.param({**ASK, "metadata": []}, "metadata", "invalid_type", id="metadata a list"),
    pytest.param(
        {**ASK, "metadata": {"a": {"b": 1}}}, "metadata.a", "invalid_value", id="metadata deep"
    ),
    pytest.param(
        {**ASK, "metadata": {"a": [1]}}, "metadata.a", "invalid_value", id="metadata, numbers"
    ),
    pytest.param(
        {**ASK, "metadata": {"k" * 65: 1}}, "metadata", "invalid_value", id="metadata, a long key"
    ),
    pytest.param(
        {**ASK, "metadata": {str(i): 1 for i in range(65)}},
        "metadata",
        "invalid_value",
        id="metadata, many entries",
    ),
    pytest.param(
        {**ASK, "metadata": {"a": "x" * 9000}}, "metadata", "invalid_value", id="metadata, large"
    ),
    pytest.param(
        {**ASK, "reference_images": PICTURE},
        "reference_images",
        "invalid_type",
        id="references a text",
    ),
    pytest.param(
        {**ASK, "reference_images": [PICTURE]},
        "reference_images[0]",
        "invalid_type",
        id="reference a text",
    ),
    pytest.param(
        {**ASK, "reference_images": [{"tag": "cat"}]},
        "reference_images[0].uri",
        MISSING,
        id="reference without address",
    ),
    pytest.param(
        {**ASK, "reference_images": [{"uri": PICTURE}, {"uri": 5}]},
        "reference_images[1].uri",
        "invalid_type",
        id="second reference's address",
    ),
    pytest.param(
        {**ASK, "reference_images": [{"uri": "http://images.example/cat.png"}]},
        "reference_images[0].uri",
        "invalid_value",
        id="reference over plain HTTP",
    ),
    pytest.param(
        {**ASK, "reference_images": [{"uri": PICTURE, "tag": "a b"}]},
        "reference_images[0].tag",
        "invalid_value",
        id="reference's tag",
    ),
    pytest.param(
        {**ASK, "reference_images": [{"uri": PICTURE, "url": PICTURE}]},
        "reference_images[0].url",
        UNSUPPORTED,
        id="reference's unknown field",
    ),
    pytest.param(
        {**ASK, "reference_images": [{"uri": PICTURE}] * 4},
        "reference_images",
        "invalid_value",
        id="four references",
    ),
    pytest.param({**ASK, "num_images": 2}, "num_images", UNSUPPORTED, id="unknown field"),
    pytest.param({**ASK, "promptText": "x"}, "promptText", UNSUPPORTED, id="vendor's prompt"),
    pytest.param({**ASK, "mock_response": "x"}, "mock_response", UNSUPPORTED, id="LiteLLM's mock"),
]


@pytest.mark.parametrize(("body", "param", "code"), FIELDS)
async def test_a_wrong_field_is_named(
    client: aiohttp.ClientSession,
    sandbox: Sandbox,
    store: MemoryStore,
    body: dict[str, Any],
    param: str,
    code: str,
) -> None:
    """A field that cannot be honoured is refused by name, before Runway is asked and before a job exists."""
    async with client.post(GENERATIONS, json=body) as response:
        document = await response.json()

    error = document["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert response.status == (404 if code == "model_not_found" else 400)
    assert error["type"] == "invalid_request_error"
    assert set(document) == {"error"}
    assert set(error) == {"message", "type", "param", "code"}
    assert len(error["message"]) < 1000
    assert response.headers["x-should-retry"] == "false"
    await nothing_happened(sandbox, store)


async def test_a_quote_refuses_what_the_request_itself_would_meet(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Whatever is wrong with a request is wrong with the question for its price."""
    found = []
    for body, _, _ in (case.values for case in FIELDS):
        async with client.post("/v1/images/quote", json=body) as response:
            error = (await response.json())["error"]
            found.append((error["param"], error["code"]))

    assert found == [(param, code) for _, param, code in (case.values for case in FIELDS)]
    assert len(sandbox.requests) == 0


async def test_a_model_in_the_address_and_another_in_the_body_are_a_contradiction(
    client: aiohttp.ClientSession, sandbox: Sandbox, store: MemoryStore
) -> None:
    """Neither of two models is silently preferred."""
    path = "/openai/deployments/gen4/images/generations"
    async with client.post(path, json=ASK) as response:
        document = await response.json()

    assert (response.status, document["error"]["param"]) == (400, "model")
    await nothing_happened(sandbox, store)


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        pytest.param(b"", JSON, 400, "invalid_json", id="empty"),
        pytest.param(b"  \n", JSON, 400, "invalid_json", id="blank"),
        pytest.param(b"{", JSON, 400, "invalid_json", id="half"),
        pytest.param(b"nonsense", JSON, 400, "invalid_json", id="no JSON"),
        pytest.param(b"[]", JSON, 400, "invalid_json", id="an array"),
        pytest.param(b'"text"', JSON, 400, "invalid_json", id="a string"),
        pytest.param(b"null", JSON, 400, "invalid_json", id="null"),
        pytest.param(b'{"a": 1, "a": 2}', JSON, 400, "invalid_json", id="a key twice"),
        pytest.param(b'{"n": NaN}', JSON, 400, "invalid_json", id="NaN"),
        pytest.param(b'{"n": Infinity}', JSON, 400, "invalid_json", id="Infinity"),
        pytest.param(b'{"n": 1e999}', JSON, 400, "invalid_value", id="beyond a float"),
        pytest.param(
            b'{"n": 9223372036854775808}', JSON, 400, "invalid_value", id="beyond 64 bits"
        ),
        pytest.param(b'{"n": ' + b"9" * 5000 + b"}", JSON, 400, "invalid_json", id="5,000 digits"),
        pytest.param(b'{"prompt": "\xff\xfe"}', JSON, 400, "invalid_json", id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", JSON, 400, "invalid_json", id="a byte order mark"),
        pytest.param('{"n":1}'.encode("utf-16"), JSON, 400, "invalid_json", id="UTF-16"),
        pytest.param(SURROGATE, JSON, 400, "invalid_value", id="half a surrogate pair"),
        pytest.param(b'{"\\ud83d": 1}', JSON, 400, "invalid_value", id="the same as a key"),
        pytest.param(nested(40), JSON, 400, "invalid_value", id="40 levels deep"),
        pytest.param(nested(5_000), JSON, 400, "invalid_json", id="5,000 levels deep"),
        pytest.param(
            orjson.dumps(ASK),
            {"Content-Type": "text/plain"},
            400,
            "unsupported_content_type",
            id="text",
        ),
        pytest.param(
            b"prompt=a+fox&model=gen4",
            {"Content-Type": "application/x-www-form-urlencoded"},
            400,
            "unsupported_content_type",
            id="a form",
        ),
        pytest.param(
            orjson.dumps(ASK),
            {"Content-Type": "application/octet-stream"},
            400,
            "unsupported_content_type",
            id="bytes",
        ),
        pytest.param(
            orjson.dumps({**ASK, "user": "x" * 70_000}), JSON, 413, "request_too_large", id="large"
        ),
        pytest.param(
            gzip.compress(b" " * 1_000_000),
            {**JSON, "Content-Encoding": "gzip"},
            413,
            "request_too_large",
            id="large once unpacked",
        ),
        pytest.param(
            b"not gzip at all",
            {**JSON, "Content-Encoding": "gzip"},
            400,
            "invalid_body",
            id="no gzip",
        ),
        pytest.param(
            orjson.dumps(ASK),
            {**JSON, "x-litellm-timeout": "soon"},
            400,
            "invalid_value",
            id="header of a limit",
        ),
        pytest.param(
            orjson.dumps(ASK),
            {**JSON, "x-litellm-timeout": "0.5"},
            400,
            "invalid_value",
            id="header of a limit that is too short",
        ),
        pytest.param(
            orjson.dumps(ASK),
            {**JSON, "x-litellm-timeout": "nan"},
            400,
            "invalid_value",
            id="header of no number",
        ),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    client: aiohttp.ClientSession,
    sandbox: Sandbox,
    store: MemoryStore,
    body: bytes,
    headers: Mapping[str, str],
    status: int,
    code: str,
) -> None:
    """Whatever a body is made of, the answer has OpenAI's shape and says what is wrong."""
    async with client.post(
        GENERATIONS, data=body, headers=headers, skip_auto_headers=("Content-Type",)
    ) as response:
        document = await response.json()

    assert (response.status, document["error"]["code"]) == (status, code)
    assert document["error"]["type"] == "invalid_request_error"
    assert response.headers["x-should-retry"] == "false"
    await nothing_happened(sandbox, store)


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allow"),
    [
        pytest.param("GET", "/v1/nothing", 404, "not_found", None, id="unknown"),
        pytest.param("GET", "/v1/%ff%00", 404, "not_found", None, id="no text"),
        pytest.param("GET", "/v1/jobs/1", 404, "not_found", None, id="no job's id"),
        pytest.param("POST", "/v1/images/variations", 404, "not_found", None, id="not offered"),
        pytest.param("GET", GENERATIONS, 405, "method_not_allowed", "POST", id="GET for POST"),
        pytest.param("DELETE", GENERATIONS, 405, "method_not_allowed", "POST", id="DELETE"),
        pytest.param("OPTIONS", GENERATIONS, 405, "method_not_allowed", "POST", id="OPTIONS"),
        pytest.param("PURGE", GENERATIONS, 405, "method_not_allowed", "POST", id="rare"),
        pytest.param(
            "POST", "/v1/models", 405, "method_not_allowed", "GET,HEAD", id="POST for GET"
        ),
    ],
)
async def test_an_address_that_is_none_is_an_error_in_the_same_shape(
    client: aiohttp.ClientSession,
    method: str,
    path: str,
    status: int,
    code: str,
    allow: str | None,
) -> None:
    """Unknown addresses and methods are answered like every other error, with `Allow` where it helps."""
    url = URL(f"{client._base_url}".rstrip("/") + path, encoded=True)
    async with client.request(method, url, json=ASK) as response:
        document = await response.json()

    assert (response.status, document["error"]["code"]) == (status, code)
    assert document["error"]["type"] == "invalid_request_error"
    assert response.headers.get("Allow") == allow
    assert response.headers["x-should-retry"] == "false"
    assert "x-request-id" in response.headers


@pytest.mark.parametrize(
    ("expect", "length", "answer"),
    [
        pytest.param("100-continue", 2, b"100 Continue", id="may come"),
        pytest.param("100-continue", 1_000_000, b"413 Request Entity Too Large", id="too large"),
        pytest.param("miracles", 2, b"400 Bad Request", id="unknown"),
    ],
)
async def test_a_body_that_is_announced_is_judged_before_it_comes(
    url: str,
    log_lines: Callable[[], list[dict[str, Any]]],
    expect: str,
    length: int,
    answer: bytes,
) -> None:
    """`Expect: 100-continue` is answered before a byte of the body is sent, and a refusal is a line of the log."""
    address = URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(
        f"POST {GENERATIONS} HTTP/1.1\r\nHost: taxiway\r\nContent-Type: application/json\r\n"
        f"Expect: {expect}\r\nContent-Length: {length}\r\n\r\n".encode()
    )

    line = await reader.readline()
    headers = b"" if b"100" in line else await reader.readuntil(b"\r\n\r\n")

    writer.close()
    assert line == b"HTTP/1.1 " + answer + b"\r\n"
    assert b"aiohttp" not in headers, "an answer tells nobody what the service is made of"
    if headers:
        [told] = [each for each in log_lines() if each["event"] == "http.request.completed"]
        assert f"{told['http.response.status_code']} ".encode() == answer[:4]
        assert b"x-request-id: " + told["request_id"].encode() in headers


class TestLongPrompts:
    """A model whose longest prompt Runway does not publish, and a service that takes bodies of 1 MiB."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with room for a long prompt, and a name for such a model."""
        vague = replace(
            settings.deployments[0],
            id="ideogram_4_0-1",
            model_name="runwayml/ideogram_4_0",
            model="ideogram_4_0",
        )
        deployments = (*settings.deployments, vague)
        return replace(settings, max_body_bytes=1024 * 1024, deployments=deployments)

    async def test_a_prompt_has_an_end_where_the_model_says_none(
        self, client: aiohttp.ClientSession, sandbox: Sandbox, store: MemoryStore
    ) -> None:
        """100,000 characters are taken and one more is not: a job bears its prompt wherever it is shown."""
        ask = {"model": "runwayml/ideogram_4_0", "prompt": "x" * 100_001}

        async with client.post(GENERATIONS, json=ask) as response:
            error = (await response.json())["error"]

        assert (response.status, error["param"], error["code"]) == (400, "prompt", TOO_LONG)
        assert "100000" in error["message"]
        await nothing_happened(sandbox, store)
        async with client.post(
            "/v1/images/quote", json={**ask, "prompt": "x" * 100_000}
        ) as response:
            assert response.status == 200


async def nothing_happened(sandbox: Sandbox, store: MemoryStore) -> None:
    """Assert that Runway was not called and no job is stored."""
    assert len(sandbox.requests) == 0
    assert list(await store.unfinished()) == []
