"""A small vendor that speaks OpenAI's API, and what it answers."""

import asyncio
import base64
import io
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
from PIL import Image

from taxiway.server.keys import RUNNER
from taxiway.settings import Deployment, Secret, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sk-of-the-upstream"


def picture(size: tuple[int, int] = (64, 48)) -> bytes:
    """A PNG."""
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, "PNG")
    return file.getvalue()


PNG = picture()


BASE64 = base64.b64encode(PNG).decode()


class Vendor:
    """Somebody who speaks OpenAI's interface. `answers` are given in turn, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Callable[[web.Request], Any]] = [made()]
        self.asked: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.url = ""

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """Answer `/images/generations`."""
        self.asked.append((dict(request.headers), await request.json()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        response = answer(request)
        return await response if asyncio.iscoroutine(response) else response  # type: ignore[no-any-return]

    @staticmethod
    async def image(_request: web.Request) -> web.Response:
        """Answer with the image behind an address."""
        return web.Response(body=PNG, content_type="image/png")


def made(*images: dict[str, Any], headers: dict[str, str] | None = None, **fields: Any) -> Any:
    """Answer with images; one in base64 unless told otherwise."""
    document = {"created": 1, "data": list(images) or [{"b64_json": BASE64}], **fields}
    return lambda _: web.json_response(document, headers=headers)


def error(status: int, code: str | None = None, *, headers: Any = None, **fields: Any) -> Any:
    """Answer with an error in OpenAI's shape."""
    document = {"error": {"message": "It says no.", "type": None, "code": code, **fields}}
    return lambda _: web.json_response(document, status=status, headers=headers)


def cut(request: web.Request) -> web.Response:
    """Take the request and hang up."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def deployed(vendor: Vendor, **fields: Any) -> Deployment:
    """A deployment at the vendor."""
    given: dict[str, Any] = {
        "id": "other",
        "model_name": "image",
        "provider": "openai",
        "model": "flux",
        "api_key": Secret(KEY),
        "api_base": f"{vendor.url}/v1",
        **fields,
    }
    return Deployment(**given)


async def ask(client: aiohttp.ClientSession, **fields: Any) -> tuple[int, Any, Any]:
    """Ask for an image; return status, body, and the job."""
    body = {"model": "image", "prompt": "A red fox", **fields}
    async with client.post("/v1/images/generations", json=body) as response:
        document, where = await response.json(), response.headers["Content-Location"]
    async with client.get(where) as job:
        return response.status, document, await job.json()


async def fetched(client: aiohttp.ClientSession, path: str) -> tuple[int, bytes]:
    """Return the status and the body behind an address."""
    async with client.get(path) as response:
        return response.status, await response.read()


async def metrics_of(client: aiohttp.ClientSession) -> str:
    """The metrics, as text."""
    async with client.get("/metrics") as response:
        return await response.text()


def app_settings(app: web.Application) -> Settings:
    """The settings in use."""
    return app[RUNNER].settings
