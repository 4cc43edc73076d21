"""Telling other programs of a job's end: whom, what has become of it, and the seam of the store that keeps both.

A delivery is written in the transaction that ends its job, so that none is forgotten, whenever a process dies. It
may be made twice, and is known by its `webhook_id` then.
"""

import base64
import binascii
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from taxiway.events import EventName

#: How many tries a delivery remembers, the last ones.
LOG_MAX = 20


#: What a secret begins with, and how many bytes follow in base64, by Standard Webhooks.
SECRET_PREFIX = "whsec_"  # noqa: S105 - it is no secret itself
SECRET_BYTES = range(24, 65)


def is_webhook_secret(value: object) -> bool:
    """Return whether a value is a secret that webhooks can be signed with."""
    if not isinstance(value, str) or not value.startswith(SECRET_PREFIX):
        return False
    try:
        key = base64.b64decode(value.removeprefix(SECRET_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        return False
    return len(key) in SECRET_BYTES


class DeliveryStatus(StrEnum):
    """How a delivery stands. `sending` for good: its process has died, and the next one tries again."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Outcome(StrEnum):
    """How one try went. Also a metric's label."""

    DELIVERED = "delivered"
    """The receiver said 2xx."""
    HTTP_ERROR = "http_error"
    """It said something else; a redirect is not followed."""
    TIMEOUT = "timeout"
    """It did not answer in time."""
    UNREACHABLE = "unreachable"
    """There was nobody to ask, or no trust in who it was."""
    FORBIDDEN = "forbidden"
    """Its address is none that may be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Whom to tell. `source` says who named it, and so whose secret signs where it has none of its own."""

    source: str
    url: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One try: when it began, in Unix seconds, and how it went. `code` is the status answered, if any."""

    at: float
    outcome: Outcome
    code: int | None
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One endpoint that is told of the end of one job."""

    job_id: str
    number: int
    """Which of the job's deliveries, from 0."""
    revision: int
    event: EventName
    endpoint: Endpoint
    created_at: float
    status: DeliveryStatus = DeliveryStatus.PENDING
    due_at: float | None
    """When it is to be tried next, or tried again if whoever tries it dies; None once it is over."""
    tries: int = 0
    """Since it was asked for."""
    log: tuple[Try, ...] = ()
    claim: int = 0
    """Grows whenever somebody takes it: whoever had it before has no say in it any more."""

    @property
    def webhook_id(self) -> str:
        """What a receiver knows the event by: the same at every try, and for every endpoint."""
        return f"evt_{self.job_id.removeprefix('job_')}_{self.revision}"

    @property
    def host(self) -> str:
        """Whose machine it goes to: no receiver may take the time of the others."""
        return urlsplit(self.endpoint.url).netloc.lower()


class Outbox(Protocol):
    """The deliveries in a store. A call that returns has committed.

    Raises `StoreError` when the store cannot be reached.
    """

    async def take(
        self, *, now: float, lease_s: float, limit: int, without: Collection[str] = ()
    ) -> Sequence[Delivery]:
        """Take deliveries that are due, the longest first, for nobody else to take within the lease.

        Those to the hosts in `without` are left alone.
        """
        ...

    async def settle(
        self, delivery: Delivery, last: Try, *, status: DeliveryStatus, due_at: float | None
    ) -> None:
        """Write down how the try of a delivery went. Changes nothing where somebody else has taken it since."""
        ...

    async def give_back(self, delivery: Delivery, *, now: float) -> None:
        """Let others try a taken delivery at once. Changes nothing where somebody else has taken it since."""
        ...

    async def of_job(self, job_id: str) -> Sequence[Delivery]:
        """Return the deliveries of a job, by their numbers."""
        ...

    async def redeliver(self, job_id: str, number: int, *, now: float) -> Delivery | None:
        """Have a delivery made anew, or sooner; one that is being made at this moment is left alone.

        Returns it as it stands then, or None where there is none.
        """
        ...

    async def pending(self) -> int:
        """Return how many deliveries are not over."""
        ...


def deliveries_of(
    job_id: str, *, revision: int, event: EventName, at: float, endpoints: Sequence[Endpoint]
) -> list[Delivery]:
    """Return the deliveries that a job's end is written with: one for each endpoint, due at once."""
    return [
        Delivery(
            job_id=job_id,
            number=number,
            revision=revision,
            event=event,
            endpoint=endpoint,
            created_at=at,
            due_at=at,
        )
        for number, endpoint in enumerate(endpoints)
    ]
