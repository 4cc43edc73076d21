"""A slot at a deployment, and what the task that holds it finds out about the deployment."""

import asyncio
from typing import Protocol

from taxiway.errors import reason_of
from taxiway.jobs import JobError, Phase
from taxiway.routing.stations import Station
from taxiway.settings import Trouble


class Harbour(Protocol):
    """Who gave the slot."""

    def released(self, berth: "Berth") -> None:
        """Take it back."""
        ...

    def health_changed(self, station: Station) -> None:
        """Hear that a station begins to rest or is back."""
        ...

    def alone(self, station: Station) -> bool:
        """Return whether no other deployment of the same name takes tasks."""
        ...


class Berth:
    """Held by one task, from before its submission to its end. `release` may be called twice."""

    __slots__ = ("_harbour", "_probe", "_released", "_throttled", "job_id", "scope", "station")

    def __init__(
        self, harbour: Harbour, station: Station, *, job_id: str, scope: str, probe: bool = False
    ) -> None:
        self._harbour = harbour
        self._probe = probe
        self._released = False
        self._throttled = False
        self.station = station
        self.job_id = job_id
        self.scope = scope

    # What became of the submission

    def accepted(self) -> None:
        """Note that the provider took the task."""
        if self.station.traffic.breaker.accepted():
            self._told()

    def useless(self, error: JobError) -> None:
        """Note that the account was refused: nothing can be bought there for a while."""
        reason = reason_of(error.code, error.failure_code)
        if self.station.traffic.breaker.useless_for(reason, error, now_s=_now_s()):
            self._told()

    def held(self, pause_s: float) -> None:
        """Note that the provider takes no more for the moment."""
        traffic = self.station.traffic
        traffic.held_until_s = max(traffic.held_until_s, _now_s() + pause_s)
        self.troubled(Trouble.RATE_LIMITED)

    def troubled(self, trouble: Trouble) -> None:
        """Note a failure that is no fault of the caller's."""
        station, now_s = self.station, _now_s()
        rests = station.routing.cooldowns and not self._harbour.alone(station)
        if station.traffic.breaker.failed(
            trouble, now_s=now_s, tolerance=station.tolerance, rests=rests
        ):
            self._told()

    # What became of the task

    def seen(self, phase: Phase) -> None:
        """Note which phase the task is in."""
        throttled = phase is Phase.THROTTLED
        if throttled is not self._throttled:
            self.station.traffic.throttled += 1 if throttled else -1
            self._throttled = throttled

    def worked(self, duration_s: float | None = None) -> None:
        """Note that the provider did what it was asked: made an image, or found that it must not be made."""
        station, now_s = self.station, _now_s()
        if duration_s is not None:
            self._measured(duration_s, now_s)
        if station.traffic.breaker.succeeded(now_s):
            self._told()

    def failed(self, deadline_s: float) -> None:
        """Note that the task failed inside the provider; it counts as if it had taken until the deadline."""
        self._measured(deadline_s, _now_s())
        self.troubled(Trouble.FAILED)

    def release(self) -> None:
        """Give the slot back."""
        if self._released:
            return
        self._released = True
        traffic = self.station.traffic
        traffic.under_way -= 1
        if self._throttled:
            traffic.throttled -= 1
        if self._probe:
            traffic.breaker.abandoned()
        self._harbour.released(self)

    def _measured(self, duration_s: float, now_s: float) -> None:
        most = self.station.routing.latency_samples
        self.station.traffic.durations.add(duration_s, now_s=now_s, most=most)

    def _told(self) -> None:
        # Whatever it was to show, it has shown.
        self._probe = False
        self._harbour.health_changed(self.station)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
