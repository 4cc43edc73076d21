"""The table of errors, row by row through the front door: status, type, code, field, and whether a repeat helps.

`x-should-retry` is what official clients obey: it says true only where no job was accepted and a repeat can help.
"""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.holders import MASTER_KEY, Holder

from taxiway.errors import StoreError
from taxiway.events import Event
from taxiway.sandbox import Sandbox
from taxiway.server.keys import DRAIN
from taxiway.settings import Secret, Settings
from taxiway.store.memory import MemoryStore

GENERATIONS = "/v1/images/generations"


class FailingStore(MemoryStore):
    """A store that can be made to raise."""

    trouble: Exception | None = None

    async def create(self, event: Event, **options: Any) -> Any:
        """Keep a new job, or raise."""
        if self.trouble is not None:
            raise self.trouble
        return await super().create(event, **options)


@pytest.fixture
async def store() -> AsyncIterator[FailingStore]:
    """A store that can be made to raise."""
    store = FailingStore()
    yield store
    await store.close()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A service with a master key and room for three jobs."""
    return replace(settings, master_key=Secret(MASTER_KEY), max_queued_jobs=3)


@dataclass(frozen=True, kw_only=True)
class World:
    """The service, its Runway and its store, and who has the master key."""

    master: Holder
    sandbox: Sandbox
    store: FailingStore
    app: web.Application

    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    """Those so far: status, headers, document."""

    async def ask(self, mark: str = "", **fields: Any) -> None:
        """Ask for an image whose prompt carries a fault, and wait for the answer."""
        await self.told(self.master, GENERATIONS, prompt=f"A red fox {mark}".strip(), **fields)

    async def told(self, holder: Holder, path: str, **fields: Any) -> None:
        """Send a request as somebody."""
        await self.send(holder, path, json={"model": "gen4", "prompt": "A red fox", **fields})

    async def send(self, holder: Holder, path: str, **options: Any) -> None:
        """Send anything as somebody, and keep the answer."""
        headers = {"Authorization": f"Bearer {holder.key}"} if holder.key else {}
        headers |= options.pop("headers", {})
        async with holder.client.post(path, headers=headers, **options) as response:
            self.answers.append((response.status, dict(response.headers), await response.json()))


@pytest.fixture
def world(
    client: aiohttp.ClientSession, sandbox: Sandbox, store: FailingStore, app: web.Application
) -> World:
    """The world of a row."""
    return World(master=Holder(client, MASTER_KEY), sandbox=sandbox, store=store, app=app)


Row = Callable[[World], Awaitable[None]]


def asks(mark: str = "", **fields: Any) -> Row:
    """A request with a fault in its prompt, or with fields of its own."""
    return lambda world: world.ask(mark, **fields)


def sends(**options: Any) -> Row:
    """A request with a body of its own."""
    return lambda world: world.send(world.master, GENERATIONS, **options)


def as_holder(**key: Any) -> Row:
    """A request with a virtual key."""

    async def row(world: World) -> None:
        await world.told(await world.master.holder(**key), GENERATIONS)

    return row


async def without_a_key(world: World) -> None:
    """A request that shows no key."""
    await world.told(Holder(world.master.client, ""), GENERATIONS)


async def with_a_wrong_key(world: World) -> None:
    """A request that shows a key that nobody has."""
    await world.told(Holder(world.master.client, "sk-of-nobody-here"), GENERATIONS)


async def with_an_expired_key(world: World) -> None:
    """A request with a key that was good for a second."""
    holder = await world.master.holder(duration="1s")
    await asyncio.sleep(2)
    await world.told(holder, GENERATIONS)


async def with_a_blocked_key(world: World) -> None:
    """A request with a key that was blocked."""
    holder = await world.master.holder()
    await world.master.post("/key/block", key=holder.key)
    await world.told(holder, GENERATIONS)


async def for_another_keys_job(world: World) -> None:
    """A look at the job of somebody else."""
    ann, bob = await world.master.holder(), await world.master.holder()
    _, job = await ann.ask()
    await world.send(bob, f"/v1/jobs/{job['id']}/cancel")


async def for_no_job(world: World) -> None:
    """A look at a job that nobody has."""
    await world.send(world.master, "/v1/jobs/job_0193/cancel")


async def too_often(world: World) -> None:
    """More requests than a key has in a minute."""
    holder = await world.master.holder(rpm_limit=1)
    await holder.ask()
    await world.told(holder, GENERATIONS)


async def too_many(world: World) -> None:
    """More jobs than there is room for."""
    for _ in range(3):
        await world.master.ask()
    await world.told(world.master, GENERATIONS)


async def the_same_key_again(world: World) -> None:
    """An idempotency key with another body."""
    headers = {"Idempotency-Key": "the-same", "Prefer": "respond-async"}
    for prompt in ("A red fox", "A blue fox"):
        body = {"model": "gen4", "prompt": prompt}
        await world.send(world.master, GENERATIONS, json=body, headers=headers)


async def cancelled_meanwhile(world: World) -> None:
    """A job that somebody stops while its caller waits."""
    waiting = asyncio.create_task(world.ask())
    await asyncio.sleep(1)
    _, listed = await world.master.get("/v1/jobs?status=in_progress")
    await world.master.post(f"/v1/jobs/{listed['data'][0]['id']}/cancel")
    await waiting


async def while_draining(world: World) -> None:
    """A request that comes while the service stops."""
    world.app[DRAIN].begin()
    await world.ask()


async def without_the_store(world: World) -> None:
    """A request that cannot be stored."""
    world.store.trouble = StoreError("The store is out of reach.")
    await world.ask()


async def with_a_bug(world: World) -> None:
    """A request that meets a fault of ours."""
    world.store.trouble = ZeroDivisionError("canary")
    await world.ask()


JSON = {"Content-Type": "application/json"}
INVALID, PROVIDER = "invalid_request_error", "provider_error"

#: the case → status, type, code, field at fault, whether a repeat helps
ROWS: dict[str, tuple[Row, int, str, str, str | None, bool]] = {
    "no key": (without_a_key, 401, "authentication_error", "missing_api_key", None, False),
    "wrong key": (with_a_wrong_key, 401, "authentication_error", "invalid_api_key", None, False),
    "expired": (with_an_expired_key, 401, "authentication_error", "expired_key", None, False),
    "blocked": (with_a_blocked_key, 401, "authentication_error", "key_blocked", None, False),
    "may not use the model": (
        *(as_holder(models=["runwayml/gpt_image_2"]), 403, "permission_error"),
        *("key_model_access_denied", "model", False),
    ),
    "unknown model": (asks(model="gen9"), 404, INVALID, "model_not_found", "model", False),
    "unknown job": (for_no_job, 404, INVALID, "job_not_found", None, False),
    "another key's job": (for_another_keys_job, 404, INVALID, "job_not_found", None, False),
    "no model": (
        *(sends(json={"prompt": "A red fox"}), 400, INVALID),
        *("missing_required_parameter", "model", False),
    ),
    "no prompt": (
        *(sends(json={"model": "gen4"}), 400, INVALID),
        *("missing_required_parameter", "prompt", False),
    ),
    "an empty prompt": (
        *(sends(json={"model": "gen4", "prompt": ""}), 400, INVALID),
        *("missing_required_parameter", "prompt", False),
    ),
    "a prompt that is no text": (
        *(sends(json={"model": "gen4", "prompt": 5}), 400, INVALID),
        *("invalid_type", "prompt", False),
    ),
    "a long prompt": (
        *(sends(json={"model": "gen4", "prompt": "x" * 1001}), 400, INVALID),
        *("string_above_max_length", "prompt", False),
    ),
    "malformed JSON": (sends(data=b"{", headers=JSON), 400, INVALID, "invalid_json", None, False),
    "no body": (sends(headers=JSON), 400, INVALID, "invalid_json", None, False),
    "a JSON array": (sends(json=[]), 400, INVALID, "invalid_json", None, False),
    "an unsupported field": (
        *(asks(cfg_scale=7), 400, INVALID, "unsupported_parameter", "cfg_scale", False),
    ),
    "a body too large": (
        sends(data=io.BytesIO(b" " * (21 * 1024 * 1024)), headers=JSON),
        *(413, INVALID, "request_too_large", None, False),
    ),
    "a size it has not": (asks(size="3x3"), 400, INVALID, "invalid_size", "size", False),
    "Runway rejects the body": (
        *(asks("[[create:400]]"), 400, INVALID, "provider_rejected", None, False),
    ),
    "moderation": (
        *(asks("[[fail:SAFETY.INPUT.TEXT]]"), 400, INVALID),
        *("content_policy_violation", None, False),
    ),
    "moderation of the prompt": (
        *(asks("[[fail:INPUT_PREPROCESSING.SAFETY.TEXT]]"), 400, INVALID),
        *("content_policy_violation", None, False),
    ),
    "a bad reference": (asks("[[fail:ASSET.INVALID]]"), 400, INVALID, "invalid_image", None, False),
    "over budget": (
        *(as_holder(max_budget=0.01), 422, "budget_exceeded", "budget_exceeded", None, False),
    ),
    "another body for a key": (
        *(the_same_key_again, 422, INVALID, "idempotency_conflict", "Idempotency-Key", False),
    ),
    "too often": (too_often, 429, "rate_limit_error", "rate_limit_exceeded", None, True),
    "too many": (too_many, 429, "rate_limit_error", "queue_full", None, True),
    "the daily quota": (
        *(asks("[[create:429 body=quota]]"), 429, "rate_limit_error"),
        *("provider_quota_exceeded", None, False),
    ),
    "no credits": (
        *(asks("[[create:400 body=credits]]"), 503, PROVIDER, "insufficient_credits", None, False),
    ),
    "our key": (asks("[[create:401]]"), 502, PROVIDER, "provider_auth_failed", None, False),
    "a failed task": (
        *(asks("[[fail:INTERNAL.BAD_OUTPUT.CODE01]]"), 502, PROVIDER),
        *("provider_failed", None, False),
    ),
    "cancelled there": (asks("[[cancelled]]"), 502, PROVIDER, "provider_cancelled", None, False),
    "no output": (
        *(asks("[[outputs:none]]"), 502, PROVIDER, "provider_empty_output", None, False),
    ),
    "a lost answer": (
        *(asks("[[create:500 after=yes]]"), 502, PROVIDER, "submission_unknown", None, False),
    ),
    "the deadline": (
        *(asks("[[stuck:RUNNING]]", timeout=20), 504, "timeout_error", "job_timeout", None, False),
    ),
    "cancelled by somebody": (cancelled_meanwhile, 400, INVALID, "job_cancelled", None, False),
    "nobody takes it": (
        *(asks("[[create:503]]"), 503, PROVIDER, "no_deployment_available", None, False),
    ),
    "draining": (while_draining, 503, "service_unavailable", "draining", None, True),
    "no store": (without_the_store, 503, "service_unavailable", "store_unavailable", None, True),
    "a bug": (with_a_bug, 500, "internal_error", "internal_server_error", None, False),
}


@pytest.mark.parametrize("case", ROWS)
async def test_a_row(world: World, case: str) -> None:
    """Each case has one status, one type and one code, in OpenAI's shape; a repeat is asked for with a time."""
    row, status, kind, code, param, again = ROWS[case]
    await row(world)
    got, headers, document = world.answers[-1]
    error = document["error"]

    assert (status, kind, code, param) == (got, error["type"], error["code"], error["param"])
    assert ("true" if again else "false") == headers["x-should-retry"]
    assert again == ("Retry-After" in headers)
    assert not again or 1 <= int(headers["Retry-After"]) <= 60
    assert (got == 401) == ("WWW-Authenticate" in headers)
    assert re.search(r"runwayml\.com|Traceback|'model_group'", error["message"]) is None
    assert not again or "x-taxiway-job-id" not in headers


