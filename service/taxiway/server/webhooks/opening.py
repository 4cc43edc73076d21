"""The post office within the life of the service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import orjson
from aiohttp import web

from taxiway.deliveries import Delivery
from taxiway.jobs import Job
from taxiway.server.documents import Address, job_document
from taxiway.server.keys import (
    CLOCK,
    LINKS,
    LOGS,
    METRICS,
    OFFICE,
    SETTINGS,
    STORE,
    WATCH,
    WEBHOOKS,
)
from taxiway.server.webhooks.guard import Guard
from taxiway.server.webhooks.office import Office
from taxiway.server.webhooks.sending import Sender


@asynccontextmanager
async def office(app: web.Application) -> AsyncIterator[None]:
    """Tell receivers while the context lasts. It comes after the `watch` that runs its task."""
    store, webhooks, address = app[STORE], app[WEBHOOKS], app[LINKS].url

    async def envelope(delivery: Delivery) -> tuple[bytes, list[str]] | None:
        job = await store.get(delivery.job_id)
        if job is None:
            return None
        return letter(job, address=address), [*webhooks.secrets_of(delivery.endpoint)]

    guard = Guard(app[SETTINGS].webhook_networks)
    async with (
        Sender(guard, now=app[CLOCK].now) as sender,
        Office(
            store.outbox,
            sender,
            envelope=envelope,
            now=app[CLOCK].now,
            metrics=app[METRICS],
            note=app[LOGS].note,
        ) as app[OFFICE],
    ):
        app[WEBHOOKS].wake = app[OFFICE].look
        async with app[WATCH].running("webhooks", app[OFFICE].run()):
            yield


def letter(job: Job, *, address: Address) -> bytes:
    """Return what a receiver is told of a job that has ended, in the shape that Standard Webhooks advises."""
    at = datetime.fromtimestamp(job.finished_at or job.created_at, UTC)
    return orjson.dumps(
        {
            "type": f"job.{job.status}",
            "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "data": job_document(job, address=address),
        }
    )
