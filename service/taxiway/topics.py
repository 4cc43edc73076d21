"""What is told about a job, and whom it wakes.

A viewer needs the newest event only, since it carries the whole job. So there is no queue per viewer: a topic
holds the newest event, a follower looks, sends, and waits to be woken.
"""

import asyncio
from collections.abc import Callable

from taxiway.events import Event
from taxiway.jobs import Job


class Follower:
    """One viewer, who may follow many topics. Owned by the coroutine that waits."""

    __slots__ = ("_wake",)

    def __init__(self) -> None:
        self._wake: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Let `wait` return. Without a waiter nothing happens: the next look finds what is new."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def wait(self) -> None:
        """Wait for `wake`. Look for news first, with no `await` between the look and this call."""
        # One future per wait: a shared one would be cancelled for everybody by the first who leaves.
        self._wake = asyncio.get_running_loop().create_future()
        try:
            await self._wake
        finally:
            self._wake = None


class Topic:
    """What is told about one job: its newest event, and the bytes made from it for all viewers at once."""

    __slots__ = ("_encoded", "event", "followers", "head", "life", "owned", "serial", "uncommitted")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.head = event.job
        """The owner's newest job: perhaps not committed yet, so nobody else's business."""
        self.owned = False
        self.life = 0
        """Grows with every adoption: what was said in an earlier life does not count in this one."""
        self.uncommitted = 0
        """Events on their way into the store."""
        self.serial = 1
        """Grows with every event told, ticks included."""
        self.followers: set[Follower] = set()
        self._encoded: dict[Callable[[Event], bytes], bytes] = {}

    @property
    def job(self) -> Job:
        """The job as it was last told."""
        return self.event.job

    def encoded(self, encode: Callable[[Event], bytes]) -> bytes:
        """Return `encode(event)`, made once for all viewers that use the same `encode`."""
        found = self._encoded.get(encode)
        if found is None:
            found = self._encoded[encode] = encode(self.event)
        return found

    def tell(self, event: Event) -> None:
        """Make this the newest event, and wake everybody. An older revision changes nothing."""
        if event.job.revision < self.event.job.revision:
            return
        self.event = event
        self.serial += 1
        self._encoded.clear()
        for follower in self.followers:
            follower.wake()