@pytest.mark.parametrize(
    ("row", "words"),
    [
        pytest.param(
            asks("[[fail:SAFETY.INPUT.TEXT]]"), "content_policy_violation", id="moderated"
        ),
        pytest.param(asks(model="gen9"), "model_not_found", id="an unknown model"),
    ],
)
async def test_what_a_litellm_in_front_looks_for(world: World, row: Row, words: str) -> None:
    """LiteLLM recognises both by two words in the text of the error."""
    await row(world)

    text = str(world.answers[-1][2])
    assert "invalid_request_error" in text
    assert words in text


async def test_a_wait_that_runs_out_is_no_error(world: World) -> None:
    """`Prefer: wait=1` on a longer job is a 202 with the job and its address."""
    body = {"model": "gen4", "prompt": "A red fox"}
    shown = {"Authorization": f"Bearer {MASTER_KEY}", "Prefer": "wait=1"}
    async with world.master.client.post(GENERATIONS, json=body, headers=shown) as response:
        job = await response.json()

    assert (202, f"/v1/jobs/{job['id']}") == (response.status, response.headers["Location"])


async def test_some_of_several_images_are_no_error(world: World) -> None:
    """Of two images one came: a 200 with that one."""
    world.sandbox.faults.add("create:400 times=1")
    await world.ask(n=2)
    status, _, document = world.answers[-1]

    assert (200, 1) == (status, len(document["data"]))
