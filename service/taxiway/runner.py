"""The owner of every job's task: accepts, claims, cancels, and lets go."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from taxiway.errors import (
    BadRequestError,
    LeaseLostError,
    NotReadyError,
    RateLimitError,
    UnprocessableEntityError,
)
from taxiway.facts import CancelRequested, Stopped
from taxiway.generation import Generation
from taxiway.jobs import (
    GenerationRequest,
    Job,
    JobError,
    JobStatus,
    Phase,
    Plan,
    Policy,
    new_job_id,
)
from taxiway.origins import NOBODY, Existing, Origin
from taxiway.positions import Positions
from taxiway.protocols import JobStore
from taxiway.purses import Purses
from taxiway.routing.fleet import Fleet
from taxiway.routing.plans import Plans, admit, at_most
from taxiway.routing.stations import Station
from taxiway.settings import Settings
from taxiway.transitions import accept
from taxiway.work import Workshop

#: A repeat that an SDK made by itself belongs to a request of the last quarter of an hour: its time limit of ten
#: minutes, and some slack.
RETRY_WINDOW_S = 900.0

#: Learns the limits of the keys whose jobs are taken over.
Know = Callable[[Iterable[str]], Awaitable[None]]

_BROKEN = JobError(code="internal_server_error", message="Something went wrong inside the service.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What became of a request: its job, and whether an earlier request had asked for it already."""

    job: Job
    replayed: bool


