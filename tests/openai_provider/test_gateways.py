"""Another gateway behind this one, other vendors beside it, and a process that dies."""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from tests.openai_provider.vendor import KEY, PNG, Vendor, ask, cut, deployed, error, fetched, made
from tests.processes import Service, caller, ended
from tests.processes import ask as asked_for

from taxiway.cadence import every
from taxiway.sandbox import Sandbox
from taxiway.server import create_app
from taxiway.server.running import listening
from taxiway.settings import Deployment, Routing, Secret, Settings


class TestAcrossVendors:
    """Runway and the other vendor under one name, and as each other's fallback."""

    @pytest.fixture
    def settings(self, settings: Settings, vendor: Vendor) -> Settings:
        """`image` is Runway's first and the vendor's second; `cheap` is the vendor's, with Runway behind it."""
        first = replace(settings.deployments[0], id="runway", model_name="image", order=1)
        second = deployed(vendor, order=2, model="dall-e-3", price_microusd=40_000)
        cheap = deployed(vendor, id="cheap", model_name="cheap", price_microusd=10_000)
        lenient = deployed(vendor, id="lenient", model_name="lenient", price_microusd=40_000)
        return replace(
            settings,
            aliases={},
            deployments=(first, second, cheap, lenient),
            routing=Routing(
                fallbacks={"cheap": ("image",)},
                content_policy_fallbacks={"cheap": ("lenient",)},
            ),
        )

    async def test_from_runway(
        self, client: aiohttp.ClientSession, vendor: Vendor, sandbox: Sandbox
    ) -> None:
        """Where Runway's account is refused, the vendor makes the image, in the nearest size that it has."""
        sandbox.faults.add("create:401")
        status, _, job = await ask(client, size="1920x1080")

        assert (200, ["refused", "completed"]) == (status, [a["status"] for a in job["attempts"]])
        assert {"usd": 0.04, "credits": None, "final": True} == job["cost"]
        assert "1792x1024" == vendor.asked[0][1]["size"]

    async def test_to_runway(
        self, client: aiohttp.ClientSession, vendor: Vendor, sandbox: Sandbox
    ) -> None:
        """Where the vendor's account is refused, Runway makes the image."""
        vendor.answers = [error(401)]
        status, _, job = await ask(client, model="cheap")

        assert (200, ["openai", "runwayml"], {"usd": 0.08, "credits": 8, "final": True}) == (
            status,
            [a["provider"] for a in job["attempts"]],
            job["cost"],
        )

    async def test_what_moderation_refuses(
        self, client: aiohttp.ClientSession, vendor: Vendor, sandbox: Sandbox
    ) -> None:
        """A moderated request goes to the names of `content_policy_fallbacks`, and to no other."""
        vendor.answers = [error(400, "moderation_blocked"), made()]
        status, _, job = await ask(client, model="cheap")

        assert (200, ["cheap", "lenient"], 0) == (
            status,
            [a["deployment"] for a in job["attempts"]],
            len(sandbox.tasks),
        )

    async def test_a_lost_answer_stays_lost(
        self, client: aiohttp.ClientSession, vendor: Vendor, sandbox: Sandbox
    ) -> None:
        """A submission whose outcome is unknown is not bought elsewhere either, unless somebody asks for it."""
        vendor.answers = [cut]
        lost = await ask(client, model="cheap")
        wanted = await ask(client, model="cheap", num_retries=0, resubmit_unknown=True)

        assert (502, "submission_unknown", 1) == (
            lost[0],
            lost[1]["error"]["code"],
            len(lost[2]["attempts"]),
        )
        assert (200, ["unknown", "completed"]) == (
            wanted[0],
            [a["status"] for a in wanted[2]["attempts"]],
        )
        assert 1 == len(sandbox.tasks)


