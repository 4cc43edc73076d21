"""The jobs: one of them, and their list."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from taxiway.cadence import every
from taxiway.sandbox import Sandbox
from taxiway.settings import Settings

ASK = {"model": "runwayml/gen4_image", "prompt": "a red fox", "metadata": {"order": 17}}


async def begin(client: aiohttp.ClientSession, **fields: Any) -> Any:
    """Ask for an image without waiting for it, and return the job. No two begin at the same instant."""
    await asyncio.sleep(0.01)
    headers = {"Prefer": "respond-async"}
    async with client.post(
        "/v1/images/generations", json={**ASK, **fields}, headers=headers
    ) as response:
        return await response.json()


async def get(client: aiohttp.ClientSession, path: str) -> tuple[int, Any, Mapping[str, str]]:
    """Return the status, the document and the headers at a path."""
    async with client.get(path) as response:
        return response.status, await response.json(), response.headers


async def ended(client: aiohttp.ClientSession, job_id: str) -> Any:
    """Return a job after its end."""
    async for _ in every(0.5, first_s=0.0):
        _, job, _ = await get(client, f"/v1/jobs/{job_id}")
        if job["finished_at"] is not None:
            break
    return job


async def test_a_job_is_shown_with_its_whole_history(client: aiohttp.ClientSession) -> None:
    """A finished job tells what was asked, what came of it, what it cost, and every step between."""
    job = await begin(client)

    document = await ended(client, job["id"])

    attempt, image = document["attempts"][0], document["images"][0]
    moments = [(moment["status"], moment["phase"]) for moment in document["timeline"]]
    assert document == {
        "id": job["id"],
        "object": "image.generation.job",
        "status": "completed",
        "phase": None,
        "progress": 100,
        "revision": document["revision"],
        "model": "runwayml/gen4_image",
        "prompt": "a red fox",
        "size": "1920x1080",
        "n": 1,
        "metadata": {"order": 17},
        "created_at": job["created_at"],
        "started_at": document["started_at"],
        "finished_at": document["finished_at"],
        "queue_position": None,
        "eta_s": None,
        "images": [
            {"index": 0, "url": image["url"], "size": image["size"], "content_type": "image/png"}
        ],
        "cost": {"usd": 0.08, "credits": 8, "final": True},
        "error": None,
        "attempts": [attempt],
        "timeline": document["timeline"],
    }
    assert (attempt["deployment"], attempt["status"]) == ("gen4_image-1", "completed")
    assert moments == [
        ("queued", "queued"),
        ("in_progress", "submitting"),
        ("in_progress", "provider_queue"),
        ("in_progress", "running"),
        ("completed", None),
    ]
    assert (
        document["created_at"]
        <= document["started_at"]
        < document["finished_at"]
        <= job["created_at"] + 10
    )


async def test_an_unfinished_job_says_when_to_look_again(client: aiohttp.ClientSession) -> None:
    """An unfinished job is 200 with `Retry-After`, its estimate for a cost, and no cost header."""
    job = await begin(client)
    await asyncio.sleep(5)

    status, document, headers = await get(client, f"/v1/jobs/{job['id']}")

    assert (status, document["status"], document["phase"]) == (200, "in_progress", "running")
    assert 0 < document["progress"] < 100
    assert document["cost"] == {"usd": 0.08, "credits": 8, "final": False}
    assert (headers["Retry-After"], headers["Cache-Control"]) == ("2", "no-store")
    assert headers["x-taxiway-job-id"] == job["id"]
    assert "x-litellm-response-cost" not in headers


async def test_a_failed_job_is_an_answer_and_no_error(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """`GET /v1/jobs/{id}` is 200 for a failed job, whose error stands inside of it."""
    sandbox.will("fail:SAFETY.INPUT.TEXT")
    job = await begin(client)
    await ended(client, job["id"])

    status, document, headers = await get(client, f"/v1/jobs/{job['id']}")

    assert (status, document["status"]) == (200, "failed")
    assert document["error"] == {
        "message": document["error"]["message"],
        "type": "invalid_request_error",
        "param": None,
        "code": "content_policy_violation",
        "job_id": job["id"],
        "provider_specific_fields": {"failure_code": "SAFETY.INPUT.TEXT"},
    }
    assert headers["x-litellm-response-cost"] == "0.08"
    assert "Retry-After" not in headers


@pytest.mark.parametrize("suffix", ["", "/events", "/cancel"])
async def test_a_job_that_is_not_there_is_not_found(
    client: aiohttp.ClientSession, suffix: str
) -> None:
    """Every route of a job answers 404 `job_not_found` for one that does not exist."""
    method = "POST" if suffix == "/cancel" else "GET"
    async with client.request(method, f"/v1/jobs/job_{'0' * 32}{suffix}") as response:
        document = await response.json()

    assert (response.status, document["error"]["code"]) == (404, "job_not_found")
    assert document["error"]["type"] == "invalid_request_error"


# The list


async def test_jobs_are_listed_newest_first(client: aiohttp.ClientSession) -> None:
    """Without a query the list holds the newest jobs, and says that there are no more."""
    jobs = [await begin(client) for _ in range(3)]

    status, document, headers = await get(client, "/v1/jobs")

    assert status == 200
    assert [job["id"] for job in document["data"]] == [job["id"] for job in reversed(jobs)]
    assert (document["object"], document["has_more"]) == ("list", False)
    assert (document["first_id"], document["last_id"]) == (jobs[2]["id"], jobs[0]["id"])
    assert headers["Cache-Control"] == "no-store"


async def test_no_jobs_are_an_empty_list(client: aiohttp.ClientSession) -> None:
    """A list without jobs has neither a first nor a last."""
    _, document, _ = await get(client, "/v1/jobs")

    assert document == {
        "object": "list",
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


async def test_pages_follow_each_other_by_cursor(client: aiohttp.ClientSession) -> None:
    """`after=<last_id>` brings the next page, whatever has been added meanwhile; no job is seen twice."""
    jobs = [await begin(client) for _ in range(5)]
    seen, after, pages = [], "", []

    more = True
    while more:
        _, document, _ = await get(client, f"/v1/jobs?limit=2{after}")
        seen += [job["id"] for job in document["data"]]
        pages.append(len(document["data"]))
        more, after = document["has_more"], f"&after={document['last_id']}"
        await begin(client)

    assert seen == [job["id"] for job in reversed(jobs)]
    assert pages == [2, 2, 1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("status=completed", ["fine"], id="status"),
        pytest.param("status=failed,in_progress", ["running", "refused"], id="two statuses"),
        pytest.param("status=", ["running", "refused", "fine"], id="empty"),
        pytest.param("status=cancelled", [], id="none of them"),
        pytest.param("model=gen4", ["refused"], id="model, as it was asked for"),
        pytest.param("error=content_policy_violation", ["refused"], id="error"),
        pytest.param("status=failed&model=runwayml/gen4_image", [], id="both must fit"),
        pytest.param("since=0", ["running", "refused", "fine"], id="since, in seconds"),
        pytest.param("since=2999-01-01", [], id="since a date"),
        pytest.param("since=2020-01-01T00:00:00Z&limit=1", ["running"], id="since, UTC"),
        pytest.param(
            "since=2020-01-01T00:00:00+02:00&status=completed", ["fine"], id="a plus unescaped"
        ),
    ],
)
async def test_a_list_can_be_narrowed(
    client: aiohttp.ClientSession, sandbox: Sandbox, query: str, expected: list[str]
) -> None:
    """The query chooses jobs by status, model, date and error."""
    sandbox.will("ok", "fail:SAFETY.INPUT.TEXT", "slow:100")
    await begin(client, prompt="fine")
    await begin(client, prompt="refused", model="gen4")
    await begin(client, prompt="running")
    await asyncio.sleep(20)

    _, document, _ = await get(client, f"/v1/jobs?{query}")

    assert [job["prompt"] for job in document["data"]] == expected


async def test_a_list_can_begin_at_a_date(client: aiohttp.ClientSession) -> None:
    """`since` takes the very date that a job bears."""
    await begin(client)
    await asyncio.sleep(1)
    later = await begin(client)

    _, document, _ = await get(client, f"/v1/jobs?since={later['created_at']!r}")

    assert [job["id"] for job in document["data"]] == [later["id"]]


async def test_a_list_shows_progress_as_it_is(client: aiohttp.ClientSession) -> None:
    """A list and the job itself show the same progress, though progress alone is never stored."""
    job = await begin(client)
    await asyncio.sleep(4.5)  # between two looks, the first of which comes after one second or two

    _, alone, _ = await get(client, f"/v1/jobs/{job['id']}")
    _, document, _ = await get(client, "/v1/jobs")

    assert alone["progress"] > 0
    assert document["data"] == [alone]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        pytest.param("status=done", "status", id="no status"),
        pytest.param("limit=0", "limit", id="limit 0"),
        pytest.param("limit=101", "limit", id="limit 101"),
        pytest.param("limit=-1", "limit", id="limit negative"),
        pytest.param("limit=ten", "limit", id="limit a word"),
        pytest.param("limit=%C2%B2", "limit", id="limit in superscript"),
        pytest.param("since=yesterday", "since", id="no date"),
        pytest.param("since=nan", "since", id="no number"),
        pytest.param("since=1e999", "since", id="beyond all dates"),
        pytest.param("error=oops", "error", id="no error"),
        pytest.param("after=job_unknown", "after", id="no job"),
        pytest.param("model=%00", "model", id="NUL"),
        pytest.param("limit=1&limit=2", "limit", id="twice"),
        pytest.param("staus=failed", "staus", id="misspelt"),
    ],
)
async def test_a_query_that_is_not_understood_is_refused(
    client: aiohttp.ClientSession, query: str, param: str
) -> None:
    """A parameter that cannot be read is named, together with what is accepted."""
    status, document, _ = await get(client, f"/v1/jobs?{query}")

    error = document["error"]
    assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)


class TestAnotherConfiguration:
    """Jobs of an earlier configuration."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """A service that offers nothing but one model."""
        return replace(settings, deployments=settings.deployments[1:2], aliases={})

    async def test_a_job_outlives_its_model(
        self, client: aiohttp.ClientSession, settings: Settings, journal: Any
    ) -> None:
        """A job of a model that is offered no longer can still be read."""
        from taxiway.jobs import GenerationRequest, Part, Plan
        from taxiway.transitions import accept

        request = GenerationRequest(model="gone", prompt="a red fox")
        plan = Plan(size=None, parts=(Part(images=1, credits=None),))
        await journal.accept(accept(request, plan, id="job_1", at=1.0, deadline_at=601.0))

        status, document, headers = await get(client, "/v1/jobs/job_1")

        assert (status, document["model"]) == (200, "gone")
        assert "x-litellm-model-id" not in headers
