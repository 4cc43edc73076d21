"""Asking twice: the same request, asked again by its key or by its SDK, is one job and one purchase."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import openai
import pytest
from tests.relays import relay

from taxiway.jobs import GenerationRequest
from taxiway.sandbox import Sandbox
from taxiway.server.idempotency import fingerprint
from taxiway.settings import Settings

MODEL = "runwayml/gen4_image"
GENERATIONS = "/v1/images/generations"

#: Of a small request, as the first release took it.
FINGERPRINT = "f5cb40e9c5de63dfff2283a91bc9733b8e2e1393fdc30d6848566f2fa61e8388"


async def ask(
    client: aiohttp.ClientSession,
    *,
    key: str | None = None,
    retry: int | None = None,
    prefer: str | None = None,
    **fields: Any,
) -> tuple[int, Any, Mapping[str, str]]:
    """Ask for an image; return status, document and headers."""
    headers = {
        name: str(value)
        for name, value in (
            ("Idempotency-Key", key),
            ("x-stainless-retry-count", retry),
            ("Prefer", prefer),
        )
        if value is not None
    }
    body = {"model": MODEL, "prompt": "A red fox", **fields}
    async with client.post(GENERATIONS, json=body, headers=headers) as response:
        return response.status, await response.json(), response.headers


async def give_up(client: aiohttp.ClientSession, *, after_s: float, **fields: Any) -> None:
    """Ask for an image, and hang up before it is there."""
    timeout = aiohttp.ClientTimeout(total=after_s)
    with pytest.raises(TimeoutError):
        async with client.post(
            GENERATIONS,
            json={"model": MODEL, "prompt": "A red fox", **fields},
            headers={"x-stainless-retry-count": "0"},
            timeout=timeout,
        ):
            pass


def posts(sandbox: Sandbox) -> int:
    """Return how often a task was asked for."""
    return sum(record.path == "/v1/text_to_image" for record in sandbox.requests)


# By key


async def test_a_key_joins_the_running_job_in_whatever_way_it_is_asked(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """While the job runs, the same key waits for it, gets its address, or streams it: one task."""
    first = asyncio.create_task(ask(client, key="k1"))
    await asyncio.sleep(1)
    second, third = await asyncio.gather(
        ask(client, key="k1"), ask(client, key='"k1"', prefer="respond-async")
    )
    status, document, headers = await first

    assert (status, second[0], third[0]) == (200, 200, 202)
    assert document["data"] == second[1]["data"]
    assert {document["job_id"]} == {second[1]["job_id"], third[1]["id"]}
    assert "Idempotent-Replayed" not in headers
    assert second[2]["Idempotent-Replayed"] == third[2]["Idempotent-Replayed"] == "true"
    assert posts(sandbox) == 1


async def test_a_key_replays_a_finished_answer(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """After the end, the same key gets the same image, and nothing is bought."""
    _, first, _ = await ask(client, key="k1")
    status, second, headers = await ask(client, key="k1")

    assert (status, first) == (200, second)
    assert headers["Idempotent-Replayed"] == "true"
    assert posts(sandbox) == 1


async def test_a_key_replays_a_failure_too(client: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    """A key stands for a purchase: one that failed for money is not made again under it."""
    ask_badly = {"key": "k1", "prompt": "A fox [[fail:SAFETY.INPUT.TEXT]]"}
    first = await ask(client, **ask_badly)
    second = await ask(client, **ask_badly)

    assert (first[0], first[1]) == (second[0], second[1])
    assert (400, "content_policy_violation") == (first[0], first[1]["error"]["code"])
    assert posts(sandbox) == 1


async def test_a_key_with_another_request_is_refused(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """The same key with another body is a 422, which no SDK repeats."""
    await ask(client, key="k1")
    status, document, headers = await ask(client, key="k1", prompt="A blue fox")

    assert (status, document["error"]["code"]) == (422, "idempotency_conflict")
    assert document["error"]["param"] == "Idempotency-Key"
    assert headers["x-should-retry"] == "false"
    assert posts(sandbox) == 1


async def test_whether_fields_may_be_dropped_is_part_of_the_request(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """With another `drop_params` something else may be bought: the same key is a 422."""
    first, _, _ = await ask(client, key="k1", drop_params=True)
    status, document, _ = await ask(client, key="k1", drop_params=False)

    assert (first, status) == (200, 422)
    assert document["error"]["code"] == "idempotency_conflict"
    assert posts(sandbox) == 1


def test_a_field_that_is_not_sent_leaves_fingerprints_as_they_were() -> None:
    """A key that was used before an upgrade is still the same request after it."""
    request = GenerationRequest(model="gen4", prompt="A red fox", metadata={"b": 1, "a": 2})

    assert fingerprint(request) == FINGERPRINT
    assert fingerprint(replace(request, drop_params=True)) != FINGERPRINT


async def test_how_the_answer_is_delivered_is_no_part_of_the_request(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """The same purchase may be answered as an address once and as bytes the next time."""
    await ask(client, key="k1")
    status, document, _ = await ask(client, key="k1", response_format="b64_json", timeout=300)

    assert status == 200
    assert document["data"][0]["b64_json"]
    assert posts(sandbox) == 1


async def test_twenty_requests_with_one_key_at_once_are_one_job(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """However close they come, one of them makes the job and the others join it."""
    answers = await asyncio.gather(*(ask(client, key="k1") for _ in range(20)))

    assert [200] * 20 == [status for status, _, _ in answers]
    assert 1 == len({document["job_id"] for _, document, _ in answers})
    assert sum("Idempotent-Replayed" in headers for _, _, headers in answers) == 19
    assert posts(sandbox) == 1


async def test_a_refused_request_leaves_its_key_free(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """A 400 costs nothing and stores nothing: the key is good for the corrected request."""
    refused, _, _ = await ask(client, key="k1", size="3x3")
    status, _, headers = await ask(client, key="k1")

    assert (refused, status) == (400, 200)
    assert "Idempotent-Replayed" not in headers


@pytest.mark.parametrize("key", ["", "é", "x" * 256, '""'], ids=["empty", "é", "long", "quotes"])
async def test_a_key_that_is_none_is_refused(
    client: aiohttp.ClientSession, sandbox: Sandbox, key: str
) -> None:
    """A key has 1 to 255 printable ASCII characters."""
    status, document, _ = await ask(client, key=key)

    assert (status, document["error"]["code"]) == (400, "invalid_idempotency_key")
    assert posts(sandbox) == 0


@pytest.mark.parametrize("second", ["k2", "k1", ""])
async def test_two_keys_are_refused(
    client: aiohttp.ClientSession, sandbox: Sandbox, second: str
) -> None:
    """Nobody can say which of two keys names the purchase, so there is none; either is still free."""
    async with client.post(
        GENERATIONS,
        json={"model": MODEL, "prompt": "A red fox"},
        headers=[("Idempotency-Key", "k1"), ("Idempotency-Key", second)],
    ) as response:
        error = (await response.json())["error"]

    assert (response.status, error["code"]) == (400, "invalid_idempotency_key")
    assert error["message"] == "`Idempotency-Key` may be given once."
    assert error["param"] == "Idempotency-Key"
    assert posts(sandbox) == 0
    assert "Idempotent-Replayed" not in (await ask(client, key="k1", prompt="A blue fox"))[2]


# By the SDK's own count


async def test_an_sdk_that_repeats_after_a_timeout_joins_its_job(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """A repeat counted by the SDK finds the job of the request that timed out."""
    await give_up(client, after_s=2.5)
    status, _, headers = await ask(client, retry=1)

    assert (status, headers["Idempotent-Replayed"]) == (200, "true")
    assert posts(sandbox) == 1


async def test_a_repeat_joins_a_job_that_has_ended_meanwhile(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """The image that was made while nobody waited is handed to the repeat."""
    await give_up(client, after_s=2.5)
    await asyncio.sleep(20)
    status, document, _ = await ask(client, retry=1)

    assert (status, len(document["data"])) == (200, 1)
    assert posts(sandbox) == 1


async def test_two_requests_that_both_failed_each_get_their_own_job_back(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Two identical requests are two purchases; their repeats do not share one."""
    await asyncio.gather(give_up(client, after_s=2.5), give_up(client, after_s=2.5))
    answers = await asyncio.gather(ask(client, retry=1), ask(client, retry=1))

    assert 2 == len({document["job_id"] for _, document, _ in answers})
    assert posts(sandbox) == 2


