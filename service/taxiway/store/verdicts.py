"""What becomes of a write that touched no row. Every store asks here, so that all of them agree.

A caller repeats a call whose answer was lost, so a write that finds itself done already is fine.
"""

from taxiway.errors import InternalServerError, LeaseLostError, NotFoundError, TaxiwayError
from taxiway.store.writes import NO_FENCE


def of_create(job_id: str, *, same: bool) -> TaxiwayError | None:
    """Judge a creation that met a stored job of its id; `same`: it is the very job, stored before."""
    if same:
        return None
    return InternalServerError(f"There is another job {job_id} already.", job_id=job_id)


def of_record(
    job_id: str, *, mine: tuple[str, int], stored: tuple[str | None, int] | None
) -> TaxiwayError | None:
    """Judge a change that was not applied, by the author's owner and fence, and the stored job's.

    It is a mistake where there is no such job, and fenced off where somebody else owns it; else it is old news.
    """
    if stored is None:
        return NotFoundError(f"There is no job {job_id} to change.", job_id=job_id)
    # An owner without a fence was the last one: the job has ended with it.
    if stored == mine or mine == (stored[0], NO_FENCE):
        return None
    return LeaseLostError(
        f"Job {job_id} belongs to another process now; nothing was written.", job_id=job_id
    )
