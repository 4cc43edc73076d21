"""The sandbox's own routes, under `/sandbox`: look, set, break, start afresh.

GET    /sandbox/state               totals: tasks, polls, smallest gap, creates by prompt, money, leaks
GET    /sandbox/tasks[/{id}]        the tasks, newest first; ?limit=
GET    /sandbox/requests            the requests, oldest first; ?limit=
GET    /sandbox/settings            the settings; POST changes some: {"balance": 0, "concurrency": 2}
GET    /sandbox/faults              the faults in force; POST adds one, DELETE removes all or /{id}
POST   /sandbox/script              the next creates: {"steps": ["fail:INTERNAL", "ok"]}
POST   /sandbox/reset               start afresh, on the same socket
GET    /sandbox/notation            how faults are written
GET    /                            all this, for a person
"""

from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import orjson
from aiohttp import web

from taxiway.sandbox import marks
from taxiway.sandbox.coerce import build
from taxiway.sandbox.faultbook import Rule
from taxiway.sandbox.faults import Fault
from taxiway.sandbox.keys import WORLD
from taxiway.sandbox.tasks import RunwayTask
from taxiway.sandbox.world import World


def add_control(app: web.Application) -> None:
    """Put the control routes on the application."""
    router = app.router
    router.add_get("/", page)
    router.add_get("/sandbox/notation", notation)
    router.add_get("/sandbox/state", state)
    router.add_get("/sandbox/tasks", tasks)
    router.add_get("/sandbox/tasks/{id}", task)
    router.add_get("/sandbox/requests", requests)
    router.add_get("/sandbox/settings", settings)
    router.add_post("/sandbox/settings", change)
    router.add_get("/sandbox/faults", faults)
    router.add_post("/sandbox/faults", add_fault)
    router.add_delete("/sandbox/faults", clear_faults)
    router.add_delete("/sandbox/faults/{id:[0-9]+}", remove_fault)
    router.add_post("/sandbox/script", script)
    router.add_post("/sandbox/reset", reset)


async def page(_request: web.Request) -> web.Response:
    """Describe the sandbox to a person."""
    text = (files("taxiway.sandbox") / "page.html").read_text(encoding="utf-8")
    return web.Response(text=text, content_type="text/html")


async def notation(_request: web.Request) -> web.Response:
    """Explain how faults are written."""
    return web.Response(text=marks.__doc__)


async def state(request: web.Request) -> web.Response:
    """Tell the totals."""
    return _json(summary(request.app[WORLD]))


async def tasks(request: web.Request) -> web.Response:
    """List the tasks, newest first; `?limit=` so many."""
    world = request.app[WORLD]
    world.settle()
    limit = _whole(request, "limit", otherwise=100)
    latest = list(world.tasks.values())[::-1][:limit]
    return _json({"tasks": [task_json(each) for each in latest]})


async def task(request: web.Request) -> web.Response:
    """Tell all about one task."""
    found = request.app[WORLD].tasks.get(request.match_info["id"])
    return _json(task_json(found)) if found else _wrong("There is no such task.", status=404)


async def requests(request: web.Request) -> web.Response:
    """List the requests to the vendor's routes, oldest first; `?limit=` the latest so many."""
    world = request.app[WORLD]
    limit = _whole(request, "limit", otherwise=1_000)
    latest = list(world.log)[-limit:] if limit else []
    return _json({"total": world.log.total, "requests": [each.as_json() for each in latest]})


async def settings(request: web.Request) -> web.Response:
    """Tell the settings as they are now."""
    return _json(asdict(request.app[WORLD].settings))


async def change(request: web.Request) -> web.Response:
    """Change settings: a JSON object of those that change."""
    request.app[WORLD].change(**await _object(request))
    return await settings(request)


async def faults(request: web.Request) -> web.Response:
    """List the faults in force and how often each has struck."""
    return _json({"faults": [_rule(rule) for rule in request.app[WORLD].faults]})


async def add_fault(request: web.Request) -> web.Response:
    """Put a fault in force: `{"fault": "poll:502 p=0.2"}`, or an object with the fields of `Fault`."""
    body = await _object(request)
    fault = body["fault"] if set(body) == {"fault"} else build(Fault, body)
    if not isinstance(fault, str | Fault):
        return _wrong("fault takes a text.")
    return _json({"id": request.app[WORLD].faults.add(fault)}, status=201)


async def clear_faults(request: web.Request) -> web.Response:
    """Take every fault out of force, and the script with them."""
    request.app[WORLD].faults.clear()
    return web.Response(status=204)


async def remove_fault(request: web.Request) -> web.Response:
    """Take one fault out of force."""
    found = request.app[WORLD].faults.remove(int(request.match_info["id"]))
    return web.Response(status=204) if found else _wrong("There is no such fault.", status=404)


async def script(request: web.Request) -> web.Response:
    """Script the next creates: `{"steps": ["fail:INTERNAL", "ok"]}`."""
    steps = (await _object(request)).get("steps")
    if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
        return _wrong("steps takes a list of texts.")
    request.app[WORLD].faults.will(*steps)
    return web.Response(status=204)


async def reset(request: web.Request) -> web.Response:
    """Start afresh: no tasks, no log, the settings and faults of the start."""
    request.app[WORLD].reset()
    return web.Response(status=204)


def summary(world: World) -> dict[str, Any]:
    """Return the totals that tests and people ask for."""
    world.settle()
    statuses: dict[str, int] = {}
    gaps = []
    polls = 0
    for each in world.tasks.values():
        statuses[each.status] = statuses.get(each.status, 0) + 1
        polls += each.polls
        if each.smallest_gap_s is not None:
            gaps.append(each.smallest_gap_s)
    ledger = world.ledger
    return {
        "tasks": len(world.tasks),
        "statuses": statuses,
        "polls": polls,
        "smallest_poll_gap_s": min(gaps, default=None),
        "creates_by_prompt": dict(world.creates_by_prompt),
        "requests": world.log.total,
        "open_connections": world.open_connections(),
        "balance": ledger.balance,
        "charged_credits": ledger.charged,
        "refunded_credits": ledger.refunded,
        "leaks": [asdict(leak) for leak in world.leaks],
    }


def task_json(found: RunwayTask) -> dict[str, Any]:
    """Return everything that is known of a task."""
    return {
        "id": found.id,
        "status": found.status,
        "status_when_deleted": found.status_when_deleted,
        "model": found.model,
        "prompt": found.prompt,
        "ratio": found.ratio,
        "outputs": found.order.outputs,
        "created_date": found.created_date,
        "charged": found.charged,
        "refunded": found.refunded,
        "polls": found.polls,
        "smallest_gap_s": found.smallest_gap_s,
        "outcome": asdict(found.outcome),
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {"id": rule.id, "met": rule.met, "struck": rule.struck, **asdict(rule.fault)}


def _whole(request: web.Request, name: str, *, otherwise: int) -> int:
    text = request.query.get(name)
    if text is None:
        return otherwise
    if not text.isdecimal():
        message = f"{name} takes a whole number, not {text!r}."
        raise ValueError(message)
    return int(text)


async def _object(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    body = orjson.loads(raw) if raw else {}
    if isinstance(body, dict):
        return body
    raise ValueError("The body takes a JSON object.")


def _json(body: Mapping[str, Any], *, status: int = 200) -> web.Response:
    payload = orjson.dumps(body, option=orjson.OPT_INDENT_2)
    return web.Response(status=status, body=payload, content_type="application/json")


def _wrong(message: str, *, status: int = 400) -> web.Response:
    return _json({"error": message}, status=status)
