"""Stopping: a job that is not wanted any more, and a caller who has left."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from taxiway.cadence import every
from taxiway.errors import StoreError
from taxiway.sandbox import Sandbox
from taxiway.settings import Settings
from taxiway.store.memory import MemoryStore

ASK = {"model": "runwayml/gen4_image", "prompt": "a red fox"}
GENERATIONS = "/v1/images/generations"


async def begin(client: aiohttp.ClientSession, **fields: Any) -> Any:
    """Ask for an image without waiting for it, and return the job."""
    headers = {"Prefer": "respond-async"}
    async with client.post(GENERATIONS, json={**ASK, **fields}, headers=headers) as response:
        return await response.json()


async def cancel(client: aiohttp.ClientSession, job_id: str) -> tuple[int, Any, Mapping[str, str]]:
    """Ask a job to stop, and return the status, the document and the headers of the answer."""
    async with client.post(f"/v1/jobs/{job_id}/cancel") as response:
        return response.status, await response.json(), response.headers


async def ended(client: aiohttp.ClientSession, job_id: str) -> Any:
    """Return a job after its end."""
    async for _ in every(0.5, first_s=0.0):
        async with client.get(f"/v1/jobs/{job_id}") as response:
            job = await response.json()
        if job["finished_at"] is not None:
            break
    return job


async def newest(client: aiohttp.ClientSession) -> Any:
    """Return the newest job."""
    async with client.get("/v1/jobs") as response:
        return (await response.json())["data"][0]


def deletes(sandbox: Sandbox) -> int:
    """Return how many tasks Runway was told to stop."""
    return sum(record.method == "DELETE" for record in sandbox.requests)


async def test_a_running_job_is_stopped_at_runway_too(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Cancelling answers at once with the job; it ends as cancelled, and its Runway task is deleted."""
    job = await begin(client)
    await asyncio.sleep(3)

    status, _, headers = await cancel(client, job["id"])
    document = await ended(client, job["id"])

    assert status == 200
    assert headers["x-taxiway-job-id"] == job["id"]
    assert (document["status"], document["error"]["code"]) == ("cancelled", "job_cancelled")
    assert document["finished_at"] - document["created_at"] < 4
    assert document["cost"]["final"] is False
    assert deletes(sandbox) == 1


