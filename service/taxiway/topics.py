"""What is told about a job, and whom it wakes.

A viewer needs the newest event only, since it carries the whole job. So there is no queue per viewer: a topic
holds the newest event, and tells its followers in one sweep. A follower takes it on the spot where it can; else it
is woken, looks, and sends what is the newest by then.
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

    def told(self, topic: "Topic") -> bool:
        """Take the news of a topic. Returns whether that is done; False: who waits is woken to look at it."""
        self.wake()
        return False

    @property
    def waiting(self) -> bool:
        """Whether `wait` is waiting, so that its coroutine does nothing else."""
        return self._wake is not None and not self._wake.done()

    def wake(self) -> None:
        """Let `wait` return. Without a waiter nothing happens: the next look finds what is new."""
        wake = self._wake
        if wake is not None and not wake.done():
            wake.set_result(None)

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

    __slots__ = (
        "_encoded",
        "at",
        "followers",
        "head",
        "job",
        "life",
        "owned",
        "serial",
        "uncommitted",
    )

    def __init__(self, job: Job, *, at: float) -> None:
        # Of the newest event no more than this is kept: the job before it would weigh as much again.
        self.job = job
        """The job as it was last told."""
        self.at = at
        """When that was recorded."""
        self.head = job
        """The owner's newest job: perhaps not committed yet, so nobody else's business."""
        self.owned = False
        self.life = 0
        """Grows with every adoption: what was said in an earlier life does not count in this one."""
        self.uncommitted = 0
        """Events on their way into the store."""
        self.serial = 1
        """Grows with every event told, ticks included."""
        self.followers: set[Follower] = set()
        self._encoded: dict[Callable[[Job], bytes], bytes] = {}

    def encoded(self, encode: Callable[[Job], bytes]) -> bytes:
        """Return `encode(job)`, made once for all viewers that use the same `encode`."""
        found = self._encoded.get(encode)
        if found is None:
            found = self._encoded[encode] = encode(self.job)
        return found

    def tell(self, event: Event) -> None:
        """Make this the newest event, and tell everybody. An older revision changes nothing."""
        if event.job.revision < self.job.revision:
            return
        self.job, self.at = event.job, event.at
        self.serial += 1
        self._encoded.clear()
        done = True
        for follower in self.followers:
            done &= follower.told(self)
        if done:
            # Whoever comes later is rare, and the bytes of every job under way are not worth keeping for them.
            self._encoded.clear()
