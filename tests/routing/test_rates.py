"""How many and how fast: rates, turns, and what is under way."""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.routing.stations import AUTH, ids, station

from taxiway.errors import Reason
from taxiway.routing.fleet import Fleet
from taxiway.routing.queue import FairQueue
from taxiway.routing.rate import Rate
from taxiway.settings import Secret


@given(rpm=st.floats(1, 600), wants=st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_a_rate_is_never_exceeded(rpm: float, wants: list[float]) -> None:
    """However submissions come, any minute lets through its rate and a burst, and nobody waits for nothing."""
    rate, now_s = Rate(rpm, now_s=0.0), 0.0
    went: list[float] = []
    for pause_s in wants:
        now_s += pause_s
        ready_s = rate.ready_at(now_s)
        assert ready_s - now_s <= 60 / rpm + 1e-6
        now_s = max(now_s, ready_s)
        assert rate.ready_at(now_s) <= now_s + 1e-9
        rate.take(now_s)
        went.append(now_s)
    for start_s in went:
        within = sum(start_s <= at_s < start_s + 60 for at_s in went)
        assert within <= rpm + 1 + rpm / 10 + 1e-6


@dataclass(frozen=True)
class Waiting:
    """One that waits."""

    scope: str
    place: tuple[float, int, int]
    lane: str


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xy")), min_size=1, max_size=60),
    st.data(),
)
def test_turns(arrivals: list[tuple[str, str]], data: st.DataObject) -> None:
    """Each key's jobs keep their order, and no key goes twice while another one waits for its turn."""
    queue: FairQueue[Waiting] = FairQueue()
    for number, (scope, lane) in enumerate(arrivals):
        queue.add(Waiting(scope=scope, place=(0.0, number, 0), lane=lane))
    leaves = data.draw(st.sets(st.integers(0, len(arrivals) - 1), max_size=5))
    for waiter in [each for each in queue if each.place[1] in leaves]:
        queue.remove(waiter)
    foreseen = list(queue.in_order())
    went = []
    while queue:
        went.append(next(iter(queue.heads())))
        queue.take(went[-1])

    assert foreseen == went
    assert len(arrivals) - len(leaves) == len(went)
    for scope in "abcd":
        places = [each.place for each in went if each.scope == scope]
        assert sorted(places) == places
    for n, (one, other) in enumerate(pairwise(went)):
        if one.scope == other.scope:
            assert {one.scope} == {each.scope for each in went[n:]}


def test_what_is_under_way_outlives_a_change() -> None:
    """The same deployment keeps its traffic; a new key gets a new chance; another place begins afresh."""
    kept, moved, rekeyed = (
        station("kept"),
        station("moved"),
        station("rekeyed", api_key=Secret("a")),
    )
    fleet = Fleet([kept, moved, rekeyed, station("gone")])
    for each in fleet.stations:
        each.traffic.under_way = 3
        each.traffic.breaker.useless_for(Reason.AUTH, AUTH, now_s=0.0)
    after = [
        station("kept", weight=5.0),
        station("moved", api_base="https://elsewhere"),
        station("rekeyed", api_key=Secret("b")),
    ]
    fleet.replace(after)
    gone = fleet.station("gone")

    assert [3, 0, 3] == [each.traffic.under_way for each in after]
    assert [False, True, True] == [each.usable(1.0) for each in after]
    assert (gone is not None, ids(fleet.stations)) == (True, ["kept", "moved", "rekeyed"])