async def test_a_job_that_bought_nothing_costs_nothing(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """A job that was refused for the moment and is cancelled while it waits has cost nothing."""
    sandbox.will(*["create:429 retry_after=30"] * 3)
    job = await begin(client)
    await asyncio.sleep(1)

    await cancel(client, job["id"])
    document = await ended(client, job["id"])

    assert document["status"] == "cancelled"
    assert document["cost"] == {"usd": 0.0, "credits": 0, "final": True}
    assert deletes(sandbox) == 0


async def test_cancelling_twice_changes_nothing(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Cancelling is idempotent: the second call answers 200 with the job, and Runway hears of it once."""
    job = await begin(client)
    await asyncio.sleep(3)

    first, second = await asyncio.gather(cancel(client, job["id"]), cancel(client, job["id"]))
    await ended(client, job["id"])
    third = await cancel(client, job["id"])

    assert [answer[0] for answer in (first, second, third)] == [200, 200, 200]
    assert third[1]["status"] == "cancelled"
    assert deletes(sandbox) == 1


async def test_a_finished_job_stays_as_it_ended(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Cancelling a job that has its image answers 200 with the image."""
    job = await begin(client)
    await ended(client, job["id"])

    status, document, headers = await cancel(client, job["id"])

    assert (status, document["status"], len(document["images"])) == (200, "completed", 1)
    assert headers["x-litellm-response-cost"] == "0.08"
    assert deletes(sandbox) == 0


async def test_a_caller_who_waits_for_a_cancelled_job_is_told(
    client: aiohttp.ClientSession,
) -> None:
    """A waiting caller gets a cancelled job as 400 `job_cancelled`, which no SDK repeats."""
    waiting = asyncio.create_task(client.post(GENERATIONS, json=ASK))
    await asyncio.sleep(3)
    job = await newest(client)

    await cancel(client, job["id"])
    async with await waiting as response:
        document = await response.json()

    assert (response.status, document["error"]["code"]) == (400, "job_cancelled")
    assert document["error"]["job_id"] == job["id"]
    assert response.headers["x-should-retry"] == "false"


async def hang_up(url: str, sandbox: Sandbox, *, headers: Mapping[str, str] | None = None) -> None:
    """Ask for an image, and leave once Runway makes it."""
    async with aiohttp.ClientSession(url) as caller:
        asking = asyncio.create_task(caller.post(GENERATIONS, json=ASK, headers=headers))
        await asyncio.sleep(3)
        asking.cancel()
        await asyncio.wait([asking])


@pytest.mark.parametrize(
    "headers", [pytest.param({}, id="plain"), pytest.param({"Prefer": "wait=60"}, id="wait")]
)
async def test_a_caller_who_hangs_up_does_not_stop_the_job(
    client: aiohttp.ClientSession, url: str, sandbox: Sandbox, headers: dict[str, str]
) -> None:
    """A job goes on without the caller who asked for it: it will be paid for, and can be fetched."""
    await hang_up(url, sandbox, headers=headers)

    document = await ended(client, (await newest(client))["id"])

    assert document["status"] == "completed"
    assert (deletes(sandbox), len(sandbox.tasks)) == (0, 1)


class TestOnDisconnectCancel:
    """A service told to stop jobs whose callers have left."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with `on_disconnect: cancel`."""
        return replace(settings, on_disconnect="cancel")

    async def test_a_caller_who_hangs_up_stops_the_job(
        self, client: aiohttp.ClientSession, url: str, sandbox: Sandbox
    ) -> None:
        """The job of a caller who has left is cancelled within a second or two, at Runway too."""
        await hang_up(url, sandbox)

        document = await ended(client, (await newest(client))["id"])

        assert document["status"] == "cancelled"
        assert (deletes(sandbox), len(sandbox.tasks)) == (1, 1)

    async def test_a_caller_who_never_waited_has_not_left(
        self, client: aiohttp.ClientSession, sandbox: Sandbox
    ) -> None:
        """A job that was asked for with `Prefer: respond-async` needs nobody who waits."""
        job = await begin(client)

        document = await ended(client, job["id"])

        assert document["status"] == "completed"
        assert deletes(sandbox) == 0

    @pytest.mark.parametrize("fields", [{}, {"on_disconnect": "cancel"}], ids=["setting", "field"])
    async def test_who_joins_and_hangs_up_stops_no_job_that_nobody_waits_for(
        self,
        client: aiohttp.ClientSession,
        url: str,
        sandbox: Sandbox,
        fields: Mapping[str, Any],
    ) -> None:
        """The first one has the job's id and will ask for it, so the job goes on without the second."""
        key = {"Idempotency-Key": "a-fox"}
        asked = {"headers": {**key, "Prefer": "respond-async"}, "json": {**ASK, **fields}}
        async with client.post(GENERATIONS, **asked) as response:
            job = await response.json()
        await hang_up(url, sandbox, headers=key)

        document = await ended(client, job["id"])

        assert (document["status"], await newest(client)) == ("completed", document)
        assert (deletes(sandbox), len(sandbox.tasks)) == (0, 1)

    @pytest.mark.parametrize("fields", [{}, {"on_disconnect": "cancel"}], ids=["setting", "field"])
    async def test_a_job_that_was_promised_late_is_as_safe(
        self,
        client: aiohttp.ClientSession,
        url: str,
        sandbox: Sandbox,
        fields: Mapping[str, Any],
    ) -> None:
        """Whoever waited in vain has the job's id as well, and the job goes on though another one hangs up."""
        key = {"Idempotency-Key": "a-fox"}
        asked = {"headers": {**key, "Prefer": "wait=1"}, "json": {**ASK, **fields}}
        async with client.post(GENERATIONS, **asked) as response:
            status, job = response.status, await response.json()
        await hang_up(url, sandbox, headers=key)

        document = await ended(client, job["id"])

        assert (202, "completed") == (status, document["status"])
        assert (deletes(sandbox), len(sandbox.tasks)) == (0, 1)

    async def test_who_joins_for_the_id_keeps_the_job_too(
        self, client: aiohttp.ClientSession, url: str, sandbox: Sandbox
    ) -> None:
        """The first one waits and hangs up; the second has asked for the same with `respond-async` meanwhile."""
        key = {"Idempotency-Key": "a-fox"}
        first = asyncio.create_task(hang_up(url, sandbox, headers=key))
        await asyncio.sleep(1)
        asked = {"headers": {**key, "Prefer": "respond-async"}, "json": ASK}
        async with client.post(GENERATIONS, **asked) as response:
            status, job = response.status, await response.json()
        await first

        document = await ended(client, job["id"])

        assert (202, "completed") == (status, document["status"])
        assert (deletes(sandbox), len(sandbox.tasks)) == (0, 1)

    async def test_who_hangs_up_before_the_wait_is_over_is_promised_nothing(
        self, client: aiohttp.ClientSession, url: str, sandbox: Sandbox
    ) -> None:
        """`Prefer: wait=N` protects a job from its 202 on, and from no moment before."""
        await hang_up(url, sandbox, headers={"Prefer": "wait=60"})

        document = await ended(client, (await newest(client))["id"])

        assert document["status"] == "cancelled"
        assert (deletes(sandbox), len(sandbox.tasks)) == (1, 1)

    async def test_a_job_goes_on_while_anyone_waits(
        self, client: aiohttp.ClientSession, url: str, sandbox: Sandbox
    ) -> None:
        """Of two who wait for one job the first hangs up, and the second gets the image."""
        key = {"Idempotency-Key": "a-fox"}
        first = asyncio.create_task(hang_up(url, sandbox, headers=key))
        await asyncio.sleep(0.5)
        async with client.post(GENERATIONS, json=ASK, headers=key) as response:
            await first
            answer = await response.json()

        assert (response.status, len(answer["data"])) == (200, 1)
        assert (deletes(sandbox), len(sandbox.tasks)) == (0, 1)

    async def test_the_last_who_hangs_up_stops_the_job(
        self, client: aiohttp.ClientSession, url: str, sandbox: Sandbox
    ) -> None:
        """Two wait for one job and hang up: with both of them gone it is cancelled."""
        key = {"Idempotency-Key": "a-fox"}
        await asyncio.gather(*(hang_up(url, sandbox, headers=key) for _ in range(2)))

        document = await ended(client, (await newest(client))["id"])

        assert document["status"] == "cancelled"
        assert (deletes(sandbox), len(sandbox.tasks)) == (1, 1)


class Forgetful(MemoryStore):
    """A store that fails whenever it is asked about promises."""

    async def promised(self, job_id: str) -> None:
        """Fail."""
        raise StoreError(f"No word about {job_id}.")

    async def is_promised(self, job_id: str) -> bool:
        """Fail."""
        raise StoreError(f"No word about {job_id}.")


class TestAStoreThatFails:
    """Where nobody can tell whether somebody has the job's id."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[MemoryStore]:
        """A store without a memory for promises."""
        store = Forgetful()
        yield store
        await store.close()

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with `on_disconnect: cancel`."""
        return replace(settings, on_disconnect="cancel")

    async def test_the_answer_is_given_and_the_job_goes_on(
        self, client: aiohttp.ClientSession, url: str, sandbox: Sandbox
    ) -> None:
        """Whoever waited in vain gets the 202, and a hang-up afterwards stops nothing that may be promised."""
        key = {"Idempotency-Key": "a-fox"}
        asked = {"headers": {**key, "Prefer": "wait=1"}, "json": ASK}
        async with client.post(GENERATIONS, **asked) as response:
            status, job = response.status, await response.json()
        await hang_up(url, sandbox, headers=key)

        document = await ended(client, job["id"])

        assert (202, "completed") == (status, document["status"])
        assert (deletes(sandbox), len(sandbox.tasks)) == (0, 1)
