"""Being told: another program hears of a job's end, signed by Standard Webhooks, once it is there to hear."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from PIL import Image as Pillow
from tests.processes import Service, caller
from tests.receivers import SECRET, Receiver

from taxiway.cadence import every
from taxiway.deliveries import DeliveryStatus, Outcome, Try
from taxiway.metrics import Metrics
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server import create_app
from taxiway.server.running import listening
from taxiway.server.webhooks.guard import TIMEOUT_S
from taxiway.server.webhooks.office import BEAT_S, HOST_MAX, JITTER, LADDER_S, LEASE_S
from taxiway.settings import Secret, Settings
from taxiway.store.memory import MemoryStore

MODEL = "runwayml/gen4_image"
GENERATIONS = "/v1/images/generations"
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of the tests, 32.").decode()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A program that wants to be told."""
    receiver = Receiver()
    async with receiver.listening():
        yield receiver


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A service that may call this machine, and has a secret."""
    return replace(settings, webhook_secrets=(Secret(SECRET),), webhook_networks=("127.0.0.0/8",))


async def ask(
    client: aiohttp.ClientSession, webhook: Any = None, *, status: int = 202, **fields: Any
) -> Any:
    """Ask for an image without waiting for it; return the answer."""
    asked = {"model": MODEL, "prompt": "a lighthouse in the fog", **fields}
    body = asked if webhook is None else {**asked, "webhook": webhook}
    async with client.post(GENERATIONS, json=body, headers={"Prefer": "respond-async"}) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def get(client: aiohttp.ClientSession, path: str, *, status: int = 200) -> Any:
    """Return what is at an address."""
    async with client.get(path) as response:
        assert response.status == status
        return await response.json()


async def deliveries(client: aiohttp.ClientSession, job: Any) -> Any:
    """Return a job's webhooks as they stand."""
    return (await get(client, f"/v1/jobs/{job['id']}/webhooks"))["data"]


async def redeliver(client: aiohttp.ClientSession, job: Any, index: int = 0) -> Any:
    """Ask for a webhook once more."""
    async with client.post(f"/v1/jobs/{job['id']}/webhooks/{index}/redeliver") as response:
        return response.status, await response.json()


async def settled(client: aiohttp.ClientSession, job: Any, *statuses: str) -> Any:
    """Return a job's webhooks, once they stand like this."""
    async for _ in every(0.5, first_s=0.0):
        found = await deliveries(client, job)
        if [each["status"] for each in found] == [*statuses]:
            break
    return found


def picture() -> bytes:
    """A small PNG."""
    file = io.BytesIO()
    Pillow.new("RGB", (64, 48)).save(file, "PNG")
    return file.getvalue()


