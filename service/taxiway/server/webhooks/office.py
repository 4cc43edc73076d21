"""The post office: takes what is due out of the outbox, sends it, and writes down how that went.

Every replica has one. The outbox gives a delivery to one of them at a time; one whose office has died is due again
after a while, so a receiver may be told twice, and knows it by the id.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from taxiway.deliveries import Delivery, DeliveryStatus, Outbox, Outcome
from taxiway.errors import StoreError
from taxiway.metrics import Metrics
from taxiway.protocols import Note
from taxiway.server.webhooks.guard import TIMEOUT_S
from taxiway.server.webhooks.sending import Result, Sender

#: The pauses before the second try, the third, and so on: those of Standard Webhooks.
LADDER_S = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)

#: A pause is longer by up to so much: receivers that come back should not be met by everybody at once.
JITTER = 0.2

#: How often the outbox is looked into without a reason: for what is due again, and what others have left.
BEAT_S = 2.0

#: A delivery is its taker's for so long: for a try, and for the store to be slow.
LEASE_S = TIMEOUT_S + 40.0

#: Deliveries under way at once, and those to one host: a receiver that hangs must not hold up the others.
SENDING_MAX = 64
HOST_MAX = 8

#: What a delivery carries, as JSON, and whose secrets sign it. None where the job is gone.
Envelope = Callable[[Delivery], Awaitable[tuple[bytes, list[str]] | None]]


class Office:
    """The one background worker of a process. An asynchronous context manager around `run`."""

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        *,
        envelope: Envelope,
        now: Callable[[], float],
        metrics: Metrics,
        note: Note,
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._envelope = envelope
        self._now = now
        self._metrics = metrics
        self._note = note
        self._news = asyncio.Event()
        self._sending: dict[asyncio.Task[None], str] = {}
        """Tries under way, each with its host."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go of the tries under way; their deliveries are given back."""
        tasks = [*self._sending]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def look(self) -> None:
        """Look into the outbox now."""
        self._news.set()

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        rounds = self._metrics.background("webhooks")
        while True:
            self._news.clear()
            with suppress(StoreError), rounds:
                await self._send_due()
                self._metrics.webhooks_pending(await self._outbox.pending())
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._news.wait()

    async def _send_due(self) -> None:
        while (room := SENDING_MAX - len(self._sending)) > 0:
            hosts = Counter(self._sending.values())
            taken = await self._outbox.take(
                now=self._now(),
                lease_s=LEASE_S,
                limit=min(room, HOST_MAX),
                without=[host for host, number in hosts.items() if number >= HOST_MAX],
            )
            for delivery in taken:
                task = asyncio.create_task(
                    self._deliver(delivery), name=f"webhook:{delivery.job_id}"
                )
                self._sending[task] = delivery.host
                task.add_done_callback(self._done)
            if len(taken) < min(room, HOST_MAX):
                return

    def _done(self, task: asyncio.Task[None]) -> None:
        # What was left for want of room has some now.
        if len(self._sending) >= HOST_MAX:
            self._news.set()
        del self._sending[task]

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            await self._try(delivery)
        except asyncio.CancelledError:
            with suppress(StoreError):
                await self._outbox.give_back(delivery, now=self._now())
        except StoreError as error:
            # It is due again when the lease is over, and its receiver knows it by its id.
            self._note("store.failed", job_id=delivery.job_id, error=str(error))
        except Exception:  # noqa: BLE001 - a bug in one delivery must not end the others
            self._note("background.failed", task="webhooks", exc_info=True)

    async def _try(self, delivery: Delivery) -> None:
        letter = await self._envelope(delivery)
        if letter is None:  # the job was forgotten a moment ago, and its deliveries with it
            return
        body, secrets = letter
        result = await self._sender.send(delivery, body, secrets=secrets)
        status, pause_s = _verdict(delivery, result)
        due_at = None if pause_s is None else self._now() + pause_s
        await self._outbox.settle(delivery, result.last, status=status, due_at=due_at)
        self._tell(delivery, result, status, pause_s)

    def _tell(
        self, delivery: Delivery, result: Result, status: DeliveryStatus, pause_s: float | None
    ) -> None:
        last = result.last
        word = "retried" if status is DeliveryStatus.PENDING else status.value
        self._metrics.webhook(word, last.duration_s)
        told = last.outcome is Outcome.DELIVERED
        self._note(
            f"webhook.{word}",
            job_id=delivery.job_id,
            receiver=delivery.host,
            tries=delivery.tries + 1,
            duration_s=last.duration_s,
            code=last.code,
            error_type=None if told else last.outcome.value,
            **({} if pause_s is None else {"wait_s": pause_s}),
        )


def _verdict(delivery: Delivery, result: Result) -> tuple[DeliveryStatus, float | None]:
    """Return what becomes of a delivery after a try, and the pause before the next one."""
    if result.last.outcome is Outcome.DELIVERED:
        return DeliveryStatus.DELIVERED, None
    if result.hopeless or delivery.tries >= len(LADDER_S):
        return DeliveryStatus.FAILED, None
    jitter = 1 + random.random() * JITTER  # noqa: S311 - not a secret
    return DeliveryStatus.PENDING, LADDER_S[delivery.tries] * jitter
