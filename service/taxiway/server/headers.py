"""The headers of answers behind which a job exists, in LiteLLM's names and our own.

They are put on every such answer in one place, `middleware.put_headers`, so that a plain answer, a stream and
an error say the same of a job.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from taxiway.jobs import Attempt, AttemptStatus, Job
from taxiway.parts import hops
from taxiway.routing.fleet import Fleet
from taxiway.routing.stations import Station
from taxiway.settings import Settings

#: A client that looks once per poll interval sees every change.
RETRY_AFTER_S = 2

#: Clients refuse a header that is longer than some 8 KiB.
HEADER_CHARS_MAX = 1_024


def job_headers(job: Job, *, fleet: Fleet, settings: Settings) -> dict[str, str]:
    """Return what is known of a job. Official SDKs would repeat a 5xx, and buy again: one header stops them."""
    headers = {
        "x-taxiway-job-id": job.id,
        "x-should-retry": "false",
        "x-litellm-model-group": _printable(job.request.model),
        "x-litellm-attempted-retries": str(_retries(job.attempts)),
        "x-litellm-attempted-fallbacks": str(hops(job)),
        "x-litellm-timeout": _seconds(job.deadline_at - job.created_at),
    }
    station = _station(job, fleet)
    if station is not None:
        headers |= _station_headers(station)
        headers["x-litellm-max-retries"] = str(_most_retries(job, station, settings))
    if job.dropped:
        headers["x-taxiway-dropped-params"] = _printable(", ".join(job.dropped))
    if job.final and job.microusd is not None:
        headers["x-litellm-response-cost"] = usd_text(job.microusd)
    return headers


def usd_text(microusd: int) -> str:
    """Return micro-USD in US dollars as a plain decimal; a float would print some as 1e-05."""
    whole, micro = divmod(microusd, 1_000_000)
    return f"{whole}.{micro:06d}".rstrip("0").rstrip(".")


def overhead_s(job: Job, *, spent_s: float) -> float:
    """Return the part of a finished job's time that was not spent at the provider."""
    begun = [a.submitted_at for a in job.attempts if a.submitted_at is not None]
    ended = [a.finished_at for a in job.attempts if a.finished_at is not None]
    if not begun or not ended:
        return spent_s
    return max(0.0, spent_s - (max(ended) - min(begun)))


def _station(job: Job, fleet: Fleet) -> Station | None:
    """Return the station of the newest attempt; before there is one, the only one it can be."""
    if job.attempts:
        return fleet.station(job.attempts[-1].deployment)
    stations = fleet.serving(job.request.model)
    return stations[0] if len(stations) == 1 else None


def _most_retries(job: Job, station: Station, settings: Settings) -> int:
    said = (job.policy.num_retries, station.deployment.num_retries)
    return next((number for number in said if number is not None), settings.num_retries)


def _station_headers(station: Station) -> dict[str, str]:
    deployment = station.deployment
    base = urlsplit(deployment.api_base)
    return {
        "x-litellm-model-id": deployment.id,
        "x-litellm-model-api-base": f"{base.scheme}://{base.hostname}"
        + (f":{base.port}" if base.port else ""),
    }


def _retries(attempts: Iterable[Attempt]) -> int:
    """Return how many submissions were repeats under the same name: after a refusal, or after a failure."""
    repeats = 0
    before: dict[int, str] = {}
    for attempt in attempts:
        repeats += attempt.refusals - (attempt.status is AttemptStatus.REFUSED)
        repeats += before.get(attempt.part) == attempt.group
        before[attempt.part] = attempt.group
    return repeats


def _printable(text: str) -> str:
    """Return text that may stand in a header, whatever the caller called a field."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:HEADER_CHARS_MAX])


def _seconds(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
