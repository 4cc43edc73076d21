"""Progress, as it travels to other replicas: not the job, only what moved in it."""

from taxiway.events import Event
from taxiway.facts import Seen, Waiting
from taxiway.signals import Placed, Ticked


def tick_of(event: Event) -> Ticked | Placed | None:
    """Return what an event says about progress, or a place in the queue; None for one that is not a tick."""
    if not event.tick:
        return None
    if isinstance(event.fact, Waiting) and event.job.queue_position is not None:
        return Placed(
            job_id=event.job.id,
            revision=event.job.revision,
            position=event.job.queue_position,
            at=event.at,
        )
    if not isinstance(event.fact, Seen):
        return None
    return Ticked(
        job_id=event.job.id,
        revision=event.job.revision,
        attempt=event.fact.attempt,
        progress=event.job.attempts[event.fact.attempt].progress,
        at=event.at,
    )
