"""What came of it all: Runway's own account, the jobs, the books and what viewers were shown, held together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from tests.chaos.callers import Crowd, Wish
from tests.chaos.ground import Ground

#: The failures of a job that this suite brings about on purpose: what was asked for is not to be had.
_MEANT = ("content_policy_violation", "job_cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One row of the table."""

    jobs: int = 0
    kills: int = 0
    moments: int = 0
    """Moments of a life that were to be died at, each in a process of its own."""
    reached: int = 0
    """How many of them came to pass."""
    images: int = 0
    """Delivered: the job is completed, and its bytes can be fetched."""
    tasks: int = 0
    """Made by Runway."""
    ended: int = 0
    """Jobs that ended without an image as they were meant to: refused by Runway, or cancelled."""
    unknown: int = 0
    """Submissions whose outcome nobody knows, killed between the POST and its answer, say."""
    orphans: int = 0
    """Runway tasks of such a submission: no job knows their id."""
    bought_twice: int = 0
    images_lost: int = 0
    events_lost: int = 0
    left_waiting: int = 0
    """Callers without an answer, and viewers without a final event."""
    difference: int = 0
    """Credits between Runway's account and the ledger."""

    def __add__(self, other: "Account") -> "Account":
        return Account(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Account)}
        )

    @property
    def broken(self) -> dict[str, int]:
        """The promises that were not kept, and how often."""
        names = ("bought_twice", "images_lost", "events_lost", "left_waiting", "difference")
        return {name: count for name in names if (count := getattr(self, name))}


async def take(ground: Ground, crowd: Crowd) -> tuple[Account, list[str]]:
    """Return the account of a ground where everybody has settled, and a sentence for every broken promise."""
    jobs = await _jobs(ground)
    tasks = await ground.tasks()
    usage = await _get(ground, "/v1/usage")
    faults: list[str] = []

    by_prompt: dict[str, list[Any]] = {}
    for job in jobs:
        by_prompt.setdefault(job["prompt"], []).append(job)
    known = {attempt["upstream_id"] for job in jobs for attempt in job["attempts"]}
    orphans = [task for task in tasks if task["id"] not in known]
    twice = _bought_twice(crowd.wishes, by_prompt, tasks, orphans, faults)
    images, lost = 0, 0
    for wish in crowd.wishes:
        delivered, missing = await _images(ground, wish, by_prompt.get(wish.prompt, []), faults)
        images, lost = images + delivered, lost + missing
    events = sum(
        _events_lost(wish, by_prompt.get(wish.prompt, []), faults) for wish in crowd.wishes
    )
    waiting = [w for w in crowd.wishes if not (w.answered and w.ended)]
    faults += [f"left waiting: {w.prompt} {w.manner.name} {w.job_ids}" for w in waiting]
    difference = _difference(jobs, tasks, usage["total"], faults)
    account = Account(
        jobs=len(jobs),
        kills=ground.kills,
        moments=ground.moments,
        reached=ground.reached,
        images=images,
        tasks=len(tasks),
        ended=sum(_code(job) in _MEANT for job in jobs),
        unknown=sum(a["status"] == "unknown" for job in jobs for a in job["attempts"]),
        orphans=len(orphans),
        bought_twice=twice,
        images_lost=lost,
        events_lost=events,
        left_waiting=len(waiting),
        difference=difference,
    )
    return account, faults


def _bought_twice(
    wishes: Sequence[Wish],
    by_prompt: dict[str, list[Any]],
    tasks: Sequence[Any],
    orphans: Sequence[Any],
    faults: list[str],
) -> int:
    """Count what was paid for beyond the images asked for, and what no attempt stands for."""
    paid = Counter(t["prompt"] for t in tasks if t["charged"] > t["refunded"])
    astray = Counter(t["prompt"] for t in orphans)
    twice = 0
    for wish in wishes:
        attempts = [a for job in by_prompt.get(wish.prompt, []) for a in job["attempts"]]
        unknown = sum(a["status"] == "unknown" for a in attempts)
        more = max(paid[wish.prompt] - wish.images, astray[wish.prompt] - unknown, 0)
        if more:
            faults.append(
                f"bought twice: {wish.prompt} {wish.manner.name} {by_prompt.get(wish.prompt)} "
                f"{[t for t in tasks if t['prompt'] == wish.prompt]}"
            )
        twice += more
    return twice


