"""Keeping: every finished image goes into the archive before its job ends, and nothing is ever bought for it."""

import asyncio
import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from taxiway.cadence import every
from taxiway.jobs import Job
from taxiway.logs import Logs
from taxiway.metrics import Metrics
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server import create_app
from taxiway.server.keys import JOURNAL
from taxiway.server.running import listening
from taxiway.settings import Settings
from taxiway.store.memory import MemoryStore
from taxiway.store.shelf import Shelf

MODEL = "runwayml/gen4_image"
PROMPT = "a lighthouse in the fog"
GENERATIONS = "/v1/images/generations"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the images are kept."""
    return tmp_path / "images"


@pytest.fixture
def settings(settings: Settings, folder: Path) -> Settings:
    """A service that keeps its images."""
    return replace(settings, artifacts_url=folder.as_uri())


@pytest.fixture
def ended(client: aiohttp.ClientSession, store: MemoryStore) -> Callable[..., Any]:
    """Ask for an image, wait for it, and return the stored job."""

    async def ask(prompt: str = PROMPT, **fields: Any) -> Job:
        body = {"model": MODEL, "prompt": prompt, **fields}
        async with client.post(GENERATIONS, json=body) as response:
            job = await store.get(response.headers["x-taxiway-job-id"])
        assert job is not None
        return job

    return ask


def names(folder: Path) -> list[str]:
    """Return the names of the files in the archive, without their folders."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def fetched(sandbox: Sandbox) -> list[int | None]:
    """Return how the requests for pictures were answered."""
    return [r.status for r in sandbox.requests if r.path.startswith("/storage/outputs/")]


async def fetching(sandbox: Sandbox) -> None:
    """Return when a picture is being fetched."""
    async for _ in every(0.1):
        if fetched(sandbox):
            return


Ended = Callable[..., Any]


# What is stored


async def test_an_image_is_stored_before_its_job_completes(ended: Ended, folder: Path) -> None:
    """The job goes through `storing`; then the bytes are in the archive, and described as they are."""
    job = await ended(size="1280x720")

    (image,) = job.images
    content = (folder / image.archived).read_bytes()
    assert [moment.phase for moment in job.timeline][-2:] == ["storing", None]
    assert image.archived.endswith(f"/{job.id}/0.png")
    assert Image.open(io.BytesIO(content)).size == (1280, 720)
    assert (image.size, image.content_type, image.length_bytes, image.digest, image.keep) == (
        *("1280x720", "image/png", len(content)),
        *(hashlib.sha256(content).hexdigest(), False),
    )


async def test_the_bytes_are_those_of_the_provider(ended: Ended, folder: Path) -> None:
    """What is stored is what Runway made, to the byte: it carries signed claims of its origin."""
    job = await ended()
    async with aiohttp.ClientSession() as session, session.get(job.images[0].url) as response:
        original = await response.read()

    assert (folder / job.images[0].archived).read_bytes() == original


async def test_every_image_of_a_job_is_stored(ended: Ended, folder: Path) -> None:
    """Three images, from one task or from three, are three files."""
    several = await ended(n=3)
    at_once = await ended(n=3, model="runwayml/gpt_image_2", size="1024x1024")

    assert [len(job.attempts) for job in (several, at_once)] == [3, 1]
    for job in (several, at_once):
        assert [i.archived.rpartition("/")[2] for i in job.images] == ["0.png", "1.png", "2.png"]
    assert len(names(folder)) == 6


async def test_a_vector_image_is_stored_as_one(ended: Ended) -> None:
    """An SVG is told by its bytes, and its size is the one it names."""
    job = await ended(model="runwayml/recraft_v4_1_vector", size="1024x1024")

    (image,) = job.images
    assert (image.content_type, image.size, image.archived[-6:]) == (
        *("image/svg+xml", "1024x1024", "/0.svg"),
    )


@pytest.mark.parametrize(
    ("mark", "size", "content_type"),
    [
        pytest.param("outputs:wrong_size", None, "image/png", id="size"),
        pytest.param("outputs:wrong_type", "1280x720", None, id="type"),
    ],
)
async def test_the_bytes_have_the_last_word(
    ended: Ended, folder: Path, mark: str, size: str | None, content_type: str | None
) -> None:
    """Where Runway makes another size or type than was asked, the job says what the picture is."""
    job = await ended(f"{PROMPT} [[{mark}]]", size="1280x720")

    (image,) = job.images
    with Image.open(folder / image.archived) as picture:
        found = (f"{picture.width}x{picture.height}", Image.MIME[str(picture.format)])
    assert (image.size, image.content_type) == found
    assert (image.size == "1280x720") is (size is not None)
    assert (image.content_type == "image/png") is (content_type is not None)
    assert job.size == image.size


