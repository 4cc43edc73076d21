"""Who has failed too often rests, and one real job shows whether it works again."""

from typing import Any

from tests.routing.stations import AUTH

from taxiway.errors import Reason
from taxiway.routing.breaker import Breaker, Health, Tolerance
from taxiway.settings import Trouble

TOLERANCE = Tolerance(allowed=3, allowed_of={}, rest_s=5.0)


def fail(breaker: Breaker, *at_s: float, trouble: Trouble = Trouble.FAILED, **more: Any) -> bool:
    """Let a deployment fail at these times; return whether the last one changed its health."""
    changed = False
    for each in at_s:
        changed = breaker.failed(
            trouble, now_s=each, **{"tolerance": TOLERANCE, "rests": True, **more}
        )
    return changed


def test_more_than_the_allowed_failures_in_a_minute() -> None:
    """Three failures are borne, the fourth is one too many; what is older than a minute does not count."""
    breaker, slow = Breaker(), Breaker()

    assert (False, True) == (fail(breaker, 0, 1, 2), fail(breaker, 3))
    assert (Health.COOLING, Reason.UPSTREAM_ERROR, 8.0) == (
        breaker.health(4),
        breaker.reason,
        breaker.until_s,
    )
    assert not fail(slow, 0, 30, 61, 91, 122)


def test_more_failures_than_half_of_five() -> None:
    """Of at least five outcomes more than half may not be failures, whatever is allowed."""
    breaker = Breaker()
    tolerant = Tolerance(allowed=100, allowed_of={}, rest_s=5.0)
    for at_s in (0, 1):
        breaker.succeeded(at_s)

    assert not fail(breaker, 2, 3, tolerance=tolerant)
    assert fail(breaker, 4, tolerance=tolerant)


def test_numbers_by_kind() -> None:
    """`allowed_fails_policy` counts a kind by itself; rate limits count only there."""
    strict = Tolerance(allowed=100, allowed_of={Trouble.RATE_LIMITED: 1}, rest_s=9.0)
    breaker, usual = Breaker(), Breaker()

    assert not fail(breaker, 0, trouble=Trouble.RATE_LIMITED, tolerance=strict)
    assert fail(breaker, 1, trouble=Trouble.RATE_LIMITED, tolerance=strict)
    assert (Reason.THROTTLED, 10.0) == (breaker.reason, breaker.until_s)
    assert not fail(usual, *range(20), trouble=Trouble.RATE_LIMITED)


def test_the_last_one_does_not_rest() -> None:
    """A deployment that nothing can stand in for goes on, however often it fails."""
    breaker = Breaker()

    assert not fail(breaker, *range(50), rests=False)
    assert breaker.admits(50)


def test_one_real_job_shows_whether_it_works() -> None:
    """After its rest a deployment takes one task; a second one waits for what became of the first."""
    breaker = Breaker()
    fail(breaker, 0, 1, 2, 3)
    resting = breaker.admits(7)
    breaker.probe = breaker.admits(8)
    second = breaker.admits(8)
    failed_again = fail(breaker, 9)
    breaker.probe = breaker.admits(14)
    back = breaker.succeeded(15)

    assert (False, False, True, True) == (resting, second, failed_again, back)
    assert (Health.READY, None) == (breaker.health(15), breaker.reason)


def test_a_probe_that_shows_nothing_makes_room_for_another() -> None:
    """A job that is cancelled on the way has shown nothing."""
    breaker = Breaker()
    fail(breaker, 0, 1, 2, 3)
    breaker.probe = True
    breaker.abandoned()

    assert (Health.PROBING, True) == (breaker.health(9), breaker.admits(9))


def test_an_account_of_no_use_rests_twice_as_long_each_time() -> None:
    """A minute, two, four, at most fifteen; a task that is taken ends it, and the next time is a minute again."""
    breaker, rests, now_s = Breaker(), [], 0.0
    for _ in range(6):
        assert breaker.useless_for(Reason.AUTH, AUTH, now_s=now_s)
        assert not breaker.useless_for(Reason.AUTH, AUTH, now_s=now_s + 1)
        rests.append(breaker.until_s - now_s)
        now_s = breaker.until_s
    back = breaker.accepted()
    breaker.useless_for(Reason.AUTH, AUTH, now_s=now_s)

    assert [60, 120, 240, 480, 900, 900] == rests
    assert (True, 60) == (back, breaker.until_s - now_s)


def test_what_was_under_way_before_does_not_end_a_rest_for_want_of_credits() -> None:
    """A task that ends well while the account is empty shows nothing about the account."""
    breaker = Breaker()
    breaker.useless_for(Reason.INSUFFICIENT_CREDITS, AUTH, now_s=0.0)

    assert (False, True) == (breaker.succeeded(5), breaker.useless(5))
