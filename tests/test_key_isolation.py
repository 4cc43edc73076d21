"""One key's jobs among everybody's: another key's job does not exist, and a model it may not use is not there."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from tests.holders import FOX, MASTER_KEY, Holder

from taxiway.sandbox import Sandbox
from taxiway.settings import Secret, Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A service with a master key, whose second model is in an access group."""
    first, second, *rest = settings.deployments
    second = replace(second, access_groups=("fast",))
    return replace(settings, master_key=Secret(MASTER_KEY), deployments=(first, second, *rest))


@pytest.fixture
def master(client: aiohttp.ClientSession) -> Holder:
    """Whoever has the master key."""
    return Holder(client, MASTER_KEY)


@pytest.fixture
async def ann(master: Holder) -> Holder:
    """The holder of a key."""
    return await master.holder(key_alias="ann")


@pytest.fixture
async def bob(master: Holder) -> Holder:
    """The holder of another one."""
    return await master.holder(key_alias="bob")


async def finished(holder: Holder, **body: Any) -> str:
    """The id of a job that has ended."""
    _, document = await holder.wait(**body)
    job_id: str = document["job_id"]
    return job_id


#: Every way to a job, `{id}` being the job's.
WAYS: tuple[tuple[str, str, Mapping[str, Any] | None], ...] = (
    ("GET", "/v1/jobs/{id}", None),
    ("GET", "/v1/jobs/{id}/events", None),
    ("GET", "/v1/jobs/events?ids={id}", None),
    ("GET", "/v1/jobs/events?ids={own},{id}", None),
    ("GET", "/v1/jobs/{id}/images/0", None),
    ("POST", "/v1/jobs/{id}/cancel", None),
    ("POST", "/v1/jobs/{id}/token", None),
    ("POST", "/v1/jobs/token", {"ids": ["{id}"]}),
)


@pytest.mark.parametrize(
    ("method", "path", "body"), [pytest.param(*way, id=" ".join(way[:2])) for way in WAYS]
)
async def test_anothers_job_does_not_exist(
    ann: Holder, bob: Holder, method: str, path: str, body: Mapping[str, Any] | None
) -> None:
    """Whatever is done with another key's job, the answer is the one for a job that nobody has."""
    job_id, own = await finished(ann), await finished(bob)
    nobodys = job_id[:-4] + "ffff"

    answers = []
    for each in (job_id, nobodys):
        text = path.format(id=each, own=own)
        asked = None if body is None else {"ids": [each]}
        status, document = await bob.call(method, text, asked)
        document["error"]["message"] = document["error"]["message"].replace(each, "it")
        answers.append((status, document))

    assert answers[0] == answers[1]
    assert (404, "job_not_found") == (answers[0][0], answers[0][1]["error"]["code"])


@pytest.mark.parametrize("who", ["ann", "master"])
@pytest.mark.parametrize(
    ("method", "path", "body"), [pytest.param(*way, id=" ".join(way[:2])) for way in WAYS]
)
async def test_ones_own_job_is_there(
    ann: Holder,
    master: Holder,
    who: str,
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
) -> None:
    """To its own key, and to the master key, the job shows itself in every way."""
    job_id, own = await finished(ann), await finished(ann)

    status, _ = await {"ann": ann, "master": master}[who].call(
        method, path.format(id=job_id, own=own), None if body is None else {"ids": [job_id]}
    )

    assert 200 == status


async def test_nobody_stops_anothers_job(ann: Holder, bob: Holder, sandbox: Sandbox) -> None:
    """A cancellation by another key changes nothing."""
    _, job = await ann.ask()

    await bob.post(f"/v1/jobs/{job['id']}/cancel")
    async with ann.client.get(
        f"/v1/jobs/{job['id']}/events", headers={"Authorization": f"Bearer {ann.key}"}
    ) as stream:
        await stream.read()

    assert "completed" == (await ann.get(f"/v1/jobs/{job['id']}"))[1]["status"]
    assert 1 == len(sandbox.tasks)


async def test_a_list_of_ones_own(ann: Holder, bob: Holder, master: Holder) -> None:
    """The list has a key's own jobs, page by page; the master key sees everybody's."""
    anns = [(await ann.ask())[1]["id"] for _ in range(2)]
    bobs = [(await bob.ask())[1]["id"] for _ in range(3)]

    async def listed(holder: Holder, query: str = "") -> list[str]:
        _, document = await holder.get(f"/v1/jobs{query}")
        return [job["id"] for job in document["data"]]

    assert set(anns) == set(await listed(ann))
    assert set(bobs) == set(await listed(bob))
    assert {*anns, *bobs} == set(await listed(master))
    first, second, third = await listed(bob)
    assert [second] == await listed(bob, f"?limit=1&after={first}")
    assert [third] == await listed(bob, f"?after={second}")
    assert (400, "invalid_value") == await ann.code("GET", f"/v1/jobs?after={first}")


