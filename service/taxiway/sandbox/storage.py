"""The vendor's storage: pictures behind signed URLs, and the form that uploads are posted to.

Neither wants a key. One that comes all the same is recorded as a leak.
"""

import asyncio
import hmac

from aiohttp import BodyPartReader, web

from taxiway.sandbox.delivery import half, reset
from taxiway.sandbox.door import shows_key
from taxiway.sandbox.faultbook import Subject
from taxiway.sandbox.faults import Fault, Route
from taxiway.sandbox.keys import WORLD
from taxiway.sandbox.pictures import CONTENT_TYPES
from taxiway.sandbox.records import Leak
from taxiway.sandbox.tasks import RunwayTask
from taxiway.sandbox.uploads import LARGEST_BYTES, SMALLEST_BYTES, Upload
from taxiway.sandbox.world import World

#: A slow picture comes in this many pieces, one each `_TRICKLE_S`.
_PIECES, _TRICKLE_S = 20, 0.25


def add_storage(app: web.Application) -> None:
    """Put the storage's routes on the application."""
    app.router.add_get("/storage/outputs/{model}/{task}/{name}", output)
    app.router.add_post("/storage/uploads/{id}", form)
    app.router.add_get("/sandbox/elsewhere", elsewhere)


async def output(request: web.Request) -> web.StreamResponse:
    """Hand out a picture to whoever holds its URL."""
    world = request.app[WORLD]
    note_leak(request)
    task = world.tasks.get(request.match_info["task"])
    fault = _strike(world, "output", task)
    if fault is not None and not fault.has_effect:
        return await _through(request, fault, _plain(fault.status or 500))
    response = await _output(request, world, task)
    if fault is not None:
        return await _through(request, fault, response)
    if task is not None and response.status == 200:
        return await _by_outcome(request, task, response)
    return response


async def _output(request: web.Request, world: World, task: RunwayTask | None) -> web.Response:
    token = request.query.get("_jwt", "")
    if not world.signer.good(token, path=request.rel_url.path, date=world.clock.date()):
        return _plain(world.settings.expired_status)
    if task is None or task.deleted_at is not None:
        return _plain(404)
    refusals = {"missing": 404, "forbidden": 403}
    kind = task.outcome.outputs
    if kind in refusals:
        return _plain(refusals[kind])
    if kind == "html":
        return web.Response(
            text="<html><body>Please sign in</body></html>", content_type="text/html"
        )
    index = int(request.match_info["name"].rpartition(".")[0].rpartition("_")[2])
    content = await world.studio.picture(
        task.order, index=index, kind=kind, plain=world.settings.pictures == "plain"
    )
    return web.Response(body=content, content_type=CONTENT_TYPES[task.order.format])


async def _by_outcome(
    request: web.Request, task: RunwayTask, response: web.Response
) -> web.StreamResponse:
    kind = task.outcome.outputs
    content = bytes(response.body) if isinstance(response.body, bytes) else b""
    if kind == "cut":
        return await half(request, response)
    if kind == "truncated":
        response.body = content[: len(content) // 2]
    if kind == "empty_file":
        response.body = b""
    return await _trickle(request, response, content) if kind == "slow" else response


async def _trickle(
    request: web.Request, response: web.Response, content: bytes
) -> web.StreamResponse:
    stream = web.StreamResponse(headers=response.headers)
    stream.content_length = len(content)
    await stream.prepare(request)
    piece = max(1, -(-len(content) // _PIECES))
    for start in range(0, len(content), piece):
        await stream.write(content[start : start + piece])
        await asyncio.sleep(_TRICKLE_S)
    return stream


async def _through(
    request: web.Request, fault: Fault, response: web.Response
) -> web.StreamResponse:
    """Send a file's answer as a fault wants it."""
    if fault.hang:
        await asyncio.Event().wait()
    await asyncio.sleep(fault.delay_s)
    response.headers.update(fault.headers)
    if fault.status is not None:
        response.set_status(fault.status)
    if 300 <= response.status < 400:
        response.headers.setdefault("Location", "/sandbox/elsewhere")
    if fault.body is not None:
        response = web.Response(
            status=response.status, text=f"<html>{response.status}</html>", content_type="text/html"
        )
    if fault.cut == "answer":
        reset(request)
    if fault.truncate and isinstance(response.body, bytes):
        response.body = bytes(response.body)[: len(response.body) // 2]
    return await half(request, response) if fault.cut == "body" else response


async def form(request: web.Request) -> web.StreamResponse:
    """Take a file: every field of the placeholder first, the part `file` last."""
    world = request.app[WORLD]
    note_leak(request)
    fault = _strike(world, "form", None)
    if fault is not None and not fault.has_effect:
        return await _through(request, fault, _plain(fault.status or 500))
    placeholder = world.uploads.find(request.match_info["id"], now=world.clock.now())
    if placeholder is None:
        return _plain(403)
    response = await _store(request, placeholder)
    return await _through(request, fault, response) if fault is not None else response


async def _store(request: web.Request, placeholder: Upload) -> web.Response:
    if not request.content_type.startswith("multipart/"):
        return _plain(400)
    fields: dict[str, str] = {}
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader):
            return _plain(400)
        if part.name != "file":
            fields[part.name or ""] = await part.text()
            continue
        if not _same(fields, placeholder.fields):
            return _plain(403)
        content = await _read(part)
        if not SMALLEST_BYTES <= len(content) <= LARGEST_BYTES:
            return _plain(400)
        placeholder.content = content
        return web.Response(status=204)
    return _plain(400)


async def _read(part: BodyPartReader) -> bytes:
    content = bytearray()
    while (chunk := await part.read_chunk(65_536)) and len(content) <= LARGEST_BYTES:
        content += chunk
    return bytes(content)


def _same(given: dict[str, str], wanted: dict[str, str]) -> bool:
    return all(hmac.compare_digest(given.get(name, ""), value) for name, value in wanted.items())


async def elsewhere(request: web.Request) -> web.Response:
    """Stand for another host, where redirects lead and where no key must follow."""
    note_leak(request)
    return web.Response(text="This is somewhere else.")


def note_leak(request: web.Request) -> None:
    """Record a key that was shown here."""
    if shows_key(request):
        world = request.app[WORLD]
        world.leaks.append(Leak(path=request.rel_url.path, at=world.clock.real()))


def _strike(world: World, route: Route, task: RunwayTask | None) -> Fault | None:
    subject = world.subject(task) if task is not None else Subject()
    return world.faults.strike(route, subject, also=task.faults if task is not None else ())


def _plain(status: int) -> web.Response:
    texts = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
    return web.Response(status=status, text=texts.get(status, f"Error {status}"))
