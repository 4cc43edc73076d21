"""What a request may see and ask for, by the key that it shows.

A request with a token or a signed link has no key; what it may see was settled when it was let in.
"""

from collections.abc import Iterable

from aiohttp import web

from taxiway.budgets import check_open
from taxiway.jobs import Job
from taxiway.routing.fleet import Fleet
from taxiway.server.bodies import Asked
from taxiway.server.identity import MASTER, Identity
from taxiway.server.keys import CLOCK, FLEET, GRANT, IDENTITY, JOURNAL, STORE


def identity_of(request: web.Request) -> Identity:
    """Return who asks."""
    identity: Identity = request.get(IDENTITY, MASTER)
    return identity


async def find_job(request: web.Request, job_id: str) -> Job:
    """Return a job as it was last told. Raises `NotFoundError`, also where it is another key's."""
    return identity_of(request).check_job(await request.app[JOURNAL].get(job_id))


async def check_holders(request: web.Request, jobs: Iterable[Job]) -> None:
    """Raise `AuthenticationError` where a token shows a job whose key opens nothing any more."""
    if GRANT not in request:
        return
    app = request.app
    for scope in {job.scope for job in jobs} - {""}:
        account = await app[STORE].get_key(scope)
        if account is not None:
            check_open(account.key, at=app[CLOCK].now())


def check_models(request: web.Request, asked: Asked) -> None:
    """Raise `PermissionDeniedError` where the key may not use the model, or a fallback that it names."""
    identity = identity_of(request)
    if identity.key is None:
        return
    fleet = request.app[FLEET]
    identity.check_models([names_of(asked.generation.model, fleet)], param="model")
    fallbacks = asked.delivery.policy.fallbacks
    identity.check_models([names_of(name, fleet) for name in fallbacks], param="fallbacks")


def names_of(name: str, fleet: Fleet) -> tuple[str, ...]:
    """Return by what a key may be allowed to use a model: its name, the one it stands for, its access groups."""
    groups = (group for each in fleet.serving(name) for group in each.deployment.access_groups)
    return (name, fleet.canonical(name), *groups)
