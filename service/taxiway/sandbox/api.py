"""The vendor's routes under `/v1`."""

from functools import partial
from typing import Any

import orjson
from aiohttp import web

from taxiway.sandbox import answers
from taxiway.sandbox.answers import Answer
from taxiway.sandbox.assets import inspect
from taxiway.sandbox.delivery import deliver, respond
from taxiway.sandbox.door import refused
from taxiway.sandbox.faultbook import Subject
from taxiway.sandbox.faults import Fault, Outcome, Route, Step
from taxiway.sandbox.keys import RECORD, WORLD
from taxiway.sandbox.records import shortened
from taxiway.sandbox.tasks import RunwayTask
from taxiway.sandbox.uploads import upload_issues
from taxiway.sandbox.validation import check_body, read_order
from taxiway.sandbox.views import created_view, organization_view, task_view, usage_view
from taxiway.sandbox.world import World

#: A body that is not JSON.
_UNREADABLE = object()


def add_api(app: web.Application) -> None:
    """Put the vendor's routes on the application."""
    app.router.add_post("/v1/text_to_image", create)
    app.router.add_get("/v1/tasks/{id}", poll, allow_head=False)
    app.router.add_delete("/v1/tasks/{id}", delete)
    app.router.add_post("/v1/uploads", upload)
    app.router.add_get("/v1/organization", organization, allow_head=False)
    app.router.add_post("/v1/organization/usage", usage)


async def create(request: web.Request) -> web.StreamResponse:
    """Start a task."""
    world, body = request.app[WORLD], await _body(request)
    known = body if isinstance(body, dict) else {}
    prompt, model = known.get("promptText"), known.get("model")
    prompt = prompt if isinstance(prompt, str) else ""
    step = world.faults.take_step() or Step()
    scripted = world.faults.rules_of(step)
    outcome, marked = world.faults.marked(prompt)
    subject = Subject(model=model if isinstance(model, str) else None, prompt=prompt)
    fault = world.faults.strike("create", subject, also=(*scripted, *marked))
    rules = [*scripted, *world.faults.fresh(marked)]
    planned = step.outcome or outcome or (fault.outcome if fault else None)
    act = partial(_create, request, body, planned, subject, rules)
    return await deliver(request, fault=fault, act=act)


async def _create(
    request: web.Request, body: object, planned: Outcome | None, subject: Subject, rules: list[Any]
) -> Answer:
    world = request.app[WORLD]
    settings = world.settings
    turned_away = refused(request, settings=settings)
    if turned_away is not None:
        return turned_away
    if settings.require_on_behalf_of and "X-Runway-On-Behalf-Of" not in request.headers:
        return answers.on_behalf_of_missing()
    if body is _UNREADABLE:
        return answers.not_json()
    issues = check_body(body, models=world.models, settings=settings)
    if issues or not isinstance(body, dict):
        return answers.invalid(issues)
    seen = await inspect(body, settings=settings, uploads=world.uploads, now=world.clock.now())
    if seen.issues:
        return answers.invalid(seen.issues)
    order = read_order(body, model=world.models[body["model"]], size=seen.first_size)
    outcome = planned or world.faults.outcome(subject) or Outcome()
    made = world.create(order, outcome=outcome, rules=rules)
    return Answer(body=created_view(made)) if isinstance(made, RunwayTask) else made


async def poll(request: web.Request) -> web.StreamResponse:
    """Read a task."""
    world, task_id = request.app[WORLD], request.match_info["id"]
    task = world.tasks.get(task_id)
    if task is not None:
        task.seen(world.clock.real())
    fault = _strike(world, "poll", task)
    if fault is None:
        return respond(_poll(request, task_id))
    return await deliver(request, fault=fault, act=_later(partial(_poll, request, task_id)))


def _poll(request: web.Request, task_id: str) -> Answer:
    world = request.app[WORLD]
    turned_away = refused(request, settings=world.settings)
    if turned_away is not None:
        return turned_away
    now = world.settle()
    task = world.find(task_id, now=now)
    if task is None:
        return answers.no_task()
    return Answer(body=task_view(task, world=world, now=now, base=_base(request)))


async def delete(request: web.Request) -> web.StreamResponse:
    """Cancel or delete a task."""
    world, task_id = request.app[WORLD], request.match_info["id"]
    fault = _strike(world, "delete", world.tasks.get(task_id))
    return await deliver(request, fault=fault, act=_later(partial(_delete, request, task_id)))


def _delete(request: web.Request, task_id: str) -> Answer:
    world = request.app[WORLD]
    turned_away = refused(request, settings=world.settings)
    if turned_away is not None:
        return turned_away
    now = world.settle()
    task = world.find(task_id, now=now)
    if task is None:
        return answers.no_task()
    world.delete(task, now=now)
    return Answer(status=204)


async def upload(request: web.Request) -> web.StreamResponse:
    """Give out a placeholder for a file."""
    body = await _body(request)
    fault = _strike(request.app[WORLD], "upload", None)
    return await deliver(request, fault=fault, act=_later(partial(_upload, request, body)))


def _upload(request: web.Request, body: object) -> Answer:
    world = request.app[WORLD]
    turned_away = refused(request, settings=world.settings)
    if turned_away is not None:
        return turned_away
    if body is _UNREADABLE:
        return answers.not_json()
    issues = upload_issues(body)
    if issues or not isinstance(body, dict):
        return answers.invalid(issues)
    placeholder = world.uploads.open(body["filename"], now=world.clock.now())
    return Answer(
        body={
            "uploadUrl": f"{_base(request)}/storage/uploads/{placeholder.id}",
            "fields": placeholder.fields,
            "runwayUri": placeholder.uri,
        }
    )


async def organization(request: web.Request) -> web.StreamResponse:
    """Tell limits and balance."""
    world = request.app[WORLD]

    def act() -> Answer:
        turned_away = refused(request, settings=world.settings)
        return turned_away or Answer(body=organization_view(world))

    return await deliver(request, fault=_strike(world, "organization", None), act=_later(act))


async def usage(request: web.Request) -> web.StreamResponse:
    """Tell credits by day and model."""
    world, body = request.app[WORLD], await _body(request)
    fault = _strike(world, "usage", None)
    return await deliver(request, fault=fault, act=_later(partial(_usage, request, body)))


def _usage(request: web.Request, body: object) -> Answer:
    world = request.app[WORLD]
    turned_away = refused(request, settings=world.settings)
    if turned_away is not None:
        return turned_away
    if not isinstance(body, dict):
        return answers.not_json()
    try:
        return Answer(body=usage_view(world, body=body))
    except ValueError as error:
        return answers.refusal(400, str(error), doc=True)


def _strike(world: World, route: Route, task: RunwayTask | None) -> Fault | None:
    also = task.faults if task is not None else ()
    if not also and not len(world.faults):
        return None
    return world.faults.strike(route, world.subject(task), also=also)


def _later(act: Any) -> Any:
    async def run() -> Answer:
        answer: Answer = act()
        return answer

    return run


def _base(request: web.Request) -> str:
    public = request.app[WORLD].settings.public_url
    return public.rstrip("/") if public else f"{request.scheme}://{request.host}"


async def _body(request: web.Request) -> object:
    """Return the decoded body. Like Express, read nothing that is not declared as JSON."""
    raw = await request.read()
    if not raw or request.content_type != "application/json":
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _UNREADABLE
    request[RECORD].body = shortened(body)
    return body
