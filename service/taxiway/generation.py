"""One generation, from wherever it stands to its end: `Generation.run` is the function to read first.

What it knows is in the job, and every step is recorded before the next is taken. So it can be stopped at any
`await` and be taken up by another process: truth lives at the provider and in the store.

Two rules keep the money safe. A submission is recorded before it leaves, and repeated only on proof that it
bought nothing. A poll that fails proves nothing, so it is repeated until the deadline.
"""

import asyncio

from taxiway.facts import Stopped, Stored
from taxiway.jobs import Job, JobError, JobStatus, Phase
from taxiway.making import lose_orphans, make, together
from taxiway.routing.plans import Plans
from taxiway.stopping import stop_tasks
from taxiway.work import Work, Workshop


class Generation:
    """The life of one job. Owned by the runner, which keeps the task that `run` is running in."""

    def __init__(self, job_id: str, workshop: Workshop, *, plans: Plans | None = None) -> None:
        """`plans` is what is known already of what the job's request comes to."""
        self.job_id = job_id
        self.cancelled = False
        """Set before the task is cancelled because somebody wants the job to stop; it stops its tasks then."""
        self.lost = False
        """Set when another process owns the job."""
        self._shop = workshop
        self._work = Work(job_id, workshop, plans=plans)

    @property
    def job(self) -> Job:
        """The job as its owner knows it."""
        return self._work.job

    async def run(self) -> Job:
        """Take the job to its end. Being cancelled from outside loses nothing: the next owner goes on.

        Where there is none, it stops what it has bought.
        """
        try:
            return await self._run()
        finally:
            await self._work.finish_submissions()
            self._work.close()

    async def _run(self) -> Job:
        await lose_orphans(self._work)
        if self.job.phase is not Phase.STORING:
            await self._make_in_time()
        if self.job.phase is Phase.STORING:
            # Everything is paid for: neither the deadline nor a cancellation stops this.
            keeper = self._shop.keeper
            stored = await keeper.keep(self.job) if keeper else Stored(images=())
            await self._work.record(stored)
        return self.job

    async def _make_in_time(self) -> None:
        try:
            async with asyncio.timeout(max(0.0, self.job.deadline_at - self._shop.clock.now())):
                if self.job.cancel_requested_at is None:
                    await self._make_parts()
                else:
                    await self._stop(JobStatus.CANCELLED, _CANCELLED)
        except TimeoutError:
            await self._stop(JobStatus.FAILED, self._deadline_error())
        except asyncio.CancelledError:
            if not self.cancelled and not self._shop.alone:
                raise
            self.cancelled = True
            _take_back_cancellation()
            await self._stop(JobStatus.CANCELLED, _CANCELLED)

    async def _make_parts(self) -> None:
        parts = range(len(self.job.parts))
        if len(parts) == 1:
            await make(self._work, 0)
        else:
            await together(*(make(self._work, part) for part in parts))

    async def _stop(self, status: JobStatus, error: JobError) -> None:
        """End the job from outside. Whatever its tasks have finished meanwhile is kept."""
        await self._work.finish_submissions()
        await stop_tasks(self._work)
        if self.job.phase is not Phase.STORING:
            stopped = Stopped(status=status, error=error, keep=self._shop.keeper is not None)
            await self._work.record(stopped)

    def _deadline_error(self) -> JobError:
        if any(attempt.upstream_id for attempt in self.job.attempts):
            return _TIMEOUT
        return _NEVER_TAKEN


def _take_back_cancellation() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


_CANCELLED = JobError(code="job_cancelled", message="The job was cancelled.")
_TIMEOUT = JobError(
    code="job_timeout", message="The image was not ready before the deadline; the task was stopped."
)
_NEVER_TAKEN = JobError(
    code="no_deployment_available",
    message="The provider did not take the request before the deadline; nothing was bought.",
)