class Runner:
    """One asyncio task per job owned by this process, each held here by name until it is done."""

    def __init__(
        self,
        workshop: Workshop,
        *,
        store: JobStore,
        know: Know | None = None,
        left: Callable[[str], None] = lambda _: None,
        purses: Purses | None = None,
    ) -> None:
        self._workshop = workshop
        self._journal = workshop.journal
        self._store = store
        self._know = know
        self._left = left
        self._purses = purses
        self._generations: dict[str, Generation] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        """Of jobs that were lost and claimed back before they had let go of their last submission."""
        self._acceptances: set[asyncio.Task[Job | Existing]] = set()
        self._positions = Positions(workshop.dispatcher, workshop.journal)
        self._closing = False
        self._context = contextvars.Context()
        """That of all jobs: empty, and nobody sets anything in it."""

    @property
    def settings(self) -> Settings:
        """The settings that new jobs begin with."""
        return self._workshop.settings

    @property
    def unfinished(self) -> int:
        """How many jobs this process is working on."""
        return len(self._tasks)

    def plan(self, request: GenerationRequest, *, policy: Policy | None = None) -> Plan:
        """Return what a request comes to, without asking for it.

        Raises `NotFoundError` for an unknown model and `BadRequestError` naming the field at fault.
        """
        return self._admitted(Plans(request), policy or Policy())

    def _admitted(self, plans: Plans, policy: Policy) -> Plan:
        stations = self._fleet.group(plans.request.model)
        for name in policy.fallbacks:
            if not self._fleet.serving(name):
                raise BadRequestError(
                    f"`fallbacks` names {name[:80]!r}, which does not exist; GET /v1/models lists what there is.",
                    param="fallbacks",
                )
        return admit(plans, stations, tags=policy.tags, routing=self._fleet.routing)

    def _at_most(self, plan: Plan, plans: Plans, policy: Policy) -> Plan:
        """Return a plan with what it comes to at the dearest deployment that may make it."""
        return at_most(
            plan,
            plans,
            stations=self._fleet.group(plans.request.model),
            tags=policy.tags,
            routing=self._fleet.routing,
        )

    async def submit(
        self,
        request: GenerationRequest,
        *,
        timeout_s: float | None = None,
        policy: Policy | None = None,
        origin: Origin = NOBODY,
        retry_count: int = 0,
        streamed: bool = False,
        context: Mapping[str, str] | None = None,
    ) -> Submission:
        """Accept a request, or find the job it was accepted as before: by its key, or as an SDK's own retry.

        When this returns, the job is stored and its task runs. `timeout_s` shortens the deadline of the
        deployments, and never lengthens it. `context` may hold `request_id`, `trace_id`,
        `parent_span_id` and `trace_flags` to find the job by.

        Raises what `plan` raises, `UnprocessableEntityError` for a key that stands for another request,
        `RateLimitError` (`queue_full`), and `NotReadyError` (`draining`, `store_unavailable`): in each case
        nothing was bought.
        """
        plans = Plans(request)
        plan = self._admitted(plans, policy or Policy())
        earlier = await self._earlier(origin, retry_count)
        if earlier is not None:
            return Submission(job=earlier, replayed=True)
        self._refuse_if_unable()
        if origin.scope:
            plan = self._at_most(plan, plans, policy or Policy())
        now = self._workshop.clock.now()
        stations = self._fleet.group(request.model)
        longest_s = max(_timeout_s(s, self.settings, streamed=streamed) for s in stations)
        job = accept(
            request,
            plan,
            id=new_job_id(now),
            at=now,
            deadline_at=now + min(timeout_s or longest_s, longest_s),
            policy=policy,
            scope=origin.scope,
            **(context or {}),
        )
        accepted = await self._paid_for(job, plans, origin)
        if isinstance(accepted, Existing):
            return Submission(job=await self._joined(accepted, origin), replayed=True)
        return Submission(job=accepted, replayed=False)

    async def claim(self, *, cause: str, released: bool = True, expired: bool = True) -> int:
        """Take over every unfinished job that nobody owns; see `JobStore.claim`. Returns how many there were."""
        taken = 0
        while not self._closing and (
            jobs := await self._store.claim(released=released, expired=expired)
        ):
            if self._know is not None:
                await self._know(job.scope for job in jobs)
            for job in jobs:
                self._journal.adopt(job)
                self._start(job)
                self._workshop.note(
                    "job.recovered",
                    job_id=job.id,
                    trace_id=job.trace_id,
                    cause=cause,
                    phase=job.phase,
                )
                self._workshop.instruments.recovered(job, cause)
            taken += len(jobs)
        return taken

    def lose(self, job_ids: Iterable[str]) -> None:
        """Let go of jobs that another process has claimed."""
        for job_id in job_ids:
            generation = self._generations.get(job_id)
            if generation is not None:
                generation.lost = True
                # At once: the job may be a while in letting go of its last submission.
                self._journal.release(job_id)
                self._tasks[job_id].cancel()

    async def cancel(self, job_id: str) -> Job:
        """Ask a job to stop, wherever it runs, and at the provider. Returns the job as it stands.

        Asking twice is fine. Raises `NotFoundError`, and `StoreError` where the job's owner cannot be told.
        """
        generation = self._generations.get(job_id)
        if generation is not None and not generation.lost:
            with suppress(LeaseLostError):  # by now it is somebody else's to stop
                return await self._cancel(generation)
        job = await self._journal.get(job_id)
        if not job.final:
            await self._store.request_cancel(job_id)
        return job

    def owns(self, job_id: str) -> bool:
        """Return whether this process is working on a job."""
        generation = self._generations.get(job_id)
        return generation is not None and not generation.lost

    def reload(self, settings: Settings) -> None:
        """Let new jobs begin with other settings. A job that is under way goes on with those it began with."""
        self._workshop = replace(self._workshop, settings=settings)
        self._workshop.dispatcher.refresh()

    async def close(self) -> None:
        """Let go of every job. Submissions under way are finished and recorded; polling simply ends.

        A store that fails keeps nobody here for long: see `Journal.leave_soon`.
        """
        self._closing = True
        self._journal.leave_soon()
        self._positions.close()
        if self._acceptances:
            await asyncio.wait(self._acceptances)
        tasks = [*self._tasks.values(), *self._ending.values()]
        for task in [*self._leaving(), *self._ending.values()]:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._workshop.dispatcher.close()

    def _leaving(self) -> Iterator[asyncio.Task[None]]:
        """Yield the tasks that may be interrupted: not those that stop theirs where nobody comes after them."""
        for job_id, task in self._tasks.items():
            if not (self._workshop.alone and self._generations[job_id].cancelled):
                yield task

    @property
    def _fleet(self) -> Fleet:
        return self._workshop.fleet

    async def _earlier(self, origin: Origin, retry_count: int) -> Job | None:
        if origin.key_hash is not None:
            existing = await self._store.known(origin.key_hash, scope=origin.scope)
            return None if existing is None else await self._joined(existing, origin)
        if retry_count < 1 or origin.fingerprint is None:
            return None
        job_id = await self._store.join_retry(
            scope=origin.scope,
            fingerprint=origin.fingerprint,
            count=retry_count,
            since=self._workshop.clock.now() - RETRY_WINDOW_S,
        )
        return None if job_id is None else await self._journal.get(job_id)

    async def _joined(self, existing: Existing, origin: Origin) -> Job:
        if existing.fingerprint != origin.fingerprint:
            raise UnprocessableEntityError(
                "This Idempotency-Key was used with another request; a new request needs a new key.",
                code="idempotency_conflict",
                param="Idempotency-Key",
            )
        return await self._journal.get(existing.job_id)

    def _refuse_if_unable(self) -> None:
        if self._closing:
            raise NotReadyError(
                "The service is shutting down; nothing was bought.", retry_after_s=2
            )
        limit = self._workshop.settings.max_queued_jobs
        if self.unfinished >= limit:
            raise RateLimitError(
                f"{limit} jobs are unfinished here, which is the limit; nothing was bought.",
                code="queue_full",
                retry_after_s=10,
            )

    async def _paid_for(self, job: Job, plans: Plans, origin: Origin) -> Job | Existing:
        """Accept a job that the service's budget covers. Raises `BudgetExceededError` where it does not."""
        if self._purses is None:
            return await self._uninterrupted(job, plans, origin)
        self._purses.pledge(job.id, job.microusd)
        accepted: Job | Existing | None = None
        try:
            accepted = await self._uninterrupted(job, plans, origin)
        finally:
            if not isinstance(accepted, Job):
                self._purses.free(job.id)
        return accepted

    async def _uninterrupted(self, job: Job, plans: Plans, origin: Origin) -> Job | Existing:
        # A caller who leaves in the middle must not leave a stored job without a task.
        acceptance = asyncio.create_task(self._accept(job, plans, origin), name=f"accept:{job.id}")
        self._acceptances.add(acceptance)
        acceptance.add_done_callback(self._acceptances.discard)
        return await asyncio.shield(acceptance)

    async def _accept(self, job: Job, plans: Plans, origin: Origin) -> Job | Existing:
        accepted = await self._journal.accept(job, origin=origin)
        if isinstance(accepted, Job):
            self._start(accepted, plans)
        return accepted

    async def _cancel(self, generation: Generation) -> Job:
        job_id = generation.job_id
        head = self._journal.head(job_id)
        # What is being stored is made and paid for: there is nothing left to stop.
        if generation.cancelled or head.final or head.phase is Phase.STORING:
            return await self._journal.get(job_id)
        generation.cancelled = True
        job = await self._journal.record(job_id, CancelRequested())
        task = self._tasks.get(job_id)
        if task is not None:
            task.cancel()
        return job

    def _start(self, job: Job, plans: Plans | None = None) -> None:
        generation = Generation(job.id, self._workshop, plans=plans)
        if job.id in self._tasks:
            self._ending.setdefault(job.id, self._tasks[job.id])
        # A job outlives the request that asked for it, so it must not inherit that request's context.
        task = asyncio.create_task(
            self._own(generation), name=f"job:{job.id}", context=self._context
        )
        self._generations[job.id] = generation
        self._tasks[job.id] = task
        task.add_done_callback(lambda done: self._ended(job, generation, done))

    async def _own(self, generation: Generation) -> None:
        try:
            while ending := self._ending.get(generation.job_id):
                # The answer it waits for tells what was bought, and is recorded for the job's new life.
                await asyncio.wait({ending})
            await generation.run()
        except LeaseLostError:
            generation.lost = True
        except Exception:  # noqa: BLE001 - a bug ends one job, says so, and harms no other
            self._workshop.note("job.broken", job_id=generation.job_id, exc_info=True)
            with suppress(LeaseLostError):
                await self._journal.record(
                    generation.job_id, Stopped(status=JobStatus.FAILED, error=_BROKEN)
                )

    def _ended(self, job: Job, generation: Generation, task: asyncio.Task[None]) -> None:
        if generation.lost and not self._journal.gave_up(job.id):
            self._workshop.note("job.lease_lost", job_id=job.id, trace_id=job.trace_id)
            self._workshop.instruments.lease_lost(job)
        if self._ending.get(job.id) is task:
            del self._ending[job.id]
        if self._generations.get(job.id) is not generation:
            return
        del self._generations[job.id], self._tasks[job.id]
        goes_on = generation.cancelled or not self._workshop.alone
        if task.cancelled() and not self._closing and not generation.lost and goes_on:
            # Cancelled before its first step, or while it was stopping: it goes on from what is recorded.
            self._start(job)
            return
        self._left(job.id)
        self._journal.release(job.id)


def _timeout_s(station: Station, settings: Settings, *, streamed: bool) -> float:
    own = station.deployment
    streaming_s = own.stream_timeout_s if streamed else None
    return streaming_s or own.timeout_s or settings.job_timeout_s
