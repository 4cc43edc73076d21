"""The seams: what the engine expects of a provider, a store and an observer.

Concrete parts are chosen in two places only: `server/lifecycle.py` and `api.py`.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from taxiway.deliveries import Endpoint, Outbox
from taxiway.events import Event
from taxiway.facts import Failed, Made, Report, Submitted
from taxiway.jobs import Attempt, GenerationRequest, Job, JobStatus, Phase, Plan
from taxiway.key_store import KeyStore
from taxiway.ledger import Grouping, Usage
from taxiway.origins import NOBODY, Existing, Origin
from taxiway.signals import Signal

#: How many jobs one `claim` returns at most.
CLAIM_MAX = 500


class Provider(Protocol):
    """One vendor's model behind one deployment, translated into our words.

    Raises nothing but exceptions of `taxiway.errors`.
    """

    def card(self) -> "ModelCard":
        """Return what a caller may want to know of the model before asking."""
        ...

    def plan(self, request: GenerationRequest) -> Plan:
        """Return what the request comes to on this model, without asking anybody.

        Raises `BadRequestError` naming the field that the model cannot honour.
        """
        ...

    async def prepare(self, request: GenerationRequest) -> GenerationRequest:
        """Return the request in the form that `submit` takes, its files uploaded. Buys nothing.

        Raises `SubmissionRefusedError` where that cannot be done, for now or at all.
        """
        ...

    async def submit(self, job: Job, attempt: Attempt) -> Submitted | Made | Failed:
        """Buy one task for the attempt's part of the job, whose request is prepared.

        Called at most once per recorded `Submitting`. A vendor without tasks answers with the images, or with
        a failure that it may have charged for; such an attempt is never polled.

        Raises `SubmissionRefusedError` when certainly nothing was bought, `SubmissionUnknownError` otherwise.
        """
        ...

    async def poll(self, job: Job, attempt: Attempt) -> Report:
        """Look at the attempt's task once.

        Raises `ProviderUnavailableError` when the look failed, which says nothing about the task, and
        `UpstreamTaskGoneError` when the provider does not know it.
        """
        ...

    async def cancel(self, attempt: Attempt) -> None:
        """Stop the attempt's task. A task that is already gone counts as stopped.

        Raises `ProviderUnavailableError` when the provider did not confirm it.
        """
        ...

    def download(self, url: str) -> AbstractAsyncContextManager["Download"]:
        """Open an image's bytes, without the account's key. Raises `ProviderUnavailableError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model as `GET /v1/models` shows it. None stands for what the vendor has not published."""

    sizes: Mapping[str, int | None]
    """Every accepted size, and the credits of one image of it at the default quality."""
    default_size: str | None
    qualities: tuple[str, ...]
    prompt_max: int | None
    """In UTF-16 code units."""
    references_max: int | None
    """Reference images per request; 0 for a model that takes none."""
    price_microusd: int | None = None
    """The price of one image of any size, where the deployment has one of its own."""
    known: bool = True
    """Whether the catalogue knows the model at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An image on its way. `chunks` yields its bytes; `length_bytes` is None where the sender did not say."""

    content_type: str
    length_bytes: int | None
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs to list, newest first. `after` is the id of the last job of the page before."""

    statuses: frozenset[JobStatus] = frozenset()
    model: str | None = None
    since: float | None = None
    """Only jobs created at or after this date, in Unix seconds."""
    error: str | None = None
    """Only jobs that failed with this error code."""
    scope: str | None = None
    """Only jobs that this key has asked for."""
    limit: int = 20
    after: str | None = None


#: The unfinished jobs by phase: how many, and the date of acceptance of the oldest. None is for the damaged ones.
Backlog = Mapping[Phase | None, tuple[int, float]]


class JobStore(KeyStore, Protocol):
    """What survives a restart. A call that returns has committed.

    A job has one owner at a time: the store that created or claimed it, for as long as its lease lasts. Every
    write of an owner names the *fence* it got with the job. Taking a job over raises the fence, so whatever a
    former owner still writes changes nothing.

    Raises `StoreError` when the store cannot be reached, within seconds; the caller may repeat every call, also
    one whose answer was lost.
    """

    @property
    def owner(self) -> str:
        """This process in the database: `r_` and a random number, new at every opening."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Whom to tell of jobs that have ended."""
        ...

    # The jobs

    async def create(self, event: Event, *, origin: Origin = NOBODY) -> Existing | None:
        """Store a new job at revision 1, owned by this process, together with its idempotency key.

        In the same transaction, what the job may cost is held on the account of its key, where the scope has one.

        Returns None. Where the scope has used the key before, nothing is stored and that job is returned. Where
        the limits of the scope's key are used up, nothing is stored either, and this raises as `budgets.admit`
        does. After a `StoreError` nothing stays behind, unless this process dies before the store answers again.
        """
        ...

    async def record(self, event: Event, *, endpoints: Sequence[Endpoint] = ()) -> None:
        """Store the job after an event and, in the same transaction, what it does to the ledger and whom to tell.

        Events of one job are recorded in the order of the calls; a revision that is not newer than the stored one
        changes nothing. The ledger follows what is committed, not what is called: an event whose call failed and
        that a later one overtook is booked with the later one.

        Raises `LeaseLostError` when this process does not own the job (any more): nothing was changed, and this
        process should forget the job. Raises `NotFoundError` for a job that was never created.
        """
        ...

    async def get(self, job_id: str) -> Job | None:
        """Return a job, or None."""

    async def newer(self, known: Mapping[str, int]) -> Sequence[Job]:
        """Return those of these jobs that have a later revision than the one beside their id, in any order."""

    async def list(self, query: JobQuery) -> Sequence[Job]:
        """Return at most `query.limit` jobs, newest first."""
        ...

    async def unfinished(self) -> Sequence[Job]:
        """Return every job that has not come to its end, whoever owns it, oldest first."""
        ...

    async def backlog(self) -> Backlog:
        """Return what is unfinished, whoever owns it, without reading any of the jobs."""
        ...

    async def forget(self, before: float) -> int:
        """Delete the jobs that ended before a date, with all but their books; return how many."""
        ...

    # Ownership

    def lease_alive(self) -> bool:
        """Return whether nobody else can own this process's jobs. Asks nobody, and errs on the safe side."""
        ...

    async def renew(self) -> frozenset[str]:
        """Extend the lease by `lease_s` from now; to be called every third of it.

        Returns the ids of jobs that were lost: the lease had run out meanwhile, and others have claimed them.
        Their tasks must stop; until `claim` returns such a job again, its writes raise `LeaseLostError`.
        """
        ...

    async def claim(self, *, released: bool = True, expired: bool = True) -> Sequence[Job]:
        """Take over unfinished jobs whose owner is gone, oldest first, at most `CLAIM_MAX` of them.

        `released` are those whose owner has let go of them, `expired` those whose owner has fallen silent until
        its lease ran out: it may have been cut off from the store as this process was, and be about to come back
        with what it knows. No job is both.

        A full page says that there may be more. Returns nothing while this process has no lease itself, so a job
        is never returned that this process still believes to own.
        """
        ...

    async def release(self) -> None:
        """End the lease and tell the others, who claim its jobs at once. `renew` takes it up again."""
        ...

    # Stopping

    async def request_cancel(self, job_id: str) -> None:
        """Note that somebody wants an unfinished job to stop, and tell its owner. Any other job is left alone."""
        ...

    async def cancel_requests(self) -> Sequence[str]:
        """Return the ids of the unfinished jobs of this process that somebody wants to stop."""
        ...

    # Asking twice

    async def known(self, key_hash: str, *, scope: str) -> Existing | None:
        """Return the job that a scope has made with an idempotency key, or None."""
        ...

    async def departed(self, job_id: str) -> None:
        """Note that the caller left without a complete answer. Changes nothing unless one was waiting."""
        ...

    async def promised(self, job_id: str) -> None:
        """Note that a caller was given the job's id instead of the image. From now on `is_promised`.

        A retry may join the job as before: perhaps that answer is the one that was lost.
        """
        ...

    async def is_promised(self, job_id: str) -> bool:
        """Return whether somebody was answered with the job's id, when it was made or later."""
        ...

    async def join_retry(
        self, *, scope: str, fingerprint: str, count: int, since: float
    ) -> str | None:
        """Return the job that retry number `count` of a request belongs to, whose caller then waits for it again.

        Asked are the scope's jobs with this fingerprint, created at or after `since`, that no retry of this number
        has joined: those whose caller has left, and those whose caller waits, or has waited for the id, though the
        job is unfinished or its owner is gone. Departed ones come first, then the oldest. No job is given to two
        retries of one number.
        """
        ...

    # Between replicas

    def signals(self, callback: Callable[[Signal], None]) -> None:
        """Call back with what other replicas tell, on the loop, until the store is closed. Call it once.

        The callback must not block and must not raise. `Resync` comes first, and again after every interruption.
        """
        ...

    def tell(self, event: Event) -> None:
        """Tell the other replicas of a tick. Several within a quarter of a second are one; any may be lost."""
        ...

    # The books, and the store itself

    async def usage(
        self,
        by: Sequence[Grouping],
        *,
        since: float | None = None,
        until: float | None = None,
        scope: str | None = None,
    ) -> Sequence[Usage]:
        """Return what the ledger says, added up by these columns and sorted by them; one row for none.

        Only entries made at or after `since` and before `until`, in Unix seconds; of one scope, or of all.
        """
        ...

    async def ping(self) -> None:
        """Return when the store answers."""

    async def close(self) -> None:
        """Commit what waits, release, and let go of everything."""
        ...


#: Reads every event after it was recorded. Must not block; what it raises is logged and harms no job.
Observer = Callable[[Event], None]


class Note(Protocol):
    """Writes one log line that is not an event of a job. Its level belongs to its name."""

    def __call__(self, name: str, /, **fields: object) -> None:
        """Write the line. Never blocks, never raises."""
        ...


class Instruments(Protocol):
    """Takes the measurements of the engine and the providers. Must not block."""

    def upstream(self, operation: str, code: str, duration_s: float) -> None:
        """Count one call to a provider; `code` is the HTTP status, or `error` without an answer."""
        ...

    def upstream_retry(self, operation: str, reason: str) -> None:
        """Count a call that is going to be repeated: rate_limited, server_error or unreachable."""
        ...

    def poll(self, result: str) -> None:
        """Count a poll by what it showed: pending, throttled, running, final or error."""
        ...

    def poll_lateness(self, late_s: float) -> None:
        """Take how late a poll started against its beat."""
        ...

    def recovered(self, job: Job, cause: str) -> None:
        """Count a job taken over: after a restart, a handover, or an expired lease."""
        ...

    def lease_lost(self, job: Job) -> None:
        """Count a job that another process has taken over."""
        ...

    def store_error(self, operation: str, reason: str) -> None:
        """Count a call of the store that failed, and is repeated or refused."""
        ...


class NoInstruments:
    """Measures nothing: for the Python API, which has nobody to show it to."""

    def upstream(self, operation: str, code: str, duration_s: float) -> None:
        """Ignore it."""

    def upstream_retry(self, operation: str, reason: str) -> None:
        """Ignore it."""

    def poll(self, result: str) -> None:
        """Ignore it."""

    def poll_lateness(self, late_s: float) -> None:
        """Ignore it."""

    def recovered(self, job: Job, cause: str) -> None:
        """Ignore it."""

    def lease_lost(self, job: Job) -> None:
        """Ignore it."""

    def store_error(self, operation: str, reason: str) -> None:
        """Ignore it."""


def no_note(_name: str, /, **_fields: object) -> None:
    """Write nothing."""