# What goes wrong


@pytest.mark.parametrize(
    ("fault", "answers"),
    [
        pytest.param("output:500 times=2", [500, 500, 200], id="500"),
        pytest.param("output:cut times=1", [None, 200], id="connection reset"),
        pytest.param("output:half times=1", [None, 200], id="broken off"),
        pytest.param("output:truncated times=1", [200, 200], id="truncated, and well framed"),
        pytest.param("output:html times=1", [200, 200], id="a page in its place"),
        pytest.param("output:empty times=1", [200, 200], id="empty"),
        pytest.param("output:slow delay=20 times=1", [200], id="slow"),
        pytest.param("output:401 times=1", [401, 200], id="address expired, 401"),
        pytest.param("output:403 times=1", [403, 200], id="address expired, 403"),
    ],
)
async def test_a_download_that_fails_is_repeated_and_buys_nothing(
    ended: Ended, sandbox: Sandbox, folder: Path, fault: str, answers: list[int | None]
) -> None:
    """Whatever happens to a download, it is begun again; the image is bought once, and stored whole."""
    sandbox.faults.add(fault)
    job = await ended()

    assert fetched(sandbox) == answers
    assert len(sandbox.tasks) == 1
    with Image.open(folder / job.images[0].archived) as picture:
        picture.load()
    assert names(folder) == ["0.png"]


async def test_a_refused_address_is_replaced_by_a_fresh_one(ended: Ended, sandbox: Sandbox) -> None:
    """On a 4xx the task is read once more: it gives an address that is good."""
    sandbox.faults.add("output:403 times=1")
    await ended()

    paths = [r.path.split("/")[1] for r in sandbox.requests][-3:]
    assert paths == ["storage", "v1", "storage"]


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param("outputs:missing", id="404"),
        pytest.param("outputs:truncated", id="truncated"),
        pytest.param("outputs:html", id="a page"),
        pytest.param("outputs:empty_file", id="empty"),
    ],
)
async def test_an_image_that_cannot_be_fetched_stays_with_the_provider(
    ended: Ended,
    sandbox: Sandbox,
    folder: Path,
    metrics: Metrics,
    log_lines: Callable[[], list[dict[str, Any]]],
    mark: str,
) -> None:
    """After four tries the job completes with Runway's address, and says so in the log and in a number."""
    job = await ended(f"{PROMPT} [[{mark}]]")

    (image,) = job.images
    (line,) = [line for line in log_lines() if line["event"] == "image.not_stored"]
    page = metrics.render(None)[0].decode()
    assert (job.status, image.archived, image.keep) == ("completed", None, False)
    assert image.url.startswith(sandbox.url)
    assert (line["level"], line["job_id"], line["image"]) == ("error", job.id, 0)
    assert 'taxiway_images_stored_total{result="failed"} 1.0' in page
    assert len(sandbox.tasks) == 1
    assert names(folder) == []


@pytest.mark.usefixtures("at_noon")  # what is in the way is the folder of one day
async def test_an_archive_that_fails_loses_no_image(
    ended: Ended, sandbox: Sandbox, folder: Path
) -> None:
    """While nothing can be written, the job completes with Runway's address."""
    before = await ended()
    day = folder / str(before.images[0].archived).partition("/")[0]
    day.rename(folder / "elsewhere")
    day.write_text("in the way")
    job = await ended()

    assert (job.status, job.images[0].archived) == ("completed", None)
    assert job.images[0].url.startswith(sandbox.url)
    assert len(sandbox.tasks) == 2


async def test_one_image_that_fails_does_not_keep_the_others(
    ended: Ended, sandbox: Sandbox, folder: Path
) -> None:
    """Of two images one cannot be fetched: the other one is stored."""
    sandbox.will("outputs:missing", "ok")
    job = await ended(n=2)

    assert [image.archived is None for image in job.images].count(True) == 1
    assert len(names(folder)) == 1


