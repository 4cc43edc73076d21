"""The examples under `docs/examples`: each is run as it stands, against a service that asks for a key."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.browsers import CHROMIUM, FLAGS
from tests.ports import free_port

from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.settings import Secret, Settings

pytestmark = pytest.mark.looptime(False)

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
KEY = "sk-of-the-examples"

#: Where the examples look for the service if nobody tells them.
DEFAULT = "http://127.0.0.1:4000"


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway that needs a second."""
    return SandboxSettings(duration_s=0.9, queue_s=0.1, pictures="plain")


@pytest.fixture
def page_port() -> int:
    """Where the example of a page is served."""
    return free_port()


@pytest.fixture
def settings(settings: Settings, page_port: int) -> Settings:
    """The settings with a master key, which let the page of the examples in; a look every fifth of a second."""
    return replace(
        settings,
        aliases={"gen4_image": "runwayml/gen4_image"},
        master_key=Secret(KEY),
        poll_interval_s=0.2,
        cors_origins=(f"http://127.0.0.1:{page_port}",),
    )


def environ(url: str) -> dict[str, str]:
    """The variables that an example is run with."""
    kept = {name: text for name, text in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return kept | {"TAXIWAY_URL": url, "TAXIWAY_KEY": KEY}


async def run(*command: str, url: str, folder: Path, **more: str) -> list[str]:
    """Run an example in a folder, and return the lines that it prints."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environ(url) | more,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == 0, out.decode() + err.decode()
    return out.decode().splitlines()


def looks_at(path: Path) -> tuple[int, int]:
    """Return the size of a picture; nothing else can be opened."""
    with Image.open(path) as picture:
        picture.load()
        return picture.size


def test_every_example_is_told_of() -> None:
    """The page of the examples names each of them."""
    told = (EXAMPLES / "README.md").read_text()
    files = [path.relative_to(EXAMPLES) for path in EXAMPLES.rglob("*") if path.is_file()]

    assert [
        str(path) for path in files if path.name != "README.md" and f"({path})" not in told
    ] == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl(url: str, tmp_path: Path, sandbox: Sandbox) -> None:
    """It waits, watches, comes back with a file, and has an image made from another one."""
    said = await run("sh", str(EXAMPLES / "curl.sh"), url=url, folder=tmp_path)

    events = [line for line in said if line.startswith("event: ")]
    assert {
        *("event: image_generation.progress", "event: image_generation.completed"),
        *("event: job.in_progress", "event: job.completed"),
    } <= set(events)
    assert (1920, 1080) == looks_at(tmp_path / "fox.png")
    assert [0, 0, 0, 1] == _references(sandbox)


async def test_the_python_sdk(url: str, tmp_path: Path, sandbox: Sandbox) -> None:
    """OpenAI's client saves an image, follows another one's progress, and edits the first."""
    said = await run(sys.executable, str(EXAMPLES / "openai_python.py"), url=url, folder=tmp_path)

    _is_the_tale_of_a_fox(said, tmp_path, sandbox)


async def test_the_node_sdk(url: str, node_folder: Path, sandbox: Sandbox) -> None:
    """OpenAI's client for Node does the same."""
    shutil.copy(EXAMPLES / "openai_node.mjs", node_folder)
    said = await run("node", "openai_node.mjs", url=url, folder=node_folder)

    _is_the_tale_of_a_fox(said, node_folder, sandbox)


def _is_the_tale_of_a_fox(said: list[str], folder: Path, sandbox: Sandbox) -> None:
    assert "fox.png 1920x1080 80000" == said[0]
    assert {"queued 0", "second.png"} <= set(said)
    assert any(line.startswith("running ") for line in said)
    assert said[-1].startswith(f"{sandbox.url}/")
    assert [(1920, 1080)] * 2 == [looks_at(folder / name) for name in ("fox.png", "second.png")]
    assert [0, 0, 1] == _references(sandbox)


def _references(sandbox: Sandbox) -> list[int]:
    """Return how many reference images each request to Runway had."""
    sent = [request for request in sandbox.requests if request.path == "/v1/text_to_image"]
    return [len(request.body.get("referenceImages", [])) for request in sent]


async def _litellm(url: str, folder: Path) -> list[str]:
    if find_spec("litellm") is None:
        pytest.skip("litellm is not installed")
    config = (EXAMPLES / "litellm.yaml").read_text()
    assert DEFAULT in config
    (folder / "litellm.yaml").write_text(config.replace(DEFAULT, url))
    example = str(EXAMPLES / "litellm_router.py")
    # Its list of prices would be fetched from elsewhere.
    more = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return await run(sys.executable, example, url=url, folder=folder, **more)


async def test_litellm_in_front(url: str, tmp_path: Path, sandbox: Sandbox) -> None:
    """LiteLLM's own router, with the configuration that its proxy takes, has its image from Taxiway."""
    said = await _litellm(url, tmp_path)

    assert said[-1].startswith(f"{sandbox.url}/")
    assert 1 == len(sandbox.tasks)


async def test_litellm_in_front_does_not_buy_twice(
    url: str, tmp_path: Path, sandbox: Sandbox
) -> None:
    """A submission whose answer was lost is not repeated by LiteLLM either."""
    sandbox.will("create:cut")
    with pytest.raises(AssertionError, match="it was not submitted again"):
        await _litellm(url, tmp_path)

    assert [0] == _references(sandbox)


@asynccontextmanager
async def serving_the_page(url: str, port: int) -> AsyncIterator[str]:
    """Serve the example of a page while the context lasts."""
    process = await asyncio.create_subprocess_exec(
        *("node", str(EXAMPLES / "web" / "server.mjs")),
        env=environ(url) | {"PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            yield (await process.stdout.readline()).decode().strip()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@asynccontextmanager
async def a_page() -> AsyncIterator[Any]:
    """Lend a page of a browser."""
    playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
    async with playwright.async_playwright() as library:
        browser = await library.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        page.set_default_timeout(20_000)
        yield page
        await browser.close()


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node here")
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
@pytest.mark.parametrize(
    ("prompt", "end"),
    [
        pytest.param("A red fox in the snow", "completed", id="an image"),
        pytest.param("A fox [[fail:SAFETY.INPUT.TEXT]]", "moderation", id="a refusal"),
    ],
)
async def test_a_page_with_event_source(url: str, page_port: int, prompt: str, end: str) -> None:
    """A page sees an image come, or hears why it does not; the key stays with the page's own server."""
    sent: list[Any] = []
    faults: list[str] = []
    async with serving_the_page(url, page_port) as address, a_page() as page:
        page.on("request", lambda request: sent.append(request))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text))
        await page.goto(address)
        await page.get_by_label("What it shows").fill(prompt)
        await page.get_by_role("button", name="Ask").click()
        await page.get_by_text("running", exact=True).wait_for()
        await page.get_by_role("status").filter(has_text=end).wait_for()
        if end == "completed":
            picture = page.get_by_role("img", name=prompt)
            await picture.wait_for()
            await page.wait_for_function("document.images[0].naturalWidth === 1920")
        headers = [await request.all_headers() for request in sent]

    assert [] == faults
    assert any(each.url.startswith(f"{url}/v1/jobs/job_") for each in sent)
    assert KEY not in str([each.url for each in sent]) + str(headers)
