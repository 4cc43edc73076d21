"""Every event that is logged: its name, its level, its fields. Nothing else is emitted; a test looks.

One line per failure, by whoever deals with it. `error` calls for a person, `warning` tells of something that
is degraded or heals by itself, `debug` is for whoever searches.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Name(StrEnum):
    """The names of the log's events, `noun.verb`."""

    SERVICE_STARTED = "service.started"
    SERVICE_READY = "service.ready"
    SERVICE_DRAINING = "service.draining"
    SERVICE_STOPPED = "service.stopped"
    CONFIG_WARNED = "config.warned"
    CONFIG_RELOADED = "config.reloaded"
    CONFIG_REFUSED = "config.refused"
    CONFIG_RESTART_NEEDED = "config.restart_needed"
    PROMPTS_LOGGED = "prompts.logged"
    REQUEST_COMPLETED = "http.request.completed"
    REQUEST_BROKEN = "http.request.broken"
    KEY_CREATED = "key.created"
    KEY_CHANGED = "key.changed"
    JOB_ACCEPTED = "job.accepted"
    JOB_DEDUPLICATED = "job.deduplicated"
    JOB_RECOVERED = "job.recovered"
    JOB_LEASE_LOST = "job.lease_lost"
    JOB_SUBMITTED = "job.submitted"
    JOB_SUBMISSION_UNKNOWN = "job.submission_unknown"
    JOB_SUBMISSION_ORPHANED = "job.submission_orphaned"
    JOB_PROGRESSED = "job.progressed"
    JOB_THROTTLED = "job.throttled"
    JOB_ATTEMPT_FAILED = "job.attempt_failed"
    JOB_FALLBACK = "job.fallback"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_BROKEN = "job.broken"
    IMAGE_NOT_STORED = "image.not_stored"
    ARCHIVE_FAILED = "archive.failed"
    JOBS_FORGOTTEN = "jobs.forgotten"
    DEPLOYMENT_RESTS = "deployment.rests"
    DEPLOYMENT_BACK = "deployment.back"
    UPSTREAM_REQUEST_FAILED = "upstream.request.failed"
    UPSTREAM_AUTH_REFUSED = "upstream.auth_refused"
    UPSTREAM_STATUS_UNKNOWN = "upstream.status_unknown"
    UPSTREAM_CANCEL_UNCONFIRMED = "upstream.cancel_unconfirmed"
    STREAM_OPENED = "stream.opened"
    STREAM_CLOSED = "stream.closed"
    WEBHOOK_DELIVERED = "webhook.delivered"
    WEBHOOK_RETRIED = "webhook.retried"
    WEBHOOK_FAILED = "webhook.failed"
    STORE_MIGRATED = "store.migrated"
    STORE_FAILED = "store.failed"
    STORE_DEAF = "store.deaf"
    STORE_UNREADABLE = "store.unreadable"
    OBSERVER_FAILED = "observer.failed"
    BACKGROUND_FAILED = "background.failed"
    LIBRARY_MESSAGE = "library.message"


