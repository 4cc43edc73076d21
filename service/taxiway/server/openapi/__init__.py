"""`/openapi.json`: this API in OpenAPI 3.1, put together from what the API itself is made of.

Routes come from the URL map and their sentences from their handlers, bodies from the models that check them,
words from the enums of jobs and events, codes from the classes of errors. Only the shapes of answers are written
down here, and the tests hold every answer against them.
"""

import hashlib
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

import orjson
from aiohttp import web

from taxiway.server.console import Page
from taxiway.server.middleware import Handler
from taxiway.server.openapi import parameters
from taxiway.server.openapi.answers import answer_schemas
from taxiway.server.openapi.bodies import body_schemas
from taxiway.server.openapi.codes import CODES, KINDS
from taxiway.server.openapi.events import event_schemas
from taxiway.server.openapi.operations import OPERATIONS
from taxiway.server.openapi.shapes import Operation
from taxiway.server.openapi.webhooks import webhook_schemas, webhooks
from taxiway.server.openapi.words import ref
from taxiway.settings import Settings

_TAGS = {
    "Images": "Asking for images, in OpenAI's words.",
    "Jobs": "What became of a request: its state, its images, its end.",
    "Events": "Watching jobs over Server-Sent Events, resumable from any event's id.",
    "Webhooks": "Telling other programs of a job's end, by Standard Webhooks.",
    "Models": "What is on offer.",
    "Usage": "What was spent.",
    "Keys": "Virtual keys and their budgets, in LiteLLM's words.",
    "Service": "What operators ask.",
    "Pages": "What people see.",
}

#: What any request may meet, and what those with a key may meet besides.
_ALWAYS = (400, 500)
_WITH_KEY = (401, 503)

#: So many models are named as examples.
_EXAMPLES_MAX = 5


def describe(router: web.UrlDispatcher, settings: Settings) -> dict[str, Any]:
    """Return the description of a service with these routes."""
    names = dict.fromkeys(each.model_name for each in settings.deployments)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Taxiway",
            "version": version("taxiway"),
            "description": "The way onto Runway: images from prompts, with live progress and exact cost.",
        },
        "servers": [{"url": settings.public_url or "/"}],
        "tags": [{"name": name, "description": says} for name, says in _TAGS.items()],
        "paths": _paths(router, settings),
        "webhooks": webhooks(),
        "components": {
            "schemas": {
                **body_schemas(list(names)[:_EXAMPLES_MAX]),
                **answer_schemas(),
                **event_schemas(),
                **webhook_schemas(),
            },
            "responses": dict(_refusals()),
        },
    }
    if settings.master_key is not None:
        document["components"]["securitySchemes"] = _schemes(settings)
    return document


def page(router: web.UrlDispatcher, settings: Settings) -> Page:
    """Return the description as it is sent."""
    body = orjson.dumps(describe(router, settings))
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Page(body=body, content_type="application/json", etag=etag)


def _paths(router: web.UrlDispatcher, settings: Settings) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    first: dict[Handler, str] = {}
    for method, path, handler in _routes(router):
        operation = OPERATIONS.get(handler)
        if operation is None:
            continue
        there = first.setdefault(handler, path)
        document = _document(operation, handler, path, settings)
        if there != path:
            document["description"] = f"The same as `{method} {there}`."
        document["operationId"] = _name(handler, path, alias=there != path)
        paths.setdefault(path, {})[method.lower()] = document
    return paths


def _routes(router: web.UrlDispatcher) -> Iterator[tuple[str, str, Handler]]:
    for route in router.routes():
        if route.method in ("GET", "POST", "PUT", "PATCH", "DELETE") and route.resource is not None:
            yield route.method, route.resource.canonical, route.handler


def _name(handler: Handler, path: str, *, alias: bool) -> str:
    name = handler.__name__
    return f"{name}_{path.strip('/').replace('/', '_').translate(_PLAIN)}" if alias else name


_PLAIN = str.maketrans("-{}", "___")


def _document(
    operation: Operation, handler: Handler, path: str, settings: Settings
) -> dict[str, Any]:
    here = [each for each in operation.parameters if each["in"] != "path" or _in(each, path)]
    if _in(parameters.MODEL_IN_PATH, path):
        here.append(parameters.MODEL_IN_PATH)
    document: dict[str, Any] = {
        "tags": [operation.tag],
        "summary": _sentence(handler),
        "parameters": here,
        "responses": _responses(operation),
    }
    if operation.body is not None:
        document["requestBody"] = {"required": True, "content": operation.body}
    if settings.master_key is not None:
        document["security"] = [] if operation.open else _ways_in(settings, path)
    return document


def _in(parameter: parameters.Parameter, path: str) -> bool:
    return f"{{{parameter['name']}}}" in path


def _sentence(handler: Handler) -> str:
    text = " ".join((handler.__doc__ or "").split())
    return text.partition(". ")[0].rstrip(".")


def _responses(operation: Operation) -> dict[str, Any]:
    found: dict[int, Any] = {
        status: {
            "description": answer.says,
            **({"content": answer.content} if answer.content else {}),
        }
        for status, answer in operation.answers.items()
    }
    refusals = {*_ALWAYS, *operation.errors, *(() if operation.open else _WITH_KEY)}
    for status in refusals - found.keys():
        found[status] = {"$ref": f"#/components/responses/{status}"}
    return {str(status): found[status] for status in sorted(found)}


def _refusals() -> Iterator[tuple[str, Any]]:
    """Yield the refusals by their status, with the codes they may have."""
    for status, kind in KINDS.items():
        codes = ", ".join(f"`{each.code}`" for each in CODES if each.kind.status_code == status)
        headers = {"x-should-retry": _header(["true", "false"])}
        if status in (429, 503):
            headers["Retry-After"] = {"schema": {"type": "integer", "minimum": 1, "maximum": 60}}
        if status == 401:
            headers["WWW-Authenticate"] = _header(["Bearer"])
        yield (
            str(status),
            {
                "description": f"{(kind.__doc__ or '').partition(chr(10))[0]} {codes}",
                "headers": headers,
                "content": {"application/json": {"schema": ref("ErrorBody")}},
            },
        )


def _header(words: Iterable[str]) -> dict[str, Any]:
    return {"schema": {"type": "string", "enum": list(words)}}


def _schemes(settings: Settings) -> dict[str, Any]:
    token = {"type": "apiKey", "in": "query", "name": parameters.TOKEN["name"]}
    if settings.key_header is not None:
        own = {"type": "apiKey", "in": "header", "name": settings.key_header}
        return {settings.key_header: own, "token": token}
    return {
        "bearer": {"type": "http", "scheme": "bearer"},
        **{
            name: {"type": "apiKey", "in": "header", "name": name}
            for name in ("x-litellm-api-key", "x-api-key", "api-key")
        },
        "token": token,
    }


def _ways_in(settings: Settings, path: str) -> list[dict[str, list[str]]]:
    """Return what opens a route: a key in any of its headers, and for events a token."""
    ways = [name for name in _schemes(settings) if name != "token" or path.endswith("/events")]
    return [{name: []} for name in ways]
