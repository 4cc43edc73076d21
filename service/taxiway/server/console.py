"""The console and the API's page: files of the package, and a policy that lets them do nothing but their work.

They hold nothing that a key should protect, so they are open: what they show, they ask for with the key.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from aiohttp import web

from taxiway.errors import NotFoundError

_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

#: No script but ours, no style in the markup, no other host, no page around it; texts never become markup.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        # Asked for every time, sent again only when a new release has changed it.
        "Cache-Control": "no-cache",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One file, as it is sent."""

    body: bytes
    content_type: str
    etag: str

    def answer(self, request: web.Request) -> web.Response:
        """Return the file, or 304 for a browser that has it."""
        headers = {**HEADERS, "ETag": self.etag}
        if self.etag in re.split(r"\s*,\s*|W/", request.headers.get("If-None-Match", "")):
            return web.Response(status=304, headers=headers)
        return web.Response(
            body=self.body, content_type=self.content_type, charset="utf-8", headers=headers
        )


#: Makes the description of the API.
_DESCRIPTION: web.AppKey[Callable[[], Page]] = web.AppKey("description")


async def console(request: web.Request) -> web.Response:
    """Answer with the console: a page to ask for images and to watch them come."""
    return pages()["index.html"].answer(request)


async def openapi(request: web.Request) -> web.Response:
    """Answer with the description of this API, in OpenAPI 3.1."""
    return request.app[_DESCRIPTION]().answer(request)


async def docs(request: web.Request) -> web.Response:
    """Answer with a page that shows what `/openapi.json` says."""
    return pages()["docs.html"].answer(request)


async def asset(request: web.Request) -> web.Response:
    """Answer with a file that these pages are made of. Raises `NotFoundError`."""
    page = pages().get(request.match_info["name"])
    if page is None:
        raise NotFoundError("There is nothing at this address.")
    return page.answer(request)


def put_description(app: web.Application, make: Callable[[], Page]) -> None:
    """Give an application what makes the description of its API, for when it is first asked for."""
    made: Callable[[], Page] = cache(make)
    app[_DESCRIPTION] = made


@cache
def pages() -> Mapping[str, Page]:
    """Return every file of the console by its name. They are read once, and small."""
    found = {}
    for file in (files("taxiway") / "console").iterdir():
        content_type = _TYPES.get("." + file.name.rpartition(".")[2])
        if content_type is not None:
            body = file.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            found[file.name] = Page(body=body, content_type=content_type, etag=etag)
    return MappingProxyType(found)


ROUTES = (
    web.get("/", console),
    web.get("/openapi.json", openapi),
    web.get("/docs", docs),
    web.get("/console/{name}", asset),
)

#: What is open to everybody.
OPEN = frozenset(route.path for route in ROUTES)
