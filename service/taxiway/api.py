"""Images from Python, without a server: the same runner, over a store in memory.

The asynchronous functions are the real ones; `image_generation` is a shell around `aimage_generation`. Names,
order and defaults of the arguments are those that users of LiteLLM bring along.
"""

import asyncio
import base64
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import aiohttp

from taxiway.accounts import deployment_of
from taxiway.archive.spool import Spool
from taxiway.artifacts import spooled
from taxiway.asking import check_arguments, deadline_s, generation_request
from taxiway.clock import Clock
from taxiway.errors import (
    AuthenticationError,
    ModelNotMappedError,
    ProviderUnavailableError,
    error_of,
)
from taxiway.jobs import GenerationRequest, Image, Job
from taxiway.journal import Journal
from taxiway.protocols import NoInstruments, Provider, no_note
from taxiway.providers import open_provider, open_session
from taxiway.providers.runway_requests import RunwayModel
from taxiway.responses import ImageResponse, cost_of, image_response
from taxiway.routing.dispatcher import Dispatcher
from taxiway.routing.fleet import Fleet
from taxiway.routing.stations import Station
from taxiway.runner import Runner
from taxiway.settings import Deployment, Settings
from taxiway.store.memory import MemoryStore
from taxiway.taking import Taker
from taxiway.topics import Follower
from taxiway.vendors import RUNWAYML, VENDORS
from taxiway.work import Workshop

T = TypeVar("T")

#: How long a cancelled call waits for the provider to confirm that the task was stopped.
_CANCEL_GRACE_S = 10.0

#: A failed download is repeated this often; it never buys the image again.
_DOWNLOAD_TRIES = 3


def image_generation(
    prompt: str,
    model: str | None = None,
    n: int | None = None,
    quality: str | None = None,
    response_format: str | None = None,
    size: str | None = None,
    style: str | None = None,
    user: str | None = None,
    timeout: float | None = 600,
    api_key: str | None = None,
    api_base: str | None = None,
    api_version: str | None = None,
    custom_llm_provider: str | None = None,
    **kwargs: Any,
) -> ImageResponse:
    """Make an image, and wait for it. Works inside a running event loop too, in a loop of its own.

    The arguments and exceptions are those of `aimage_generation`.
    """
    return _run(
        aimage_generation(
            prompt,
            model,
            n,
            quality,
            response_format,
            size,
            style,
            user,
            timeout,
            api_key,
            api_base,
            api_version,
            custom_llm_provider,
            **kwargs,
        )
    )


async def aimage_generation(
    prompt: str,
    model: str | None = None,
    n: int | None = None,
    quality: str | None = None,
    response_format: str | None = None,
    size: str | None = None,
    style: str | None = None,
    user: str | None = None,
    timeout: float | None = 600,
    api_key: str | None = None,
    api_base: str | None = None,
    api_version: str | None = None,
    custom_llm_provider: str | None = None,
    **kwargs: Any,
) -> ImageResponse:
    """Make an image. Cancelling the call cancels the job, at the provider too.

    `timeout` is the deadline of the whole job, in seconds; None stands for 600. `size` is `WxH`. Further
    keywords: `seed`, `reference_images` (`[{"uri", "tag"}]`), `background`, `output_format`, `moderation`,
    `metadata`, `num_retries`, `drop_params`, and the model's own fields by the vendor's names.

    Raises the errors of `taxiway.errors` from `BadRequestError` to `JobTimeoutError`; `AuthenticationError` where
    there is no key.
    """
    deployment = deployment_of(model, api_key, api_base, api_version, custom_llm_provider, kwargs)
    request = generation_request(
        deployment.model_name,
        prompt,
        n=n,
        quality=quality,
        size=size,
        style=style,
        user=user,
        response_format=response_format,
        keywords=kwargs,
    )
    async with _open(deployment, timeout=timeout) as desk:
        job = await desk.make(request)
        unaddressed = any(not image.url for image in job.images)
        with_bytes = response_format == "b64_json" or unaddressed
        images = await desk.fetch(job) if with_bytes else None
        return image_response(
            job, api_base=deployment.api_base, call_id=job.id, base64_images=images
        )


async def follow_image_generation(
    prompt: str,
    model: str | None = None,
    *,
    n: int | None = None,
    quality: str | None = None,
    size: str | None = None,
    timeout: float | None = 600,
    api_key: str | None = None,
    api_base: str | None = None,
    api_version: str | None = None,
    custom_llm_provider: str | None = None,
    **kwargs: Any,
) -> AsyncGenerator[Job, None]:
    """Make an image, and yield the job at once, after each change, and at its end.

    Leaving the iteration cancels the job, at the provider too; `contextlib.aclosing` around it waits until that is
    done. `asyncio.run` waits for it as well, at the end of a program.
    A failed job is the last one yielded, and not raised.
    Raises `BadRequestError` for a request that cannot be honoured.
    """
    deployment = deployment_of(model, api_key, api_base, api_version, custom_llm_provider, kwargs)
    request = generation_request(
        deployment.model_name,
        prompt,
        n=n,
        quality=quality,
        size=size,
        style=None,
        user=None,
        response_format=None,
        keywords=kwargs,
    )
    # Leaving the outer iteration closes the inner one at once, and with it the job.
    async with (
        _open(deployment, timeout=timeout) as desk,
        aclosing(desk.follow(request)) as jobs,
    ):
        async for job in jobs:
            yield job