async def test_usage_of_ones_own(ann: Holder, bob: Holder, master: Holder) -> None:
    """What was spent is a key's own; the master key sees it by key."""
    await finished(ann)
    await finished(bob)
    await finished(bob)

    totals = [
        (await holder.get("/v1/usage"))[1]["total"]["cost"]["usd"] for holder in (ann, bob, master)
    ]
    _, by_key = await master.get("/v1/usage?by=key")
    _, own = await ann.get("/v1/usage?by=key")

    assert [0.08, 0.16, 0.24] == totals
    assert {ann.id: 1, bob.id: 2} == {row["key"]: row["jobs"] for row in by_key["data"]}
    assert [ann.id] == [row["key"] for row in own["data"]]


async def test_idempotency_keys_of_ones_own(ann: Holder, bob: Holder, sandbox: Sandbox) -> None:
    """The same Idempotency-Key of two holders is two purchases; of one holder, one."""
    again = {"Idempotency-Key": "the fox", "Prefer": "respond-async"}

    ids = [
        (await holder.call("POST", "/v1/images/generations", FOX, again))[1]["id"]
        for holder in (ann, ann, bob)
    ]

    assert ids[0] == ids[1] != ids[2]


async def test_a_token_of_ones_own(ann: Holder, client: aiohttp.ClientSession) -> None:
    """A browser with a token follows the job without any key."""
    _, job = await ann.ask()
    _, token = await ann.post(f"/v1/jobs/{job['id']}/token")

    async with client.get(token["url"]) as stream:
        text = await stream.text()

    assert '"status":"completed"' in text


@pytest.mark.parametrize("many", [False, True], ids=["one job", "several"])
@pytest.mark.parametrize("what", ["block", "delete"])
async def test_a_token_ends_with_its_key(
    ann: Holder, master: Holder, client: aiohttp.ClientSession, what: str, many: bool
) -> None:
    """Once the key is blocked or deleted, the tokens of its jobs open nothing either."""
    _, job = await ann.ask()
    if many:
        _, token = await ann.post("/v1/jobs/token", ids=[job["id"]])
    else:
        _, token = await ann.post(f"/v1/jobs/{job['id']}/token")
    body = {"key": ann.id} if what == "block" else {"keys": [ann.id]}

    await master.post(f"/key/{what}", **body)

    async with client.get(token["url"]) as response:
        document = await response.json()
    code = {"block": "key_blocked", "delete": "invalid_api_key"}[what]
    assert (401, code) == (response.status, document["error"]["code"])


class TestModels:
    """What a key may ask for."""

    @pytest.mark.parametrize(
        ("models", "listed"),
        [
            ([], ["runwayml/gen4_image", "runwayml/gpt_image_2", "gen4"]),
            (["all-proxy-models"], ["runwayml/gen4_image", "runwayml/gpt_image_2", "gen4"]),
            (["gen4"], ["gen4"]),
            (["runwayml/gen4_image"], ["runwayml/gen4_image", "gen4"]),
            (["runwayml/gpt*"], ["runwayml/gpt_image_2"]),
            (["no-default-models"], []),
            (["fast"], ["runwayml/gpt_image_2"]),
        ],
    )
    async def test_what_is_listed(
        self, master: Holder, models: list[str], listed: list[str]
    ) -> None:
        """The list has what the key may use: by its name, an alias's, a pattern, a group."""
        holder = await master.holder(models=models)

        _, document = await holder.get("/v1/models")

        found = [model["id"] for model in document["data"]]
        assert listed == [name for name in found if name != "runwayml/recraft_v4_1_vector"]

    async def test_what_is_not_listed_is_not_there(self, master: Holder, sandbox: Sandbox) -> None:
        """Another model is 403 to ask for, to price, to edit with and to fall back to, and 404 to look at."""
        holder = await master.holder(models=["gen4"])
        other = {"model": "runwayml/gpt_image_2", "prompt": "a fox"}

        answers = [
            await holder.code("POST", "/v1/images/generations", **other),
            await holder.code("POST", "/v1/images/quote", **other),
            await holder.code(
                "POST", "/v1/images/edits", **other, image="https://example.com/a.png"
            ),
            await holder.code(
                "POST", "/v1/images/generations", **FOX, fallbacks=["runwayml/gpt_image_2"]
            ),
            await holder.code("GET", "/v1/models/runwayml/gpt_image_2"),
            await holder.code("GET", "/v1/models/gen4"),
        ]

        assert [
            *[(403, "key_model_access_denied")] * 4,
            (404, "model_not_found"),
            (200, None),
        ] == answers
        assert 0 == len(sandbox.tasks)

    async def test_the_refusal_names_the_field(self, master: Holder) -> None:
        """It says which model it was, and is not worth repeating."""
        holder = await master.holder(models=["gen4"])

        _, document = await holder.wait(model="runwayml/gpt_image_2")

        assert ("permission_error", "model") == (
            document["error"]["type"],
            document["error"]["param"],
        )
        assert "'runwayml/gpt_image_2'" in document["error"]["message"]
        assert "false" == holder.headers["x-should-retry"]
