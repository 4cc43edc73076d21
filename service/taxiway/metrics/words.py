"""The closed sets: every value a label may have, and `other` for what nobody foresaw.

A value that comes from outside is looked up in its set before a series exists, so no caller can make the
number of series grow. Six sets are told at the start by those who know them: the offered models, the
routes of the URL map, the names of the background tasks, the accounts at the provider, the budgets of the
configuration and their windows.
"""

from dataclasses import dataclass
from http import HTTPMethod, HTTPStatus

from taxiway.errors import Reason, Refusal
from taxiway.events import EventName
from taxiway.jobs import JobStatus, Phase

#: Where a value outside of the set is counted.
OTHER = "other"

#: The code of a provider call that got no answer.
ERROR = "error"

#: The codes of a provider call that went well.
GOOD = ("200", "204")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A label and the values it may have. None: they are told at the start."""

    name: str
    words: tuple[str, ...] | None = None


MODEL = Label(name="model")
ROUTE = Label(name="route")
TASK = Label(name="task")
ACCOUNT = Label(name="account")
BUDGET = Label(name="budget")
WINDOW = Label(name="window")

METHOD = Label(name="method", words=tuple(HTTPMethod))
#: 499 is what access logs call a caller who left before the answer.
HTTP_CODE = Label(name="code", words=(*(str(status.value) for status in HTTPStatus), "499"))
REJECTION = Label(
    name="reason",
    words=(
        *("auth", "validation", "rate_limit", "budget", "idempotency_conflict"),
        *("queue_full", "streams_full", "draining", "store_unavailable"),
    ),
)

OUTCOME = Label(name="outcome", words=(JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED))
REASON = Label(name="reason", words=tuple(Reason))
PHASE = Label(name="phase", words=tuple(Phase))
#: A restart of the only process, a replica that handed its jobs over, one that went quiet.
CAUSE = Label(name="cause", words=("restart", "handover", "lease_expired"))

OPERATION = Label(
    name="operation", words=("submit", "poll", "cancel", "download", "upload", "account")
)
UPSTREAM_CODE = Label(
    name="code",
    words=(
        *GOOD,
        *("400", "401", "403", "404", "413", "429", "500", "502", "503", "504"),
        ERROR,
    ),
)
RETRY = Label(
    name="reason",
    words=tuple(refusal for refusal in Refusal if refusal is not Refusal.FINAL),
)
THROTTLE = Label(name="source", words=("http_429", "task_throttled"))
POLL = Label(name="result", words=("pending", "throttled", "running", "final", "unknown", "error"))

#: An image that could not be stored stays with the provider.
KEPT = Label(name="result", words=("stored", "failed"))

#: Charged: reported by the provider. Estimated: what an attempt is thought to have cost that never reported.
BASIS = Label(name="basis", words=("charged", "estimated"))

SSE_EVENT = Label(
    name="event",
    words=(
        *EventName,
        "image_generation.progress",
        "image_generation.completed",
        "image_edit.progress",
        "image_edit.completed",
        "error",
    ),
)
CLOSE = Label(
    name="reason",
    words=("completed", "client_gone", "draining", "max_age", "slow_consumer", "error"),
)
RESUME = Label(name="result", words=("replayed", "current", "gap"))

#: How a try to tell a receiver ended: it was told, it will be tried again, or it is given up.
TOLD = Label(name="result", words=("delivered", "retried", "failed"))

#: The methods of `JobStore` and its outbox, and the commit that carries a group of writes.
STORE_OPERATION = Label(
    name="operation",
    words=(
        *("create", "record", "commit", "get", "newer", "list", "unfinished", "ping"),
        *("claim", "renew", "release", "request_cancel", "cancel_requests"),
        *("known", "departed", "promised", "is_promised", "join_retry"),
        *("usage", "forget", "backlog"),
        *("take", "settle", "give_back", "of_job", "redeliver", "pending"),
    ),
)
#: What every service does within its first minutes; the others get a series when they first happen.
STORE_DAILY = ("create", "record", "commit", "get", "list", "ping")
STORE_FAILURE = Label(name="reason", words=("unavailable", "locked"))
#: What a connection of the store does; `waiting` are the calls that have none yet.
CONNECTION = Label(name="state", words=("used", "idle", "waiting"))
FILE = Label(name="file", words=("database", "wal"))

VERSION = Label(name="version")
PYTHON = Label(name="python")
BACKEND = Label(name="backend")
SCHEMA = Label(name="schema")