async def test_a_repeat_without_a_first_is_a_request_like_any_other(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Where the first attempt never arrived, the repeat buys."""
    status, _, headers = await ask(client, retry=2)

    assert status == 200
    assert "Idempotent-Replayed" not in headers
    assert posts(sandbox) == 1


async def test_a_request_that_was_answered_is_not_joined(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Whoever got the whole answer has it; the same request from somebody else buys its own image."""
    await ask(client, retry=0)
    await ask(client, retry=1)

    assert posts(sandbox) == 2


async def test_a_repeat_of_another_request_is_not_joined(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """The repeat must ask for exactly what was asked."""
    await give_up(client, after_s=2.5)
    await ask(client, retry=1, prompt="A blue fox")

    assert posts(sandbox) == 2


class TestTheOfficialSdk:
    """The `openai` SDK at its default settings: two repeats, no key."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Let waiting callers go after a short budget."""
        return replace(settings, shutdown_budget_s=1.0)

    async def test_a_short_timeout_buys_one_image(self, url: str, sandbox: Sandbox) -> None:
        """The client times out and repeats; the repeats join, and the last of them gets the image."""
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", timeout=4.0) as client:
            image = await client.images.generate(model=MODEL, prompt="A red fox")

        assert image.data
        assert (posts(sandbox), len(sandbox.tasks)) == (1, 1)

    @pytest.mark.parametrize("cuts", [1, 2])
    async def test_a_line_that_breaks_buys_one_image(
        self, url: str, sandbox: Sandbox, cuts: int
    ) -> None:
        """The line breaks while the client waits, once or twice: the repeats join the job of the first."""
        async with (
            relay(url) as line,
            openai.AsyncOpenAI(base_url=f"{line.url}/v1", api_key="k") as client,
        ):
            asking = asyncio.create_task(
                client.images.generate(model=MODEL, prompt="A red fox [[slow:20]]")
            )
            for _ in range(cuts):
                await asyncio.sleep(5)
                await line.cut()
            image = await asking

        assert image.data
        assert (posts(sandbox), len(sandbox.tasks)) == (1, 1)

    async def test_a_lost_answer_is_not_lost_with_a_key(self, url: str, sandbox: Sandbox) -> None:
        """An answer may get lost when it has left the service, where nobody can tell: a key helps."""
        async with (
            relay(url) as line,
            openai.AsyncOpenAI(base_url=f"{line.url}/v1", api_key="k") as client,
        ):
            line.lose = 2
            image = await client.images.generate(
                model=MODEL, prompt="A red fox", extra_headers={"Idempotency-Key": "order 17"}
            )

        assert (line.lose, len(image.data or ())) == (0, 1)
        assert (posts(sandbox), len(sandbox.tasks)) == (1, 1)

    @pytest.mark.parametrize(
        ("mark", "error"),
        [
            pytest.param("[[create:cut]]", openai.InternalServerError, id="a lost answer"),
            pytest.param("[[create:502 after=yes]]", openai.InternalServerError, id="a gateway"),
            pytest.param("[[fail:SAFETY.INPUT.TEXT]]", openai.BadRequestError, id="moderation"),
            pytest.param("[[vanish]]", openai.InternalServerError, id="gone"),
        ],
    )
    async def test_a_failure_is_tried_once(
        self, url: str, sandbox: Sandbox, mark: str, error: type[Exception]
    ) -> None:
        """A lost reply or a refusal by moderation is one task, whatever the SDK would like to repeat."""
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
            with pytest.raises(error):
                await client.images.generate(model=MODEL, prompt=f"A red fox {mark}")

        assert (posts(sandbox), len(sandbox.tasks)) == (1, 1)