class Level(StrEnum):
    """How much a line matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Row:
    """One event of the log. `fields` are words of `fields.FIELDS`; those of every line come on top."""

    name: Name
    level: Level
    says: str
    fields: tuple[str, ...] = ()
    also: tuple[Level, ...] = ()
    """Further levels, where the case decides."""


_JOB = ("job_id", "trace_id", "request_id", "operation", "provider", "model", "revision")
_ATTEMPT = ("attempt", "deployment", "provider_task_id")
_COST = ("credits", "cost_usd", "cost_final")
_WHY = ("error_type", "error_code", "error", "failure_code", "provider_message")
_ASKED = ("size", "n", "references", "prompt_chars", "prompt_hmac", "prompt")
_TIMES = (
    *("duration_s", "queued_s", "submitting_s", "provider_queue_s", "throttled_s"),
    *("running_s", "storing_s"),
)
_ENDED = (
    *(*_JOB, *_ASKED, *_TIMES, *_COST, *_WHY, "deployment", "provider_task_id"),
    *("images", "attempts", "refusals", "polls"),
)

_TOLD = ("job_id", "receiver", "error_type", "code", "tries", "duration_s")

EVENTS = (
    Row(
        Name.SERVICE_STARTED,
        Level.INFO,
        "The process has read its settings and begins.",
        ("host", "port", "database", "models"),
    ),
    Row(
        Name.SERVICE_READY, Level.INFO, "It takes requests.", ("host", "port", "jobs", "duration_s")
    ),
    Row(Name.SERVICE_DRAINING, Level.INFO, "It was told to stop.", ("jobs", "streams")),
    Row(Name.SERVICE_STOPPED, Level.INFO, "It has let go of everything.", ("duration_s",)),
    Row(
        Name.CONFIG_WARNED,
        Level.WARNING,
        "Something in the configuration has no effect here, or not the one it seems to have.",
        ("message",),
    ),
    Row(
        Name.CONFIG_RELOADED,
        Level.INFO,
        "A changed configuration is in use: its deployments and its limits.",
        ("models",),
    ),
    Row(
        Name.CONFIG_REFUSED,
        Level.ERROR,
        "A changed configuration is broken; the one before it stays in use.",
        ("error",),
    ),
    Row(
        Name.CONFIG_RESTART_NEEDED,
        Level.WARNING,
        "Something in a changed configuration takes effect at a restart only.",
        ("message",),
    ),
    Row(Name.PROMPTS_LOGGED, Level.WARNING, "log_prompts is set: people's words go into the log."),
    Row(
        Name.REQUEST_COMPLETED,
        Level.INFO,
        "The one line of a request: debug for probes and scrapes, warning for a 5xx.",
        (
            *("request_id", "trace_id", "job_id", "key_id", "method", "route", "path"),
            *("code", "duration_s", "error_code", "client", "user_agent"),
        ),
        (Level.DEBUG, Level.WARNING),
    ),
    Row(
        Name.REQUEST_BROKEN,
        Level.ERROR,
        "A fault of ours broke a request.",
        ("request_id", "trace_id", "method", "route", "exception"),
    ),
    Row(Name.KEY_CREATED, Level.INFO, "A virtual key was made.", ("key_id",)),
    Row(
        Name.KEY_CHANGED,
        Level.INFO,
        "A virtual key was changed, blocked or deleted.",
        ("key_id",),
    ),
    Row(Name.JOB_ACCEPTED, Level.INFO, "A job is stored.", (*_JOB, *_ASKED, *_COST)),
    Row(
        Name.JOB_DEDUPLICATED,
        Level.INFO,
        "A request was asked before: it joined its job instead of buying again.",
        ("job_id",),
    ),
    Row(
        Name.JOB_RECOVERED,
        Level.WARNING,
        "An unfinished job was taken over.",
        ("job_id", "trace_id", "phase", "cause"),
    ),
    Row(
        Name.JOB_LEASE_LOST,
        Level.WARNING,
        "Another process has taken the job over, and goes on with it.",
        ("job_id", "trace_id"),
    ),
    Row(
        Name.JOB_SUBMITTED,
        Level.INFO,
        "The provider took a task: from here on it costs.",
        (*_JOB, *_ATTEMPT, *_COST, "wait_s", "refusals"),
    ),
    Row(
        Name.JOB_SUBMISSION_UNKNOWN,
        Level.ERROR,
        "Perhaps a task was bought: look it up at the provider, it will not be bought again unasked.",
        (*_JOB, *_ATTEMPT, *_COST, *_WHY),
    ),
    Row(
        Name.JOB_SUBMISSION_ORPHANED,
        Level.ERROR,
        "A task was bought that its job does not know: it was taken over, or could not be stored. This is its id.",
        ("job_id", "provider_task_id", "deployment"),
    ),
    Row(
        Name.JOB_PROGRESSED,
        Level.DEBUG,
        "Anything else that moved.",
        (*_JOB, "phase", "progress", "attempts", "refusals"),
    ),
    Row(
        Name.JOB_THROTTLED,
        Level.INFO,
        "The provider holds the job back; said once per job.",
        (*_JOB, *_ATTEMPT),
    ),
    Row(
        Name.JOB_ATTEMPT_FAILED,
        Level.WARNING,
        "A task ended without an image, and the job goes on; info where the caller brought it about.",
        (*_JOB, *_ATTEMPT, *_COST, *_WHY, "retried"),
        (Level.INFO,),
    ),
    Row(
        Name.JOB_FALLBACK,
        Level.WARNING,
        "An image goes on under another name, since the one before could not make it.",
        (*_JOB, *_ATTEMPT, "group", "error_type"),
    ),
    Row(Name.JOB_COMPLETED, Level.INFO, "The one line of a job: it has its images.", _ENDED),
    Row(
        Name.JOB_FAILED,
        Level.WARNING,
        "The one line of a job: it failed; info where the caller brought it about.",
        _ENDED,
        (Level.INFO,),
    ),
    Row(Name.JOB_CANCELLED, Level.INFO, "The one line of a job: somebody stopped it.", _ENDED),
    Row(
        Name.JOB_BROKEN,
        Level.ERROR,
        "A fault of ours broke a job.",
        ("job_id", "exception"),
    ),
    Row(
        Name.IMAGE_NOT_STORED,
        Level.ERROR,
        "A finished image could not be stored: it stays with the provider, whose address for it expires.",
        (*_JOB, *_ATTEMPT, "image", "error"),
    ),
    Row(
        Name.ARCHIVE_FAILED,
        Level.WARNING,
        "The archive did not do its part, and the provider or the job itself took its place.",
        ("job_id", "error"),
    ),
    Row(
        Name.JOBS_FORGOTTEN,
        Level.INFO,
        "Jobs older than job_retention_days were deleted, and their files in the archive.",
        ("jobs", "files"),
    ),
    Row(
        Name.DEPLOYMENT_RESTS,
        Level.WARNING,
        "A deployment takes no tasks for a while: too many failed, or its account is of no use.",
        ("deployment", "error_type", "duration_s"),
    ),
    Row(Name.DEPLOYMENT_BACK, Level.INFO, "A deployment takes tasks again.", ("deployment",)),
    Row(
        Name.UPSTREAM_REQUEST_FAILED,
        Level.WARNING,
        "The provider did not give what a request needed, and the request went on without it.",
        ("job_id", "error"),
    ),
    Row(
        Name.UPSTREAM_AUTH_REFUSED,
        Level.ERROR,
        "The provider does not accept the deployment's key; said once until it does.",
        ("deployment", "code"),
    ),
    Row(
        Name.UPSTREAM_STATUS_UNKNOWN,
        Level.WARNING,
        "The provider uses a word for a task's status that nobody here knows; said once per word.",
        ("deployment", "status"),
    ),
    Row(
        Name.UPSTREAM_CANCEL_UNCONFIRMED,
        Level.WARNING,
        "The provider did not confirm that it stopped a task: it may still cost.",
        ("job_id", "provider_task_id", "error"),
    ),
    Row(Name.STREAM_OPENED, Level.DEBUG, "A viewer is connected.", ("job_id", "jobs", "resumed")),
    Row(
        Name.STREAM_CLOSED,
        Level.INFO,
        "A viewer is gone.",
        ("job_id", "jobs", "reason", "events", "duration_s", "resumed"),
    ),
    Row(Name.WEBHOOK_DELIVERED, Level.INFO, "A receiver was told of a job's end.", _TOLD),
    Row(
        Name.WEBHOOK_RETRIED,
        Level.WARNING,
        "A receiver could not be told of a job's end, and will be tried again.",
        (*_TOLD, "wait_s"),
    ),
    Row(
        Name.WEBHOOK_FAILED,
        Level.ERROR,
        "A receiver was not told of a job's end, and is not tried again unless somebody asks for it.",
        _TOLD,
    ),
    Row(Name.STORE_MIGRATED, Level.INFO, "The schema was brought up to date.", ("before", "after")),
    Row(
        Name.STORE_FAILED,
        Level.ERROR,
        "The store did not take a write; it is repeated until it does. Said every ten seconds, for all jobs.",
        ("job_id", "error", "tries"),
    ),
    Row(
        Name.STORE_DEAF,
        Level.WARNING,
        "Signals of other replicas do not arrive; what they say is found out a few seconds later.",
        ("error", "tries"),
    ),
    Row(
        Name.STORE_UNREADABLE,
        Level.ERROR,
        "A stored job cannot be read, so nobody goes on with it: another release wrote it, or it is damaged.",
        ("job_id", "error"),
    ),
    Row(
        Name.OBSERVER_FAILED,
        Level.ERROR,
        "A log or a metric could not be made of an event; the job is unharmed.",
        ("job_id", "error", "exception"),
    ),
    Row(
        Name.BACKGROUND_FAILED,
        Level.ERROR,
        "A round of a background task failed; the next one comes.",
        ("task", "exception"),
    ),
    Row(
        Name.LIBRARY_MESSAGE,
        Level.WARNING,
        "A library has something to say.",
        ("logger", "message", "exception"),
        (Level.ERROR,),
    ),
)

#: Event name → its level.
LEVELS = MappingProxyType({str(row.name): row.level for row in EVENTS})
