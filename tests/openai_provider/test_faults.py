"""What the vendor refuses, loses and breaks."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.openai_provider.vendor import BASE64, Vendor, app_settings, ask, cut, error, made

from taxiway.server.reloading import reload

#: answer → status, code, calls made, the end of the attempt
REFUSED = [
    pytest.param(error(401), 502, "provider_auth_failed", 1, "refused", id="the key"),
    pytest.param(error(403), 502, "provider_auth_failed", 1, "refused", id="the account"),
    pytest.param(error(402), 503, "insufficient_credits", 1, "refused", id="payment"),
    pytest.param(
        *(error(429, "insufficient_quota"), 503, "insufficient_credits", 1, "refused"),
        id="no quota",
    ),
    pytest.param(
        *(error(422, "budget_exceeded"), 503, "insufficient_credits", 1, "refused"), id="a budget"
    ),
    pytest.param(
        *(error(404, "model_not_found"), 503, "no_deployment_available", 1, "refused"),
        id="no model",
    ),
    pytest.param(
        *(error(400, "moderation_blocked"), 400, "content_policy_violation", 1, "refused"),
        id="moderated",
    ),
    pytest.param(
        *(error(400, "content_policy_violation"), 400, "content_policy_violation", 1, "refused"),
        id="moderated by the older word",
    ),
    pytest.param(error(400, None), 400, "provider_rejected", 1, "refused", id="the request"),
    pytest.param(error(413), 400, "provider_rejected", 1, "refused", id="too large"),
    pytest.param(error(503), 503, "no_deployment_available", 3, "refused", id="overloaded"),
    pytest.param(cut, 502, "submission_unknown", 1, "unknown", id="the answer is lost"),
    pytest.param(error(500), 502, "submission_unknown", 1, "unknown", id="broken"),
    pytest.param(error(502), 502, "submission_unknown", 1, "unknown", id="a bad gateway"),
    pytest.param(error(504), 502, "submission_unknown", 1, "unknown", id="a slow gateway"),
    pytest.param(
        lambda _: web.Response(text="<html>"), 502, "submission_unknown", 1, "unknown", id="HTML"
    ),
    pytest.param(
        lambda _: web.json_response({"ok": True}),
        502,
        "submission_unknown",
        1,
        "unknown",
        id="other",
    ),
    pytest.param(
        made({"b64_json": "AAAA"}), 502, "provider_empty_output", 1, "failed", id="no image"
    ),
    pytest.param(made({}), 502, "provider_empty_output", 1, "failed", id="an empty one"),
]


@pytest.mark.parametrize(("answer", "status", "code", "calls", "end"), REFUSED)
async def test_faults(
    client: aiohttp.ClientSession,
    vendor: Vendor,
    answer: Any,
    status: int,
    code: str,
    calls: int,
    end: str,
) -> None:
    """What certainly bought nothing is told apart from what perhaps did, and only the former is repeated."""
    vendor.answers = [answer]
    got, document, job = await ask(client)

    assert (status, code, calls, end) == (
        got,
        document["error"]["code"],
        len(vendor.asked),
        job["attempts"][-1]["status"],
    )
    costs = 0.0 if end == "refused" else 0.04
    assert costs == job["cost"]["usd"]


async def test_too_many_for_the_moment(client: aiohttp.ClientSession, vendor: Vendor) -> None:
    """A 429 is waited for as long as it says, and the same request goes out again."""
    vendor.answers = [error(429, headers={"Retry-After": "3"}), made()]
    status, _, job = await ask(client)
    (first, _), (second, _) = vendor.asked

    assert (200, 1) == (status, len(job["attempts"]))
    assert job["finished_at"] - job["created_at"] >= 3
    assert first["Idempotency-Key"] == second["Idempotency-Key"]


async def test_nobody_there(client: aiohttp.ClientSession, app: web.Application) -> None:
    """What was never sent is tried for a while, and has cost nothing."""
    before = app_settings(app)
    away = replace(before.deployments[-1], api_base="http://127.0.0.1:9/v1")
    reload(app, replace(before, deployments=(away,)))
    status, document, job = await ask(client)

    assert (503, "no_deployment_available", 0.0) == (
        status,
        document["error"]["code"],
        job["cost"]["usd"],
    )


async def test_the_deadline_ends_the_wait(client: aiohttp.ClientSession, vendor: Vendor) -> None:
    """There is no task to stop: past the job's deadline the answer is lost, and the job says so."""
    forever = asyncio.Event()

    async def never(_: web.Request) -> web.Response:
        with suppress(TimeoutError):
            async with asyncio.timeout(60):
                await forever.wait()
        return web.Response()

    vendor.answers = [never]
    status, document, job = await ask(client, timeout=5)
    forever.set()

    assert (502, "submission_unknown") == (status, document["error"]["code"])
    assert 4.5 <= job["finished_at"] - job["created_at"] <= 8
    assert {"usd": 0.04, "credits": None, "final": False} == job["cost"]


async def test_images_that_are_there_count(client: aiohttp.ClientSession, vendor: Vendor) -> None:
    """Of two images one came: it is delivered, and paid for alone."""
    vendor.answers = [made({"b64_json": BASE64})]
    status, _, job = await ask(client, n=2)

    assert (200, 1, 0.04) == (status, len(job["images"]), job["cost"]["usd"])
