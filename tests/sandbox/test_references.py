"""Reference images: what the sandbox fetches, measures and refuses."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from tests.sandbox.callers import ABSENT, BODY, REFERENCE, Caller, Start
from tests.sandbox.issues import invalid, said
from tests.sandbox.references import data_uri, png

from taxiway.sandbox.models import load_models

IDEOGRAM_RATIOS = list(load_models()["ideogram_4_5"].ratios)
IDEOGRAM_EDIT = {"model": "ideogram_4_5", "ratio": ABSENT, "referenceImages": [REFERENCE]}


@pytest.fixture
async def images(start: Start) -> AsyncIterator[Caller]:
    """A sandbox that fetches references, from a server that stands for https://images.example."""

    async def wide(_request: web.Request) -> web.Response:
        return web.Response(body=png(900, 300), content_type="image/png")

    async def square(_request: web.Request) -> web.Response:
        return web.Response(body=png(64, 64), content_type="image/png")

    async def huge(_request: web.Request) -> web.Response:
        return web.Response(body=bytes(17 * 1024 * 1024), content_type="image/png")

    async def text(_request: web.Request) -> web.Response:
        return web.Response(text="not a picture")

    app = web.Application()
    app.router.add_get("/wide.png", wide)
    app.router.add_get("/square.png", square)
    app.router.add_get("/huge.png", huge)
    app.router.add_get("/text.png", text)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    mirror = f"http://127.0.0.1:{runner.addresses[0][1]}"
    _, caller = await start(
        fetch_references=True, reference_mirrors={"https://images.example": mirror}
    )
    yield caller
    await runner.cleanup()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        pytest.param(
            "https://images.example/none.png",
            'Failed to fetch asset. Received HTTP response code "404".',
            id="not there",
        ),
        pytest.param(
            "https://images.example/text.png", 'Unsupported asset type "text/plain".', id="no image"
        ),
        pytest.param(
            "https://images.example/wide.png",
            "Invalid asset aspect ratio. width / height ratio must be at most 2. Got 3.",
            id="too wide",
        ),
        pytest.param(
            data_uri(png(60, 130)),
            "Invalid asset aspect ratio. width / height ratio must be at least 0.5. Got 0.462.",
            id="too tall",
        ),
        pytest.param(
            "https://images.example/huge.png", "Asset size exceeds 16.0MB", id="more than 16 MB"
        ),
        pytest.param(
            "https://unreachable.invalid/a.png", "Failed to fetch asset.", id="no such host"
        ),
        pytest.param("data:image/png;base64", "Invalid data URI.", id="no comma"),
        pytest.param(
            "https://127.0.0.1/a.png",
            "Failed to fetch asset. Use a domain name, not an IP address.",
            id="no domain name",
        ),
        pytest.param(
            data_uri(b"GIF89a", "image/gif"), 'Unsupported asset type "image/gif".', id="gif"
        ),
        pytest.param("data:image/png;base64,@@@", "Invalid data URI.", id="not base64"),
        pytest.param(
            "runway://" + "x" * 20,
            "Failed to fetch asset. The upload does not exist or has expired.",
            id="no such upload",
        ),
    ],
)
async def test_a_reference_that_cannot_be_used_is_a_400(
    images: Caller, uri: str, message: str
) -> None:
    """References are fetched at creation; a bad one is named by its place and costs nothing."""
    body = BODY | {"referenceImages": [{"uri": uri}]}
    answer = await images.ask("POST", "/v1/text_to_image", json=body)

    assert answer == invalid(said(message, "referenceImages", 0, "uri"))


async def test_a_good_reference_is_taken(images: Caller) -> None:
    """A square PNG by URL is what every model likes."""
    assert await images.create(referenceImages=[{"uri": "https://images.example/square.png"}])


async def test_what_cannot_be_measured_is_let_through(images: Caller) -> None:
    """The sandbox judges the size of pictures it can read, and no others."""
    for uri in ("data:image/png,plain%20text", data_uri(b"no picture")):
        assert await images.create(referenceImages=[{"uri": uri}])
