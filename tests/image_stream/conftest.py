"""The official client, and a way to join the stream of any job."""

import re
from collections.abc import AsyncIterator, Callable

import openai
import pytest
from aiohttp import web

from taxiway.metrics import Metrics
from taxiway.server.frames import Operation
from taxiway.server.image_stream import stream_images
from taxiway.server.keys import JOURNAL


@pytest.fixture
async def sdk(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's own client, as its users make it."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-any") as sdk:
        yield sdk


@pytest.fixture
def counted(metrics: Metrics) -> Callable[[str], dict[str, float]]:
    """Reads the counters of streams that are not zero: the last label's value, and the number."""

    def read(family: str) -> dict[str, float]:
        text = metrics.render(None)[0].decode()
        found = re.findall(
            rf'^taxiway_sse_{family}\{{\w+="(.*)"\}} ([0-9.e+]+)$', text, re.MULTILINE
        )
        return {label: float(value) for label, value in found if float(value)}

    return read


@pytest.fixture
def app(app: web.Application) -> web.Application:
    """The service, and a door to the stream of a job that exists: what joining a request leads to."""

    async def join(request: web.Request) -> web.StreamResponse:
        job = await request.app[JOURNAL].get(request.match_info["id"])
        operation = Operation(request.query.get("operation", Operation.GENERATION))
        return await stream_images(
            request, job, response_format=request.query.get("format"), operation=operation
        )

    app.router.add_get("/join/{id}", join)
    return app