def _difference(jobs: Sequence[Any], tasks: Sequence[Any], total: Any, faults: list[str]) -> int:
    """Return by how many credits Runway's account, the jobs and the ledger differ, all added up.

    An attempt whose charge Runway has named must say what the task came to, and the ledger must say the same as
    all jobs together, of exact charges and of estimates; nothing may still be reserved.
    """
    net = {task["id"]: task["charged"] - task["refunded"] for task in tasks}
    exact = estimated = apart = 0
    for job in jobs:
        for attempt in job["attempts"]:
            booked = attempt["credits"] or 0
            if attempt["credits_source"] != "charged":
                estimated += booked
                continue
            exact += booked
            if booked != (charged := net.get(attempt["upstream_id"], 0)):
                faults.append(f"charged {charged}, booked {booked}: {job}")
                apart += abs(charged - booked)
    cost = total["cost"]
    books = (cost["charged_credits"], cost["estimated_credits"], total["reserved"]["credits"])
    if books != (exact, estimated, 0):
        faults.append(f"ledger: {books}, by the jobs {(exact, estimated, 0)}")
    return apart + sum(abs(a - b) for a, b in zip(books, (exact, estimated, 0), strict=True))


async def _images(
    ground: Ground, wish: Wish, jobs: Sequence[Any], faults: list[str]
) -> tuple[int, int]:
    """Return how many images of a wish can be fetched, and how many are missing without a known reason."""
    delivered, excused = 0, 0
    for job in jobs:
        for image in job["images"]:
            delivered += await _fetched(ground, job["id"], image["index"])
        # Of a fan-out, the images that were made are delivered, and the others are told of by their attempts.
        unknown = sum(a["status"] == "unknown" for a in job["attempts"])
        excused += wish.images if _code(job) in (*_MEANT, "submission_unknown") else unknown
    lost = max(0, wish.images - delivered - excused)
    if lost:
        faults.append(f"image lost: {wish.prompt} {wish.manner.name} {list(jobs)}")
    return delivered, lost


async def _fetched(ground: Ground, job_id: str, index: int) -> bool:
    address = f"{ground.replicas[0].url}/v1/jobs/{job_id}/images/{index}"
    async with ground.session.get(address) as response:
        return response.status == 200 and len(await response.read()) > 0


def _events_lost(wish: Wish, jobs: Sequence[Any], faults: list[str]) -> int:
    """Count what a viewer was shown and the job does not know, and every step backwards."""
    if not wish.seen:
        return 0
    if len(jobs) != 1:
        faults.append(f"events of {wish.prompt}, which has {len(jobs)} jobs")
        return len(wish.seen)
    job, revision, lost = jobs[0], 0, 0
    known = {attempt["upstream_id"] for attempt in job["attempts"]}
    for seen in wish.seen:
        kept = job["timeline"][: len(seen.timeline)] == seen.timeline
        if not kept or seen.revision < revision or not seen.upstream_ids <= known:
            faults.append(f"event lost: {wish.prompt}: {seen} is not in {job}")
            lost += 1
        revision = seen.revision
    return lost + (wish.ended and revision != job["revision"])


def _code(job: Any) -> str | None:
    return None if job["error"] is None else str(job["error"]["code"])


async def _jobs(ground: Ground) -> list[Any]:
    """Return every job of the store, by its pages."""
    jobs: list[Any] = []
    after = ""
    while True:
        page = (await _get(ground, f"/v1/jobs?limit=100{after}"))["data"]
        jobs += page
        if len(page) < 100:
            return jobs
        after = f"&after={page[-1]['id']}"


async def _get(ground: Ground, path: str) -> Any:
    async with ground.session.get(f"{ground.replicas[0].url}{path}") as response:
        assert response.status == 200, await response.text()
        return await response.json()
