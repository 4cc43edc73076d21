"""What the service says, as types: the documents of its HTTP interface that the commands read."""

from typing import Literal, NotRequired, TypedDict

Status = Literal["queued", "in_progress", "completed", "failed", "cancelled"]


class Cost(TypedDict):
    """A cost; null while unknown. `final` says whether it is what the provider charged."""

    usd: float | None
    credits: int | None
    final: bool


class Picture(TypedDict):
    """One finished image."""

    index: int
    url: str
    size: str | None
    content_type: str


class Failure(TypedDict):
    """Why something was refused or did not complete."""

    message: str
    type: str
    param: str | None
    code: str | None


class Bought(TypedDict):
    """One attempt of a job; without an `upstream_id` nothing is known to have been bought."""

    index: int
    deployment: str
    model: str
    upstream_id: str | None
    status: str
    credits: int | None


class Spent(Cost):
    """What some attempts cost, and how much of it is certain."""

    charged_credits: int
    estimated_credits: int
    charged_usd: float
    estimated_usd: float
    unknown_charges: int


class Reserved(TypedDict):
    """What attempts under way may still cost."""

    usd: float
    credits: int


class UsageRow(TypedDict):
    """A row of the books: what it is of, as far as that was asked for, and what it comes to."""

    model: NotRequired[str]
    key: NotRequired[str]
    day: NotRequired[str]
    upstream_model: NotRequired[str]
    deployment: NotRequired[str]
    jobs: int
    attempts: int
    tasks: int
    cost: Spent
    reserved: Reserved


class UsageDocument(TypedDict):
    """The books, added up."""

    by: list[str]
    data: list[UsageRow]
    total: UsageRow


class KeyDocument(TypedDict):
    """A virtual key, as far as the commands look at it. Money in US dollars, dates in ISO 8601."""

    token: str
    key_name: str
    key_alias: str | None
    status: str
    models: list[str]
    max_budget: float | None
    budget_duration: str | None
    spend: float
    reserved: float
    total_spend: float
    rpm_limit: int | None
    max_parallel_requests: int | None
    expires: str | None
    last_active: str | None


class NewKeyDocument(KeyDocument):
    """A virtual key when it is made."""

    key: str
    warnings: list[str]


class JobDocument(TypedDict):
    """A job, as far as the commands look at it."""

    id: str
    status: Status
    phase: str | None
    progress: int
    revision: int
    model: str
    prompt: str
    size: str | None
    n: int
    created_at: float
    started_at: float | None
    finished_at: float | None
    eta_s: NotRequired[float | None]
    images: list[Picture]
    cost: Cost
    error: Failure | None
    attempts: list[Bought]


def tasks_bought(job: JobDocument) -> int:
    """Return how many Runway tasks a job has bought."""
    return sum(attempt["upstream_id"] is not None for attempt in job["attempts"])


def is_final(job: JobDocument) -> bool:
    """Tell whether nothing can happen to the job any more."""
    return job["status"] not in ("queued", "in_progress")
