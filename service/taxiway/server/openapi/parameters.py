"""What requests say beside their bodies: in the address, in the query, in headers."""

from typing import Any

from taxiway.errors import JOB_CODES
from taxiway.jobs import JobStatus
from taxiway.ledger import Grouping
from taxiway.server.openapi.words import INTEGER, JOB_ID, TEXT, Schema, one_of
from taxiway.server.preferences import TIMEOUT, TIMEOUT_MIN_S
from taxiway.server.queries import LIMIT_DEFAULT, LIMIT_MAX
from taxiway.server.viewers import IDS_MAX

Parameter = dict[str, Any]


def _parameter(place: str, name: str, schema: Schema, says: str, **more: Any) -> Parameter:
    return {"in": place, "name": name, "schema": schema, "description": says, **more}


def in_query(name: str, schema: Schema, says: str) -> Parameter:
    """Return a parameter of the query that may be absent."""
    return _parameter("query", name, schema, says)


def _in_path(name: str, schema: Schema, says: str) -> Parameter:
    return _parameter("path", name, schema, says, required=True)


JOB = _in_path("id", JOB_ID, "The job's id.")
MODEL = _in_path("id", {**TEXT, "minLength": 1}, "The model's name, slashes included.")
MODEL_IN_PATH = _in_path("model", {**TEXT, "minLength": 1}, "The model's name, as Azure has it.")
IMAGE = _in_path(
    "n", {"type": "integer", "minimum": 0, "maximum": 9999}, "Which of the job's images, from 0."
)
WEBHOOK = _in_path(
    "n", {"type": "integer", "minimum": 0, "maximum": 9999}, "Which of the job's webhooks, from 0."
)
FILE = _in_path("name", TEXT, "The file's name.")

PREFER = _parameter(
    "header",
    "Prefer",
    TEXT,
    "`respond-async`: answer with the job at once. `wait=N`: wait so many seconds first (RFC 7240).",
)
IDEMPOTENCY_KEY = _parameter(
    "header",
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    "A request with the same key is the same purchase, however often it is sent.",
)
TIMEOUT_HEADER = _parameter(
    "header", TIMEOUT, {"type": "number", "minimum": TIMEOUT_MIN_S}, "Seconds the job may take."
)
CURSOR = _parameter(
    "header",
    "Last-Event-ID",
    TEXT,
    "The id of the last event seen; browsers send it by themselves.",
)
STARTING_AFTER = _parameter("query", "starting_after", TEXT, "The same, for a first connection.")
TOKEN = _parameter(
    "query", "token", TEXT, "A token of `POST /v1/jobs/{id}/token`, in place of a key."
)
RANGE = _parameter("header", "Range", TEXT, "A part of an archived image: `bytes=0-1023`.")
IF_NONE_MATCH = _parameter("header", "If-None-Match", TEXT, "The `ETag` of what is there already.")
LINK = (
    _parameter("query", "exp", TEXT, "Of a signed link: until when it is good."),
    _parameter("query", "sig", TEXT, "Of a signed link: its signature."),
)
IDS = _parameter(
    "query",
    "ids",
    {"type": "array", "items": JOB_ID, "minItems": 1, "maxItems": IDS_MAX, "uniqueItems": True},
    "The jobs, with commas.",
    required=True,
    style="form",
    explode=False,
)

_DATE: Schema = {"anyOf": [{"type": "number"}, {"type": "string", "format": "date-time"}]}

#: The query of the usage report; its names are those of `usage.PARAMETERS`.
USAGE = (
    _parameter(
        "query",
        "by",
        {"type": "array", "items": one_of(Grouping), "uniqueItems": True},
        "What to see apart, with commas; without it, the total alone.",
        style="form",
        explode=False,
    ),
    _parameter("query", "since", _DATE, "Only what was booked at or after this date."),
    _parameter("query", "until", _DATE, "Only what was booked before this date."),
)

#: The query of a list of jobs; its names are those of `queries.PARAMETERS`.
LIST = (
    _parameter(
        "query",
        "status",
        {"type": "array", "items": one_of(JobStatus)},
        "Only jobs of these statuses, with commas.",
        style="form",
        explode=False,
    ),
    _parameter("query", "model", TEXT, "Only jobs of this model."),
    _parameter(
        "query",
        "since",
        _DATE,
        "Only jobs since this date, in Unix seconds or as 2026-11-23T18:30:00Z.",
    ),
    # An empty one is none, as a form sends it.
    _parameter("query", "error", one_of(("", *JOB_CODES)), "Only jobs that failed with this code."),
    _parameter(
        "query",
        "limit",
        {**INTEGER, "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
        "How many.",
    ),
    _parameter(
        "query",
        "after",
        {"type": "string", "pattern": "^(job_[0-9A-Za-z]+)?$"},
        "The `last_id` of the page before.",
    ),
)
