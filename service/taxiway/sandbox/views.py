"""A task and an account as the vendor shows them: these keys, and no others."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from taxiway.sandbox.clock import timestamp
from taxiway.sandbox.links import slug
from taxiway.sandbox.marks import without_marks
from taxiway.sandbox.money import final_cost, whole
from taxiway.sandbox.settings import limit_for
from taxiway.sandbox.tasks import ACTIVE, RunwayTask
from taxiway.sandbox.world import World

_LONGEST_USAGE_DAYS = 90
_USAGE_DAYS = 30

_TEXTS: Mapping[str, str] = {
    "SAFETY.INPUT": "The input was flagged by content moderation.",
    "SAFETY.OUTPUT": "The generated content was flagged by content moderation.",
    "INPUT_PREPROCESSING.SAFETY": "The prompt was flagged by content moderation.",
    "INTERNAL.BAD_OUTPUT": "The generation did not meet our quality standards.",
    "ASSET.INVALID": "An input asset does not meet the requirements.",
    "THIRD_PARTY.UNAVAILABLE": "The model is temporarily unavailable.",
}


def created_view(task: RunwayTask) -> dict[str, Any]:
    """Return the answer to a create."""
    return {"id": task.id, "estimatedCost": {"credits": task.estimate}}


def task_view(task: RunwayTask, *, world: World, now: float, base: str) -> dict[str, Any]:
    """Return a task as a GET shows it. `base` is where its pictures' URLs begin."""
    status = task.status_at(now)
    view: dict[str, Any] = {
        "id": task.id,
        "createdAt": timestamp(task.created_date),
        "status": status,
    }
    if status == "RUNNING":
        progress = task.progress_at(now)
        if progress is not None:
            view["progress"] = whole(progress)
    elif status == "SUCCEEDED":
        view |= _output(task, world=world, base=base)
    elif status == "FAILED":
        view |= _failure(task)
    if status in ACTIVE:
        view["estimatedCost"] = {"credits": task.estimate}
    elif task.outcome.cost != "absent":
        view["cost"] = {"credits": final_cost(task, settings=world.settings)}
    return view


def output_path(task: RunwayTask, index: int) -> str:
    """Return where a picture is fetched."""
    extension = {"jpeg": "jpg"}.get(task.order.format, task.order.format)
    name = f"{slug(without_marks(task.prompt))}_{index}.{extension}"
    return f"/storage/outputs/{task.model}/{task.id}/{name}"


def _output(task: RunwayTask, *, world: World, base: str) -> dict[str, Any]:
    kind, count = task.outcome.outputs, task.order.outputs
    if kind == "absent":
        return {}
    if kind == "null":
        return {"output": None}
    if kind == "none":
        return {"output": []}
    if kind == "fewer":
        count = max(1, count - 1)
    life_s = -1.0 if kind == "expired" else world.clock.shorten(world.settings.url_ttl_s)
    expires = world.clock.date() + life_s
    urls = []
    for index in range(count):
        path = output_path(task, index)
        urls.append(f"{base}{path}?_jwt={world.signer.sign(path, expires=expires)}")
    return {"output": urls}


def _failure(task: RunwayTask) -> dict[str, Any]:
    code = task.outcome.fail or ""
    known = [text for prefix, text in _TEXTS.items() if code.startswith(prefix)]
    text = task.outcome.failure or next(iter(known), "An unexpected error occurred.")
    if code == "absent":
        return {"failure": text}
    return {"failure": text, "failureCode": None if code == "null" else code}


def organization_view(world: World) -> dict[str, Any]:
    """Return the account: limits, balance, and what was made in the last 24 h."""
    now, settings = world.settle(), world.settings
    return {
        "creditBalance": world.ledger.balance,
        "tier": {
            "maxMonthlyCreditSpend": settings.monthly_spend,
            "models": {
                model: {
                    "maxConcurrentGenerations": limit_for(model, limit=settings.concurrency),
                    "maxDailyGenerations": limit_for(model, limit=settings.daily_quota),
                }
                for model in world.models
            },
        },
        "usage": {
            "models": {
                model: {"dailyGenerations": world.ledger.made_today(model, now=now)}
                for model in world.models
            }
        },
    }


def usage_view(world: World, *, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return net credits by day and model. Raises `ValueError` for dates that do not fit."""
    world.settle()
    today = datetime.fromtimestamp(world.clock.date(), UTC).date()
    before = _date(body.get("beforeDate")) or today + timedelta(days=1)
    first = _date(body.get("startDate")) or before - timedelta(days=_USAGE_DAYS)
    if not timedelta(0) < before - first <= timedelta(days=_LONGEST_USAGE_DAYS):
        message = f"The range must be from 1 to {_LONGEST_USAGE_DAYS} days"
        raise ValueError(message)
    days = world.ledger.usage(first=first.isoformat(), before=before.isoformat())
    models = {model for _, by_model in days for model in by_model}
    return {
        "results": [
            {
                "date": day,
                "usedCredits": [
                    {"model": model, "amount": amount} for model, amount in by_model.items()
                ],
            }
            for day, by_model in days
        ],
        "models": [model for model in world.models if model in models],
    }


def _date(text: object) -> date | None:
    return None if text is None else date.fromisoformat(str(text))