class TestGateway:
    """A Taxiway before a Taxiway: what the second one says is what the first one's callers get."""

    @pytest.fixture
    async def behind(self, settings: Settings, tmp_path: Path) -> AsyncIterator[str]:
        """The second Taxiway, which makes its images at the sandbox."""
        own = replace(
            settings,
            deployments=settings.deployments[:-1],
            master_key=Secret(KEY),
            artifacts_url=f"file://{tmp_path}/behind",
        )
        async with listening(create_app(own), host="127.0.0.1", port=0) as url:
            yield url

    @pytest.fixture
    async def front(
        self, settings: Settings, behind: str, url: str
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """A caller of the first one."""
        del url  # a service that stands by: virtual time begins where this one does
        own = replace(
            settings,
            aliases={},
            deployments=(
                Deployment(
                    id="behind",
                    model_name="image",
                    provider="openai",
                    model="runwayml/gen4_image",
                    api_key=Secret(KEY),
                    api_base=f"{behind}/v1",
                ),
            ),
        )
        async with (
            listening(create_app(own), host="127.0.0.1", port=0) as url,
            aiohttp.ClientSession(url) as client,
        ):
            yield client

    async def test_an_image(self, front: aiohttp.ClientSession, sandbox: Sandbox) -> None:
        """The image comes through, at the cost that the second one was charged, to the credit."""
        status, _, job = await ask(front, size="1280x720")

        assert (200, "1280x720", 1) == (status, job["images"][0]["size"], len(sandbox.tasks))
        assert {"usd": sandbox.charged_credits / 100, "credits": None, "final": True} == job["cost"]
        assert job["attempts"][0]["upstream_id"].startswith("job_")

    @pytest.mark.parametrize(
        ("mark", "status", "code", "tasks"),
        [
            pytest.param(
                "[[fail:SAFETY.INPUT.TEXT]]", 400, "content_policy_violation", 1, id="moderated"
            ),
            pytest.param("[[fail:ASSET.INVALID]]", 400, "invalid_image", 1, id="an asset"),
            pytest.param("[[create:400]]", 400, "provider_rejected", 0, id="rejected"),
            pytest.param("[[create:401]]", 502, "provider_auth_failed", 0, id="its key"),
            pytest.param("[[create:500]]", 502, "submission_unknown", 0, id="unknown"),
        ],
    )
    async def test_failures_come_through(
        self,
        front: aiohttp.ClientSession,
        sandbox: Sandbox,
        mark: str,
        status: int,
        code: str,
        tasks: int,
    ) -> None:
        """A failure of the second one is the first one's, by the same word; what was charged for it is booked."""
        got, document, job = await ask(front, prompt=f"A red fox {mark}")

        assert (status, code, tasks) == (got, document["error"]["code"], len(sandbox.tasks))
        if code != "submission_unknown":
            spent = sandbox.charged_credits - sandbox.refunded_credits
            assert (spent / 100, True) == (job["cost"]["usd"], job["cost"]["final"])

    @pytest.mark.parametrize(
        ("mark", "timeout"), [("[[stuck:RUNNING]]", 20), ("[[stuck:THROTTLED]]", 3)]
    )
    async def test_the_deadline_comes_through(
        self, front: aiohttp.ClientSession, sandbox: Sandbox, mark: str, timeout: int
    ) -> None:
        """The second one has all but a second of the time, stops the task, and both say why."""
        status, document, job = await ask(front, prompt=f"A red fox {mark}", timeout=timeout)

        assert (504, "job_timeout", 1) == (status, document["error"]["code"], len(job["attempts"]))
        assert timeout - 1.5 < job["finished_at"] - job["created_at"] <= timeout
        assert ["DELETED"] == [task.status for task in sandbox.tasks.values()]

    async def test_a_wrong_key(self, front: aiohttp.ClientSession, behind: str) -> None:
        """An unknown model at the second one takes the deployment out: 503, and nothing is bought."""
        status, document, _ = await ask(front, size="3x3")

        assert (400, "provider_rejected") == (status, document["error"]["code"])


@pytest.mark.looptime(False)
class TestProcesses:
    """A process that ends while the vendor is at work: the answer is the only trace of what was bought."""

    @pytest.fixture
    async def service(self, vendor: Vendor, tmp_path: Path) -> AsyncIterator[Service]:
        """The service in a process of its own, before a vendor who takes two seconds."""

        async def slowly(request: web.Request) -> web.Response:
            await asyncio.sleep(2)
            return made()(request)  # type: ignore[no-any-return]

        vendor.answers = [slowly]
        (tmp_path / "config.yaml").write_text(
            f"model_list: [{{model_name: image, litellm_params: {{model: openai/flux, api_key: {KEY},"
            f" api_base: '{vendor.url}/v1', output_cost_per_image: 0.04}},"
            " model_info: {mode: image_generation}}]"
        )
        service = Service(
            folder=tmp_path, database=f"sqlite+aiosqlite:///{tmp_path}/jobs.db", runway=vendor.url
        )
        service.command += ["--config", f"{tmp_path}/config.yaml"]
        await service.start()
        yield service
        await service.kill()

    async def begun(self, session: aiohttp.ClientSession, vendor: Vendor) -> str:
        """Ask for an image, and return the job's id when the vendor is at work."""
        job_id = await asked_for(session, "A red fox", model="image")
        async with asyncio.timeout(10):
            async for _ in every(0.05, first_s=0.0):
                if vendor.asked:
                    break
        return job_id

    async def test_a_killed_process_buys_nothing_twice(
        self, service: Service, vendor: Vendor
    ) -> None:
        """The next process finds a submission whose answer nobody has, says so, and does not repeat it."""
        async with caller(service) as session:
            job_id = await self.begun(session, vendor)
        await service.kill()
        await service.start()
        async with caller(service) as session:
            job = await ended(session, job_id)

        assert ("failed", "submission_unknown", 1) == (
            job["status"],
            job["error"]["code"],
            len(vendor.asked),
        )
        assert {"usd": 0.04, "credits": None, "final": False} == job["cost"]

    async def test_a_process_that_is_told_to_stop_waits_for_the_answer(
        self, service: Service, vendor: Vendor
    ) -> None:
        """SIGTERM leaves time for the answer; its image is in the archive when the next process serves it."""
        async with caller(service) as session:
            job_id = await self.begun(session, vendor)
        service.send(signal.SIGTERM)
        await service.gone()
        await service.start()
        async with caller(service) as session:
            job = await ended(session, job_id)
            image = await fetched(session, f"/v1/jobs/{job_id}/images/0")

        assert ("completed", 1, (200, PNG)) == (job["status"], len(vendor.asked), image)
