"""A service whose provider is that vendor."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from tests.openai_provider.vendor import Vendor, deployed

from taxiway.server.running import listening
from taxiway.settings import Settings


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    """A vendor on a socket of its own."""
    vendor, app = Vendor(), web.Application()
    app.router.add_post("/v1/images/generations", vendor.generate)
    app.router.add_get("/image.png", vendor.image)
    async with listening(app, host="127.0.0.1", port=0) as url:
        vendor.url = url
        yield vendor


@pytest.fixture
def settings(settings: Settings, vendor: Vendor, tmp_path: Path) -> Settings:
    """A service with the vendor's deployment under `image`, four cents an image, and an archive."""
    return replace(
        settings,
        deployments=(*settings.deployments, deployed(vendor, price_microusd=40_000)),
        artifacts_url=f"file://{tmp_path}/images",
    )