def completion_cost(
    completion_response: ImageResponse | None = None,
    model: str | None = None,
    *,
    size: str | None = None,
    quality: str | None = None,
    n: int | None = None,
    **_: Any,
) -> float:
    """Return what a response cost, in US dollars; without one, the estimate for such a request.

    Raises `ModelNotMappedError` where the price is not known, and never returns 0 for it; `BadRequestError` that
    names an argument which is not what it must be.
    """
    if completion_response is not None:
        return cost_of(completion_response)
    check_arguments(size=size, quality=quality, n=n)
    deployment = deployment_of(model, None, None, None, None, {})
    if deployment.provider != RUNWAYML.name:
        raise ModelNotMappedError(f"The price of {deployment.model!r} is not known.")
    microusd = RunwayModel(deployment).estimate(size=size, quality=quality, n=1 if n is None else n)
    if microusd is None:
        raise ModelNotMappedError(f"The price of {deployment.model!r} is not known.")
    return microusd / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """An engine for one call."""

    runner: Runner
    journal: Journal
    provider: Provider
    spool: Spool

    async def make(self, request: GenerationRequest) -> Job:
        """Return the completed job. Raises its error if it did not complete."""
        async with aclosing(self.follow(request)) as jobs:
            async for job in jobs:
                last = job
        if last.error is not None:
            error = error_of(
                last.error.code,
                last.error.message,
                job_id=last.id,
                param=last.error.param,
                failure_code=last.error.failure_code,
                model=request.model,
            )
            error.llm_provider = self.runner.settings.deployments[0].provider
            raise error
        return last

    async def follow(self, request: GenerationRequest) -> AsyncGenerator[Job, None]:
        """Yield the job after each change; whoever leaves early cancels it."""
        job = (await self.runner.submit(request)).job
        follower = Follower()
        try:
            async with self.journal.follow(job.id, follower) as topic:
                while not topic.job.final:
                    seen = topic.serial
                    yield topic.job
                    while topic.serial == seen:
                        await follower.wait()
                yield topic.job
        finally:
            await self._settle(job.id)

    async def fetch(self, job: Job) -> list[str]:
        """Return the images in base64. Raises `ProviderUnavailableError` when one cannot be fetched."""
        return [await self._fetch(image) for image in job.images]

    async def _fetch(self, image: Image) -> str:
        if (name := spooled(image.archived or "")) is not None:
            async with self.spool.open(name) as chunks:
                return base64.b64encode(b"".join([chunk async for chunk in chunks])).decode()
        for last in (False,) * (_DOWNLOAD_TRIES - 1) + (True,):
            try:
                async with self.provider.download(image.url) as download:
                    data = b"".join([chunk async for chunk in download.chunks])
            except ProviderUnavailableError:
                if last:
                    raise
                await asyncio.sleep(0.5)
            else:
                return base64.b64encode(data).decode()
        raise AssertionError

    async def _settle(self, job_id: str) -> None:
        if (await self.journal.get(job_id)).final:
            return
        await self.runner.cancel(job_id)
        try:
            async with asyncio.timeout(_CANCEL_GRACE_S):
                await self.journal.ended(job_id)
        except TimeoutError:
            return


@asynccontextmanager
async def _open(deployment: Deployment, *, timeout: float | None) -> AsyncIterator[_Desk]:
    job_timeout_s = deadline_s(timeout)
    if deployment.api_key is None:
        raise AuthenticationError(
            f"{deployment.provider} needs a key: pass api_key, or set "
            f"{' or '.join(VENDORS[deployment.provider].key_variables)}.",
            code="missing_api_key",
        )
    async with _session() as session:
        provider = open_provider(
            deployment, session=session, instruments=NoInstruments(), note=no_note
        )
        clock, store = Clock(), MemoryStore()
        spool = Spool(clock)
        journal = Journal(store, clock=clock, note=no_note)
        settings = Settings(
            deployments=(deployment,),
            job_timeout_s=job_timeout_s,
            num_retries=2 if deployment.num_retries is None else deployment.num_retries,
        )
        fleet = Fleet([Station(deployment=deployment, provider=provider)])
        workshop = Workshop(
            journal=journal,
            fleet=fleet,
            dispatcher=Dispatcher(fleet),
            settings=settings,
            clock=clock,
            instruments=NoInstruments(),
            note=no_note,
            lease_alive=store.lease_alive,
            taker=Taker(None, spool=spool, note=no_note),
            alone=True,
        )
        runner = Runner(workshop, store=store)
        try:
            yield _Desk(runner=runner, journal=journal, provider=provider, spool=spool)
        finally:
            await runner.close()
            await journal.close()
            await spool.close()


@dataclass(slots=True)
class _Shared:
    session: aiohttp.ClientSession
    users: int = 0


#: One session per event loop, shared by all calls under way on it and closed after the last of them.
_SESSIONS: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()


@asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    loop = asyncio.get_running_loop()
    shared = _SESSIONS.get(loop)
    if shared is None:
        shared = _SESSIONS[loop] = _Shared(open_session())
    shared.users += 1
    try:
        yield shared.session
    finally:
        shared.users -= 1
        if not shared.users:
            del _SESSIONS[loop]
            await shared.session.close()


def _run(call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end: here, or in a thread where this thread's loop is already running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(call)
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(asyncio.run(call))
        except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread, whatever it is
            failure.append(error)

    thread = threading.Thread(target=work, name="taxiway", daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
