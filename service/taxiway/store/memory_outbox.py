"""The outbox of a memory store: the promises of `Outbox`, kept in a dict."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from typing import Any

from taxiway.deliveries import LOG_MAX, Delivery, DeliveryStatus, Try
from taxiway.store.shelf import Shelf


class MemoryOutbox:
    """Deliveries on a shelf; see `Outbox` for what each call promises."""

    def __init__(
        self, shelf: Shelf, *, call: Callable[[str], AbstractContextManager[None]]
    ) -> None:
        self._kept = shelf.deliveries
        self._call = call

    async def take(
        self, *, now: float, lease_s: float, limit: int, without: Collection[str] = ()
    ) -> Sequence[Delivery]:
        """Take deliveries that are due."""
        with self._call("take"):
            due = sorted(
                (each.due_at, key)
                for key, each in self._kept.items()
                if each.due_at is not None and each.due_at <= now and each.host not in without
            )
            taken = [
                self._put(
                    self._kept[key],
                    status=DeliveryStatus.SENDING,
                    due_at=now + lease_s,
                    claim=self._kept[key].claim + 1,
                )
                for _, key in islice(due, limit)
            ]
            return sorted(taken, key=lambda each: (each.created_at, each.job_id))

    async def settle(
        self, delivery: Delivery, last: Try, *, status: DeliveryStatus, due_at: float | None
    ) -> None:
        """Write down how the try of a delivery went."""
        with self._call("settle"):
            if self._mine(delivery):
                log = (*delivery.log, last)[-LOG_MAX:]
                self._put(delivery, status=status, due_at=due_at, tries=delivery.tries + 1, log=log)

    async def give_back(self, delivery: Delivery, *, now: float) -> None:
        """Let others try a taken delivery at once."""
        with self._call("give_back"):
            if self._mine(delivery):
                self._put(delivery, status=DeliveryStatus.PENDING, due_at=now)

    async def of_job(self, job_id: str) -> Sequence[Delivery]:
        """Return the deliveries of a job, by their numbers."""
        with self._call("of_job"):
            return [self._kept[key] for key in sorted(self._kept) if key[0] == job_id]

    async def redeliver(self, job_id: str, number: int, *, now: float) -> Delivery | None:
        """Have a delivery made anew, or sooner."""
        with self._call("redeliver"):
            found = self._kept.get((job_id, number))
            if found is None or (
                found.status is DeliveryStatus.SENDING and (found.due_at or 0.0) > now
            ):
                return found
            return self._put(
                found, status=DeliveryStatus.PENDING, due_at=now, tries=0, claim=found.claim + 1
            )

    async def pending(self) -> int:
        """Return how many deliveries are not over."""
        with self._call("pending"):
            return sum(each.due_at is not None for each in self._kept.values())

    def _mine(self, delivery: Delivery) -> bool:
        found = self._kept.get((delivery.job_id, delivery.number))
        return found is not None and found.claim == delivery.claim

    def _put(self, delivery: Delivery, **changes: Any) -> Delivery:
        after = replace(delivery, **changes)
        self._kept[delivery.job_id, delivery.number] = after
        return after
