"""The account of a key: whatever its jobs do, it is what they come to."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.test_ledger import any_history

from taxiway.budgets import Recent, Standing, admit, covers, exposure, moved, usd, withdrawn
from taxiway.errors import BudgetExceededError
from taxiway.jobs import AttemptStatus, Job
from taxiway.keys import Account, Key, opened
from taxiway.ledger import entries, summarised

KEY = Key(id="vk_1", name="sk-...1234")


def account(**fields: object) -> Account:
    """The account of a key with some limits."""
    return opened(replace(KEY, **fields), at=0.0)  # type: ignore[arg-type]


def lived(seed: int, before: Account, *, gaps: int, period: int) -> tuple[Account, Job]:
    """The account after the life of a job of some period, of which every so many steps are booked at once."""
    jobs = any_history(seed)
    steps = [jobs[0], *jobs[1:-1:gaps], jobs[-1]]
    for earlier, job in zip([None, *steps], steps, strict=False):
        before = moved(before, job, before=earlier, period=period)
    return before, jobs[-1]


@given(seeds=st.lists(st.integers(0, 10**9), max_size=6), gaps=st.integers(1, 5), data=st.data())
def test_it_is_what_the_jobs_come_to(seeds: list[int], gaps: int, data: st.DataObject) -> None:
    """Reserved is what unfinished jobs of the period may cost, spent what ended ones did, in whatever steps."""
    found = replace(account(), period=1)
    ends: list[tuple[Job, int]] = []
    for seed in seeds:
        period = data.draw(st.sampled_from([0, 1]))
        found, end = lived(seed, found, gaps=gaps, period=period)
        ends.append((end, period))

    current = [job for job, period in ends if period == 1]
    assert (
        sum(exposure(job) for job in current if not job.final),
        sum(exposure(job) for job in current if job.final),
        sum(exposure(job) for job, _ in ends if job.final),
    ) == (found.reserved_microusd, found.spent_microusd, found.total_microusd)


@given(seed=st.integers(0, 10**9))
def test_it_agrees_with_the_books(seed: int) -> None:
    """What an ended job has cost its key is what the ledger says of it, but for what nobody knows the price of."""
    jobs = any_history(seed)
    booked = [
        entry
        for before, job in zip([None, *jobs], jobs, strict=False)
        for entry in entries(job, before=before, at=1.0)
    ]
    end = jobs[-1]
    unknown = sum(
        end.parts[attempt.part].microusd or 0
        for attempt in end.attempts
        if attempt.microusd is None and attempt.status is not AttemptStatus.IN_PROGRESS
    )
    if end.final:
        assert summarised((), booked).spent_microusd + unknown == exposure(end)


@given(seed=st.integers(0, 10**9))
def test_taking_back_is_the_opposite_of_making(seed: int) -> None:
    """A job that was never made leaves the account as it was."""
    job = any_history(seed)[0]
    before = account()

    assert before == withdrawn(moved(before, job, before=None, period=0), job, period=0)


@given(prices=st.lists(st.integers(0, 10**9), max_size=8), budget=st.integers(0, 10**9))
def test_nobody_is_let_in_on_money_that_is_not_there(prices: list[int], budget: int) -> None:
    """Jobs are let in one after the other exactly as long as all of them together are within the budget."""
    standing = Standing(account=account(max_budget_microusd=budget))
    taken = 0
    for seed in prices:
        job = any_history(seed)[0]
        known = all(part.microusd is not None for part in job.parts)
        if known and taken + exposure(job) <= budget:
            standing = admit(standing, job, at=1.0)
            paid = moved(standing.account, job, before=None, period=0)
            standing = replace(standing, account=paid)
            taken += exposure(job)
        else:
            with pytest.raises(BudgetExceededError):
                admit(standing, job, at=1.0)
        assert budget >= standing.account.reserved_microusd == taken


@pytest.mark.parametrize(
    ("budget", "more", "covered"),
    [(None, None, True), (100, 60, True), (100, 61, False), (100, None, False)],
)
def test_in_the_middle_of_a_job(budget: int | None, more: int | None, covered: bool) -> None:
    """A key covers what is left of its budget, and nothing of which nobody knows the price."""
    taken = replace(account(max_budget_microusd=budget), spent_microusd=30, reserved_microusd=10)

    assert covered is covers(Standing(account=taken), more, at=1.0)
    assert covers(None, more, at=1.0)


@pytest.mark.parametrize(
    ("microusd", "text"),
    [(0, "$0.00"), (80_000, "$0.08"), (1_500_000, "$1.50"), (31_250, "$0.03125"), (1, "$0.000001")],
)
def test_money_is_written_for_people(microusd: int, text: str) -> None:
    """To the cent, and further where it needs to be."""
    assert text == usd(microusd)


def test_a_minute_is_a_minute() -> None:
    """The first job of a full minute makes room when it is 60 seconds old; clocks that differ change little."""
    recent = Recent().and_one(100.0).and_one(130.0)

    assert (0, 1) == (recent.left(2), recent.left(3))
    assert [60.0, 60.0, 1.0, 0.0] == [recent.frees_s(at) for at in (90.0, 100.0, 159.0, 161.0)]
