"""What a key's limits say to a job, and what a job does to its key's account.

Pure: every store asks here, inside of the transaction that stores the job, so that no two jobs can be let in on
the same money. The reservation is the job itself: what an unfinished job may cost follows from its attempts and
its plan, and is set against what it came to before. So whoever takes a job over settles its reservation too.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from taxiway.errors import AuthenticationError, BudgetExceededError, RateLimitError
from taxiway.jobs import Attempt, Job
from taxiway.keys import Account, Key, KeyStatus

#: The time over which `rpm_limit` counts.
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """The jobs that a key has made within the last minute: how many, and when the first of them."""

    jobs: int = 0
    since: float | None = None

    def and_one(self, at: float) -> "Recent":
        """Return them with another one."""
        return Recent(jobs=self.jobs + 1, since=at if self.since is None else self.since)

    def left(self, limit: int) -> int:
        """Return how many more may follow now."""
        return max(0, limit - self.jobs)

    def frees_s(self, at: float) -> float:
        """Return in how many seconds the first of them is a minute ago."""
        return 0.0 if self.since is None else min(MINUTE_S, max(0.0, self.since + MINUTE_S - at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a key stands with its limits."""

    account: Account
    recent: Recent = Recent()


def check_open(key: Key, *, at: float) -> None:
    """Raise `AuthenticationError` for a key that opens nothing."""
    match key.status(at):
        case KeyStatus.DELETED:
            raise AuthenticationError("The API key is not valid here.")
        case KeyStatus.BLOCKED:
            raise AuthenticationError("The API key is blocked.", code="key_blocked")
        case KeyStatus.EXPIRED:
            raise AuthenticationError("The API key has expired.", code="expired_key")
        case KeyStatus.ACTIVE:
            return


def admit(standing: Standing, job: Job, *, at: float) -> Standing:
    """Return where a key stands with a new job counted, in the budget period of the date; `moved` books its price.

    Raises `AuthenticationError`, `RateLimitError` with the exact time to
    wait, `BudgetExceededError`: the error says what has run out.
    """
    account, recent = standing.account.at(at), standing.recent
    key = account.key
    check_open(key, at=at)
    if key.rpm_limit is not None and not recent.left(key.rpm_limit):
        raise RateLimitError(
            f"The API key may make {key.rpm_limit} jobs a minute; nothing was bought.",
            retry_after_s=recent.frees_s(at),
        )
    _check_budget(account, job)
    return Standing(account=replace(account, last_active_at=at), recent=recent.and_one(at))


def moved(account: Account, job: Job, *, before: Job | None, period: int) -> Account:
    """Return the account after a step of one of its jobs, which was accepted in the period of that number."""
    if before is not None and before.final:  # it is settled
        return account
    held, holds = 0 if before is None else exposure(before), exposure(job)
    spends = holds if job.final else 0
    account = replace(account, total_microusd=account.total_microusd + spends)
    if period != account.period:
        return account
    return replace(
        account,
        reserved_microusd=account.reserved_microusd + (0 if job.final else holds) - held,
        spent_microusd=account.spent_microusd + spends,
    )


def withdrawn(account: Account, job: Job, *, period: int) -> Account:
    """Return the account without a job that was never made."""
    if period != account.period:
        return account
    return replace(account, reserved_microusd=account.reserved_microusd - exposure(job))


def moves(job: Job, *, before: Job | None) -> bool:
    """Return whether a step of a job changes its key's account."""
    return before is None or job.final or exposure(job) != exposure(before)


def exposure(job: Job) -> int:
    """Return what a job has cost and may still cost, in micro-USD; what nobody knows counts as its estimate."""
    spent = sum(_or_estimate(attempt, job) for attempt in job.attempts)
    if job.final:
        return spent
    last = {attempt.part: attempt for attempt in job.attempts}
    to_come = (
        max(part.microusd or 0, part.most_microusd or 0)
        for i, part in enumerate(job.parts)
        if part.error is None and (i not in last or last[i].again)
    )
    return spent + sum(to_come)


def covers(standing: Standing | None, microusd: int | None, *, at: float) -> bool:
    """Return whether a key can pay so much more than it has reserved already; None: nobody knows how much it is.

    For decisions in the middle of a job, from what this process knows of the account; None: it has no limit.
    """
    if standing is None or standing.account.key.max_budget_microusd is None:
        return True
    account = standing.account.at(at)
    taken = account.spent_microusd + account.reserved_microusd
    return microusd is not None and taken + microusd <= standing.account.key.max_budget_microusd


def usd(microusd: int) -> str:
    """Return an amount for people, to the cent and further where it needs to be."""
    dollars, micro = divmod(microusd, 1_000_000)
    decimals = f"{micro:06d}".rstrip("0").ljust(2, "0")
    return f"${dollars}.{decimals}"


def _check_budget(account: Account, job: Job) -> None:
    budget = account.key.max_budget_microusd
    if budget is None:
        return
    if any(part.microusd is None for part in job.parts):
        raise BudgetExceededError(
            "The price of this request is not known, so a key with a budget cannot ask for it; nothing was bought."
        )
    asked = exposure(job)
    taken = account.spent_microusd + account.reserved_microusd
    if taken + asked > budget:
        raise BudgetExceededError(
            f"The budget of the API key is {usd(budget)}: {usd(account.spent_microusd)} are spent, "
            f"{usd(account.reserved_microusd)} are reserved for jobs under way, and this request may cost "
            f"{usd(asked)}; nothing was bought{_again(account)}."
        )


def _again(account: Account) -> str:
    if account.resets_at is None:
        return ""
    return f", and it begins anew at {datetime.fromtimestamp(account.resets_at, UTC):%Y-%m-%d %H:%M} UTC"


def _or_estimate(attempt: Attempt, job: Job) -> int:
    cost = attempt.microusd
    return (job.parts[attempt.part].microusd or 0) if cost is None else cost