class TestHearing:
    """What comes in."""

    async def test_a_request_names_who_is_told_of_its_end(
        self, client: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        """The library of Standard Webhooks accepts it, and it holds the job as `GET /v1/jobs/{id}` shows it."""
        job = await ask(client, {"url": receiver.url})
        (heard,) = await receiver.has_heard(1)
        event = heard.verified()
        now = await get(client, f"/v1/jobs/{job['id']}")

        assert ("job.completed", now) == (event["type"], event["data"])
        assert "completed" == event["data"]["status"]
        assert event["timestamp"].endswith("Z")
        assert f"evt_{job['id'][4:]}_{now['revision']}" == heard.id
        assert "application/json" == heard.headers["content-type"]
        assert heard.headers["user-agent"].startswith("taxiway/")

    async def test_a_failed_job_is_told_too(
        self, client: aiohttp.ClientSession, receiver: Receiver, sandbox: Sandbox
    ) -> None:
        """So is its error."""
        sandbox.will("fail:SAFETY.INPUT.TEXT")
        await ask(client, {"url": receiver.url})
        (heard,) = await receiver.has_heard(1)

        assert "job.failed" == heard.verified()["type"]
        assert "content_policy_violation" == heard.verified()["data"]["error"]["code"]

    async def test_a_cancelled_job_is_told_too(
        self, client: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        """Whoever stopped it."""
        job = await ask(client, {"url": receiver.url})
        async with client.post(f"/v1/jobs/{job['id']}/cancel"):
            (heard,) = await receiver.has_heard(1)

        assert "job.cancelled" == heard.verified()["type"]

    async def test_a_request_may_bring_a_secret_of_its_own(
        self, client: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        """Then that one signs, and it is shown nowhere."""
        job = await ask(client, {"url": receiver.url, "secret": OTHER_SECRET})
        (heard,) = await receiver.has_heard(1)
        shown = await get(client, f"/v1/jobs/{job['id']}")

        assert heard.signed(OTHER_SECRET)
        assert not heard.signed(SECRET)
        assert OTHER_SECRET not in f"{job} {shown} {heard.body!r} {await deliveries(client, job)}"

    async def test_a_form_names_it_as_forms_do(
        self, client: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        """`webhook[url]` in the multipart body of an edit."""
        form = aiohttp.FormData({"model": MODEL, "prompt": "a fox", "webhook[url]": receiver.url})
        form.add_field("image", picture(), filename="fox.png", content_type="image/png")
        async with client.post("/v1/images/edits", data=form) as response:
            assert response.status == 200, await response.text()
        (heard,) = await receiver.has_heard(1)

        assert "job.completed" == heard.verified()["type"]

    async def test_a_retry_that_joins_a_job_tells_nobody_twice(
        self, client: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        """The same `Idempotency-Key` is the same purchase, and so the same webhook."""
        body = {"model": MODEL, "prompt": "a fox", "webhook": {"url": receiver.url}}
        for _ in range(2):
            async with client.post(GENERATIONS, json=body, headers={"Idempotency-Key": "k"}) as r:
                assert r.status == 200
        await asyncio.sleep(60)

        assert 1 == len(receiver.heard)


class TestConfigured:
    """An endpoint in the settings."""

    @pytest.fixture
    def settings(self, settings: Settings, receiver: Receiver) -> Settings:
        """All jobs are told to the receiver; its secret is being exchanged."""
        return replace(
            settings,
            webhook_url=receiver.url,
            webhook_secrets=(Secret(SECRET), Secret(OTHER_SECRET)),
        )

    async def test_every_job_is_told(
        self, client: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        """Without a word in the request; and while two secrets are good, both sign."""
        job = await ask(client)
        (heard,) = await receiver.has_heard(1)
        (delivery,) = await settled(client, job, "delivered")

        assert job["id"] == heard.verified(SECRET)["data"]["id"]
        assert job["id"] == heard.verified(OTHER_SECRET)["data"]["id"]
        assert "settings" == delivery["source"]

    async def test_the_request_may_name_another_one_besides(
        self, client: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        """Both hear the same event, and know it by the same id; one that is named twice hears it once."""
        job = await ask(client, {"url": f"{receiver.url}?mine"})
        first, second = await receiver.has_heard(2)
        found = await settled(client, job, "delivered", "delivered")
        same = await ask(client, {"url": receiver.url})

        assert first.id == second.id
        assert [(0, "request"), (1, "settings")] == [(d["index"], d["source"]) for d in found]
        assert ["request"] == [d["source"] for d in await settled(client, same, "delivered")]


class TestTrouble:
    """A receiver that is not there, or not well."""

    async def test_it_is_tried_again_until_it_hears(
        self,
        client: aiohttp.ClientSession,
        receiver: Receiver,
        log_lines: Callable[[], list[dict[str, Any]]],
        metrics: Metrics,
    ) -> None:
        """By Standard Webhooks' ladder; each time with the same id, and a new timestamp and signature."""
        receiver.answers = [500, 302]
        job = await ask(client, {"url": receiver.url})
        heard = await receiver.has_heard(3)
        (delivery,) = await settled(client, job, "delivered")
        pauses = [late.at - early.at for early, late in pairwise(heard)]

        assert 1 == len({each.id for each in heard})
        assert 3 == len({each.timestamp for each in heard})
        assert all(each.signed(SECRET) for each in heard)
        assert [500, 302, 204] == [each["code"] for each in delivery["tries"]]
        for pause_s, step_s in zip(pauses, LADDER_S, strict=False):
            assert step_s <= pause_s <= step_s * (1 + JITTER) + 3
        await asyncio.sleep(2 * BEAT_S)
        page = metrics.render(None)[0].decode()
        assert 'taxiway_webhook_tries_total{result="retried"} 2.0' in page
        assert 'taxiway_webhook_tries_total{result="delivered"} 1.0' in page
        assert "taxiway_webhooks_pending 0.0" in page
        lines = [line for line in log_lines() if line["event"].startswith("webhook.")]
        assert ["webhook.retried"] * 2 + ["webhook.delivered"] == [line["event"] for line in lines]
        assert "127.0.0.1" == lines[0]["receiver"].split(":")[0]

    async def test_after_ten_tries_within_three_days_it_is_given_up(
        self,
        client: aiohttp.ClientSession,
        store: MemoryStore,
        receiver: Receiver,
        log_lines: Callable[[], list[dict[str, Any]]],
    ) -> None:
        """An error in the log; asked for once more, it is tried once more."""
        receiver.answers = [500, 500]
        job = await ask(client, {"url": receiver.url})
        await receiver.has_heard(1)
        await settled(client, job, "pending")
        await tried(store, times=len(LADDER_S) - 1)
        (given_up,) = await settled(client, job, "failed")
        answered = await redeliver(client, job)
        heard = await receiver.has_heard(3)
        (again,) = await settled(client, job, "delivered")

        assert (10, None) == (len(given_up["tries"]), given_up["next_try_at"])
        assert 60 < sum(LADDER_S) / 3600 < 80
        assert (202, "pending") == (answered[0], answered[1]["status"])
        assert 1 == len({each.id for each in heard})
        assert [500, 204] == [each["code"] for each in again["tries"]][-2:]
        failed = [line for line in log_lines() if line["event"] == "webhook.failed"]
        assert [(10, 500, "error")] == [
            (line["tries"], line["http.response.status_code"], line["level"]) for line in failed
        ]

    async def test_one_that_is_down_is_told_when_it_is_up_again(
        self, client: aiohttp.ClientSession
    ) -> None:
        """Nobody listens for some minutes; then somebody does."""
        receiver = Receiver()
        async with receiver.listening():
            pass
        job = await ask(client, {"url": receiver.url})
        await asyncio.sleep(200)
        (down,) = await deliveries(client, job)
        async with receiver.listening(port=receiver.port):
            await receiver.has_heard(1)
            (up,) = await settled(client, job, "delivered")

        assert "pending" == down["status"]
        assert {"unreachable"} == {each["outcome"] for each in down["tries"]}
        assert ["unreachable", "unreachable", "delivered"] == [e["outcome"] for e in up["tries"]]

    async def test_the_next_try_can_be_asked_for(
        self, client: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        """Whoever has mended a receiver need not wait for the ladder."""
        receiver.answers = [500, 500, 500]
        job = await ask(client, {"url": receiver.url})
        await receiver.has_heard(3)
        await settled(client, job, "pending")
        await redeliver(client, job)
        heard = await receiver.has_heard(4)

        assert heard[3].at - heard[2].at < 60

    async def test_one_that_says_gone_is_left_alone(
        self, client: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        """410 is a wish to hear no more of it."""
        receiver.answers = [410]
        job = await ask(client, {"url": receiver.url})
        (delivery,) = await settled(client, job, "failed")

        assert [410] == [each["code"] for each in delivery["tries"]]

    async def test_a_redirect_is_not_followed(
        self, client: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        """It could lead anywhere."""
        receiver.answers, receiver.location = [302], f"{receiver.url}/elsewhere"
        job = await ask(client, {"url": receiver.url})
        await receiver.has_heard(1)
        await asyncio.sleep(2)
        (delivery,) = await deliveries(client, job)

        assert [302] == [each["code"] for each in delivery["tries"]]

    async def test_one_that_hangs_does_not_hold_up_the_others(
        self, client: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        """It gets some of the places, and a limited time; its other events wait for those."""
        slow = Receiver()
        slow.hangs = True
        async with slow.listening():
            stuck = [await ask(client, {"url": slow.url}) for _ in range(HOST_MAX + 4)]
            await slow.has_heard(HOST_MAX)
            await ask(client, {"url": receiver.url})
            (heard,) = await receiver.has_heard(1)
            await slow.has_heard(HOST_MAX + 4)
            async for _ in every(0.5, first_s=0.0):
                (delivery,) = await deliveries(client, stuck[0])
                if delivery["tries"]:
                    break

        assert slow.heard[HOST_MAX].at > heard.at
        assert ["timeout"] == [each["outcome"] for each in delivery["tries"]]
        assert TIMEOUT_S <= delivery["tries"][0]["duration_s"] <= TIMEOUT_S + 2


class TestReplicas:
    """Several processes, and one that dies."""

    async def test_one_of_them_tells(
        self,
        app: web.Application,
        client: aiohttp.ClientSession,
        settings: Settings,
        store: MemoryStore,
        receiver: Receiver,
    ) -> None:
        """However many look into the same outbox."""
        async with listening(create_app(settings, store=store), host="127.0.0.1", port=0):
            for _ in range(20):
                await ask(client, {"url": receiver.url})
            await receiver.has_heard(20)
            await asyncio.sleep(LEASE_S * 2)

        assert (20, 20) == (len(receiver.heard), len({each.id for each in receiver.heard}))

    async def test_what_a_stopped_one_was_sending_the_next_one_sends(
        self, settings: Settings, store: MemoryStore, receiver: Receiver
    ) -> None:
        """At once, and under the same id: the receiver knows that it may have heard it."""
        receiver.hangs = True
        first = create_app(settings, store=store)
        async with (
            listening(first, host="127.0.0.1", port=0) as url,
            aiohttp.ClientSession(url) as client,
        ):
            await ask(client, {"url": receiver.url})
            await receiver.has_heard(1)
        receiver.hangs = False
        began = asyncio.get_running_loop().time()
        async with listening(create_app(settings, store=store), host="127.0.0.1", port=0):
            heard = await receiver.has_heard(2)

        assert heard[0].id == heard[1].id
        assert heard[1].at - began < LEASE_S / 2


@pytest.mark.looptime(False)
class TestProcesses:
    """The real program, killed."""

    @pytest.fixture
    def sandbox_settings(self) -> SandboxSettings:
        """A Runway that is quick."""
        return SandboxSettings(duration_s=0.5, queue_s=0.1, pictures="plain")

    async def test_what_was_not_heard_before_a_kill_is_heard_after_it(
        self, tmp_path: Path, sandbox: Sandbox
    ) -> None:
        """The receiver is down, the service is killed, both come back: then it is told."""
        receiver = Receiver()
        async with receiver.listening():
            pass
        service = Service(
            folder=tmp_path,
            database=f"sqlite:///{tmp_path}/jobs.db",
            runway=sandbox.url,
            webhook_secrets=SECRET,
            webhook_networks="127.0.0.0/8",
        )
        await service.start()
        async with caller(service) as session:
            job = await ask(session, {"url": receiver.url})
            async for _ in every(0.1):
                tries = [each["tries"] for each in await deliveries(session, job)]
                if tries and tries[0]:
                    break
        await service.kill()
        async with receiver.listening(port=receiver.port):
            await service.start()
            (heard,) = await receiver.has_heard(1, within_s=20)
            async with caller(service) as session:
                (delivery,) = await settled(session, job, "delivered")
        await service.kill()

        assert job["id"] == heard.verified()["data"]["id"]
        assert ["unreachable", "delivered"] == [each["outcome"] for each in delivery["tries"]]


class TestRefused:
    """What a request may not ask for."""

    @pytest.mark.parametrize(
        ("webhook", "param", "code"),
        [
            ("https://example.com", "webhook", "invalid_type"),
            ({}, "webhook.url", "missing_required_parameter"),
            ({"url": "ftp://example.com"}, "webhook.url", "invalid_value"),
            ({"url": "https://user:word@example.com"}, "webhook.url", "invalid_value"),
            ({"url": "https://example.com/#top"}, "webhook.url", "invalid_value"),
            ({"url": "https://example.com:0/"}, "webhook.url", "invalid_value"),
            ({"url": "https://example.com:99999/"}, "webhook.url", "invalid_value"),
            ({"url": "https://[::1"}, "webhook.url", "invalid_value"),
            ({"url": "https:///path"}, "webhook.url", "invalid_value"),
            ({"url": "https://exämple.com"}, "webhook.url", "invalid_value"),
            ({"url": "https://e.com/\r\nx: y"}, "webhook.url", "invalid_value"),
            ({"url": "https://e.com/" + "a" * 2048}, "webhook.url", "string_above_max_length"),
            ({"url": 7}, "webhook.url", "invalid_type"),
            ({"url": "https://e.com", "secret": "word"}, "webhook.secret", "invalid_value"),
            (
                {"url": "https://e.com", "secret": "whsec_c2hvcnQ="},
                "webhook.secret",
                "invalid_value",
            ),
            ({"url": "https://e.com", "events": []}, "webhook.events", "unsupported_parameter"),
            ({"url": "https://10.0.0.1/"}, "webhook.url", "invalid_value"),
            ({"url": "https://[fd00::1]/"}, "webhook.url", "invalid_value"),
            ({"url": "http://8.8.8.8/"}, "webhook.url", "invalid_value"),
        ],
    )
    async def test_a_webhook_that_cannot_be_is_a_400(
        self, client: aiohttp.ClientSession, webhook: Any, param: str, code: str
    ) -> None:
        """It names the field, and nothing is bought."""
        error = (await ask(client, webhook, status=400))["error"]

        assert (param, code) == (error["param"], error["code"])
        assert [] == (await get(client, "/v1/jobs"))["data"]

    async def test_there_is_no_webhook_of_a_job_that_asked_for_none(
        self, client: aiohttp.ClientSession
    ) -> None:
        """Nor one of a job that does not exist."""
        job = await ask(client)

        assert [] == await deliveries(client, job)
        assert (404, "webhook_not_found") == error_of(await redeliver(client, job))
        assert (404, "job_not_found") == error_of(await redeliver(client, {"id": "job_0"}))


class TestWithoutSettings:
    """A service that was told nothing of webhooks."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """No secrets, no networks."""
        return replace(settings, webhook_secrets=(), webhook_networks=())

    async def test_nothing_is_told_that_is_not_signed(self, client: aiohttp.ClientSession) -> None:
        """The request brings a secret, or is refused."""
        error = (await ask(client, {"url": "https://example.com"}, status=400))["error"]

        assert ("webhook.secret", "missing_required_parameter") == (error["param"], error["code"])

    async def test_nothing_is_told_in_the_clear(self, client: aiohttp.ClientSession) -> None:
        """Plain HTTP is for the networks of the settings."""
        webhook = {"url": "http://example.com", "secret": SECRET}
        error = (await ask(client, webhook, status=400))["error"]

        assert ("webhook.url", "invalid_value") == (error["param"], error["code"])


async def tried(store: MemoryStore, *, times: int) -> None:
    """Try the one delivery as another process would, so many times in vain, and leave it due at once."""
    for _ in range(times):
        (mine,) = await store.outbox.take(now=1e12, lease_s=1.0, limit=1)
        last = Try(at=1e9, outcome=Outcome.TIMEOUT, code=None, duration_s=20.0)
        await store.outbox.settle(mine, last, status=DeliveryStatus.PENDING, due_at=1e9)


def error_of(answer: tuple[int, Any]) -> tuple[int, str]:
    """Return the status and the code of a refusal."""
    return answer[0], answer[1]["error"]["code"]