async def test_a_half_written_file_is_never_seen(
    client: aiohttp.ClientSession, folder: Path, sandbox: Sandbox
) -> None:
    """While an image trickles in, there is no file by its name."""
    body = {"model": MODEL, "prompt": f"{PROMPT} [[outputs:slow]]"}
    asking = asyncio.create_task(client.post(GENERATIONS, json=body))
    await fetching(sandbox)
    await asyncio.sleep(2)
    meanwhile = names(folder)
    async with await asking as response:
        status = response.status

    assert [name.startswith(".0.png.") for name in meanwhile] == [True]
    assert (status, names(folder)) == (200, ["0.png"])


# Who ends when


async def test_the_deadline_does_not_stop_the_storing(ended: Ended, sandbox: Sandbox) -> None:
    """An image that is ready just before the deadline is stored after it."""
    sandbox.faults.add("output:slow delay=20 times=1")
    job = await ended(timeout=10)

    assert (job.status, job.images[0].archived is not None) == ("completed", True)
    assert job.finished_at > job.deadline_at


async def test_images_that_are_there_at_the_deadline_are_stored(
    ended: Ended, sandbox: Sandbox
) -> None:
    """Of two tasks one is late: it is stopped, and the other one's image is delivered, and stored."""
    sandbox.will("ok", "slow:60")
    job = await ended(n=2, timeout=12)

    assert (job.status, len(job.images)) == ("completed", 1)
    assert job.images[0].archived is not None
    assert [a.status for a in job.attempts] == ["completed", "cancelled"]


async def test_a_cancellation_comes_too_late_for_what_is_being_stored(
    client: aiohttp.ClientSession, sandbox: Sandbox, store: MemoryStore
) -> None:
    """Once everything is made and paid for, stopping saves nothing: the job completes."""
    sandbox.faults.add("output:slow delay=10 times=1")
    headers = {"Prefer": "respond-async"}
    body = {"model": MODEL, "prompt": PROMPT}
    async with client.post(GENERATIONS, json=body, headers=headers) as response:
        job_id = (await response.json())["id"]
    await fetching(sandbox)
    async with client.post(f"/v1/jobs/{job_id}/cancel") as response:
        cancelled = await response.json()
    async with client.get(f"/v1/jobs/{job_id}/events") as response:
        await response.read()
    job = await store.get(job_id)

    assert job is not None
    assert cancelled["phase"] == "storing"
    assert (job.status, job.images[0].archived is not None) == ("completed", True)
    assert [r.method for r in sandbox.requests].count("DELETE") == 0


@pytest.mark.looptime(False)
class TestAfterARestart:
    """Two processes, one after the other, in real time."""

    @pytest.fixture
    def sandbox_settings(self) -> SandboxSettings:
        """A Runway that needs half a second."""
        return SandboxSettings(duration_s=0.4, queue_s=0.1, pictures="plain")

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with a look every fifth of a second."""
        return replace(settings, poll_interval_s=0.2)

    async def test_storing_goes_on_in_the_next_process(
        self,
        settings: Settings,
        sandbox: Sandbox,
        logs: Logs,
        folder: Path,
    ) -> None:
        """A process that stops while it stores leaves the job to the next one, which buys nothing."""
        sandbox.faults.add("output:hang times=1")
        shelf = Shelf()
        stores = [MemoryStore(shelf=shelf, lease_s=15.0) for _ in range(2)]
        first, second = (create_app(settings, store=store, logs=logs) for store in stores)
        async with (
            listening(first, host="127.0.0.1", port=0) as url,
            aiohttp.ClientSession(url) as client,
        ):
            headers = {"Prefer": "respond-async"}
            body = {"model": MODEL, "prompt": PROMPT}
            async with client.post(GENERATIONS, json=body, headers=headers) as response:
                job_id = (await response.json())["id"]
            await fetching(sandbox)
        await stores[0].close()
        async with listening(second, host="127.0.0.1", port=0):
            job = await second[JOURNAL].ended(job_id)

        assert (job.status, job.images[0].archived is not None) == ("completed", True)
        assert len(sandbox.tasks) == 1
        assert names(folder) == ["0.png"]


class TestWithoutAnArchive:
    """A service that keeps nothing."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, without an archive."""
        return replace(settings, artifacts_url="none")

    async def test_nothing_is_fetched(self, ended: Ended, sandbox: Sandbox) -> None:
        """The job completes with Runway's word for its images, and without the phase."""
        job = await ended()

        assert "storing" not in [moment.phase for moment in job.timeline]
        assert (job.images[0].archived, job.images[0].length_bytes) == (None, None)
        assert fetched(sandbox) == []
