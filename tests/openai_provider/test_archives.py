"""Where its images are kept, with an archive and without."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.openai_provider.vendor import BASE64, PNG, ask, fetched, metrics_of

from taxiway.server import create_app
from taxiway.server.running import listening
from taxiway.settings import Settings
from taxiway.store.memory import MemoryStore


class TestAnArchiveThatFails:
    """A folder of images that takes none."""

    async def test_the_caller_gets_the_image_all_the_same(
        self,
        client: aiohttp.ClientSession,
        tmp_path: Path,
        log_lines: Callable[[], list[dict[str, Any]]],
    ) -> None:
        """What the archive does not take waits in the spool: paid for, delivered, and said in the log."""
        at = datetime.now(UTC)
        for day in (at, at + timedelta(days=1)):  # in the place of the day's folder there is a file
            (tmp_path / "images" / day.date().isoformat()).touch()
        status, document, job = await ask(client, response_format="b64_json")

        assert (200, BASE64) == (status, document["data"][0]["b64_json"])
        assert (200, PNG) == await fetched(client, f"/v1/jobs/{job['id']}/images/0")
        assert ["archive.failed"] == [
            line["event"] for line in log_lines() if "archive" in line["event"]
        ]


class TestWithoutAnArchive:
    """`artifacts_url: none`: bytes that came with the answer wait an hour for whoever asked, in this process."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """No archive, and no address of one's own."""
        return replace(settings, artifacts_url="none")

    async def test_the_caller_gets_the_bytes(self, client: aiohttp.ClientSession) -> None:
        """Without an address to give, the answer carries the image, as OpenAI's own does; the path works too."""
        status, document, job = await ask(client)
        path = f"/v1/jobs/{job['id']}/images/0"

        assert (200, BASE64, path) == (
            status,
            document["data"][0]["b64_json"],
            document["data"][0]["url"],
        )
        assert path == job["images"][0]["url"]
        assert 'taxiway_images_stored_total{result="stored"} 0.0' in await metrics_of(client)
        assert (200, PNG) == await fetched(client, path)

    async def test_an_address_was_asked_for(self, client: aiohttp.ClientSession) -> None:
        """`response_format: url` gets no bytes."""
        _, document, _ = await ask(client, response_format="url")

        assert document["data"][0]["b64_json"] is None

    async def test_a_stream_brings_it(self, client: aiohttp.ClientSession) -> None:
        """A stream's last event carries the bytes."""
        body = {"model": "image", "prompt": "A red fox", "stream": True}
        async with client.post("/v1/images/generations", json=body) as response:
            events = (await response.text()).split("\n\n")

        assert BASE64 in events[-2]

    async def test_another_process_does_not_have_it(
        self, client: aiohttp.ClientSession, settings: Settings, store: MemoryStore
    ) -> None:
        """After a restart the job is there, and its image is gone: 404 `image_gone`."""
        _, _, job = await ask(client)
        other = create_app(replace(settings, artifacts_url="none"), store=store)
        async with (
            listening(other, host="127.0.0.1", port=0) as url,
            aiohttp.ClientSession(url) as session,
        ):
            status, body = await fetched(session, f"/v1/jobs/{job['id']}/images/0")

        assert 404 == status
        assert b"image_gone" in body
