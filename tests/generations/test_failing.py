"""What a caller is told when there is no image."""

from typing import Any

import aiohttp
import pytest
from tests.generations.asking import ask, creates, get

from taxiway.sandbox import Sandbox


@pytest.mark.parametrize(
    ("script", "fields", "status", "error"),
    [
        pytest.param(
            "fail:SAFETY.INPUT.TEXT",
            {},
            400,
            {"type": "invalid_request_error", "code": "content_policy_violation"},
            id="moderation",
        ),
        pytest.param(
            "fail:ASSET.INVALID",
            {},
            400,
            {"type": "invalid_request_error", "code": "invalid_image"},
            id="reference image",
        ),
        pytest.param(
            "fail:INTERNAL cost:full",
            {},
            502,
            {"type": "provider_error", "code": "provider_failed"},
            id="vendor's fault",
        ),
        pytest.param(
            "cancelled",
            {},
            502,
            {"type": "provider_error", "code": "provider_cancelled"},
            id="cancelled there",
        ),
        pytest.param(
            "outputs:none",
            {},
            502,
            {"type": "provider_error", "code": "provider_empty_output"},
            id="no image",
        ),
        pytest.param(
            "create:cut",
            {},
            502,
            {"type": "provider_error", "code": "submission_unknown"},
            id="answer lost",
        ),
        pytest.param(
            "create:400 body=credits",
            {},
            503,
            {"type": "provider_error", "code": "insufficient_credits"},
            id="no credits",
        ),
        pytest.param(
            "create:401",
            {},
            502,
            {"type": "provider_error", "code": "provider_auth_failed"},
            id="our key",
        ),
        pytest.param(
            "create:429 body=quota",
            {},
            429,
            {"type": "rate_limit_error", "code": "provider_quota_exceeded"},
            id="daily quota",
        ),
        pytest.param(
            "slow:60",
            {"timeout": 10},
            504,
            {"type": "timeout_error", "code": "job_timeout"},
            id="deadline",
        ),
    ],
)
async def test_a_job_that_fails_is_an_error_that_names_it(
    client: aiohttp.ClientSession,
    sandbox: Sandbox,
    script: str,
    fields: dict[str, Any],
    status: int,
    error: dict[str, str],
) -> None:
    """A waiting caller gets a failed job as an error of the right kind, which no SDK repeats."""
    sandbox.will(*[script.replace(" cost", "; cost")] * 4)

    answered, document, headers = await ask(client, **fields)

    job = await get(client, headers["Content-Location"])
    said = document["error"]
    assert (answered, said["type"], said["code"]) == (status, error["type"], error["code"])
    assert (job["status"], job["error"]) == ("failed", said)
    assert said["job_id"] == headers["x-taxiway-job-id"] == job["id"]
    assert headers["x-should-retry"] == "false"
    assert "Retry-After" not in headers


async def test_attempts_that_cost_nothing_are_repeated_and_counted(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """A refusal for the moment and a failure free of charge are tried again, and the header counts both."""
    sandbox.will("create:429", "fail:INTERNAL", "ok")

    status, document, headers = await ask(client)

    assert (status, document["cost_credits"]) == (200, 8)
    assert headers["x-litellm-attempted-retries"] == "2"


async def test_an_image_whose_bytes_cannot_be_had_is_not_bought_again(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Where base64 was asked for and the download fails for good, the error names the job that has the image."""
    sandbox.will("outputs:missing")

    status, document, headers = await ask(client, response_format="b64_json")

    job = await get(client, headers["Content-Location"])
    assert (status, document["error"]["code"]) == (502, "image_unavailable")
    assert (job["status"], len(job["images"])) == ("completed", 1)
    assert headers["x-should-retry"] == "false"
    assert headers["x-litellm-response-cost"] == "0.08"
    assert creates(sandbox) == 1
