"""Who takes a task: the rules by themselves."""

import random
from dataclasses import replace
from typing import Any

import pytest
from tests.routing.stations import AUTH, drawn, ids, station

from taxiway.errors import BadRequestError, NotFoundError, Reason
from taxiway.jobs import GenerationRequest
from taxiway.routing.candidates import tagged, tiers
from taxiway.routing.fleet import Fleet
from taxiway.routing.plans import Plans, admit
from taxiway.routing.stations import Station
from taxiway.routing.strategies import choose, weights
from taxiway.settings import Routing, Strategy


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([{}, {}], [1, 1], id="nothing said"),
        pytest.param([{"weight": 3.0}, {"weight": 1.0}], [3, 1], id="weight"),
        pytest.param([{"weight": 3.0}, {}], [3, 1], id="one without a weight"),
        pytest.param([{"weight": 0.0}, {"weight": 2.0}], [0, 2], id="a weight of nothing"),
        pytest.param([{"weight": 0.0}, {"weight": 0.0}], [1, 1], id="nothing for everybody"),
        pytest.param([{"rpm": 60.0}, {"rpm": 20.0}], [60, 20], id="rpm"),
        pytest.param([{"rpm": 60.0}, {}], [60, 60], id="one without a rate"),
        pytest.param([{"weight": 1.0, "rpm": 9.0}, {"rpm": 1.0}], [1, 1], id="weight before rpm"),
        pytest.param([{"tpm": 10.0}, {"tpm": 30.0}], [10, 30], id="tpm"),
    ],
)
def test_weights(fields: list[dict[str, float]], expected: list[float]) -> None:
    """`weight` counts where one has it, else `rpm`, else `tpm`; one without is as good as an ordinary one."""
    deployments = [station(str(n), **each).deployment for n, each in enumerate(fields)]

    assert expected == weights(deployments)


def test_simple_shuffle_draws_by_weight() -> None:
    """Shares are kept, whoever is busy."""
    stations = [station("a", weight=1.0), station("b", weight=2.0), station("c", weight=3.0)]
    stations[2].traffic.under_way = 50
    found = drawn(stations, strategy=Strategy.SIMPLE_SHUFFLE, times=6_000)

    assert [1, 2, 3] == [round(found[name] / 1_000) for name in "abc"]


def test_least_busy_takes_the_idle_one() -> None:
    """The fewest tasks under way; equals are drawn by weight."""
    stations = [station("a"), station("b", weight=3.0), station("c")]
    stations[0].traffic.under_way = 1
    found = drawn(stations, strategy=Strategy.LEAST_BUSY, times=4_000)

    assert ("a" not in found, [3, 1]) == (True, [round(found[n] / 1_000) for n in "bc"])


@pytest.mark.parametrize(
    ("fields", "under_way", "expected"),
    [
        pytest.param([{}, {}], [3, 2], "b", id="plain"),
        pytest.param(
            [{"max_parallel_requests": 10}, {"max_parallel_requests": 2}],
            *([4, 1], "a"),
            id="by their slots",
        ),
        pytest.param([{"weight": 3.0}, {"weight": 1.0}], [5, 2], "a", id="by their weights"),
        pytest.param(
            [{"max_parallel_requests": 10}, {}], [4, 3], "b", id="slots of one say nothing"
        ),
    ],
)
def test_least_busy_measures_by_what_each_can_bear(
    fields: list[dict[str, Any]], under_way: list[int], expected: str
) -> None:
    """Four of ten is less than one of two."""
    stations = [station(name, **each) for name, each in zip("ab", fields, strict=True)]
    for each, number in zip(stations, under_way, strict=True):
        each.traffic.under_way = number

    assert {expected} == set(drawn(stations, strategy=Strategy.LEAST_BUSY, times=20))


def measured(name: str, *durations_s: float, at_s: float = 90.0, **fields: Any) -> Station:
    """A station whose tasks have taken so long."""
    made = station(name, **fields)
    for duration_s in durations_s:
        made.traffic.durations.add(duration_s, now_s=at_s, most=10)
    return made


@pytest.mark.parametrize(
    ("stations", "fields", "expected"),
    [
        pytest.param(
            [measured("a", 10, 12), measured("b", 8, 9), measured("c", 30)], {}, "b", id="fastest"
        ),
        pytest.param(
            [measured("a", 10), measured("b", 8), measured("c", 30)],
            *({"latency_buffer": 0.5}, "ab"),
            id="within the buffer",
        ),
        pytest.param(
            [measured("a", 10), measured("b", 20), measured("c", 30), measured("new")],
            *({}, "a"),
            id="a new one is no magnet",
        ),
        pytest.param([measured("a"), measured("b")], {}, "ab", id="nothing is known"),
        pytest.param(
            [measured("a", 1, at_s=0.0), measured("b", 9)],
            *({"latency_ttl_s": 50.0}, "ab"),
            id="what is old is forgotten",
        ),
    ],
)
def test_latency_based_routing(
    stations: list[Station], fields: dict[str, float], expected: str
) -> None:
    """The one whose tasks took least; one that was not measured yet counts as the median."""
    found = drawn(stations, strategy=Strategy.LATENCY, times=60, **fields)

    assert set(expected) == set(found)


def test_only_the_last_durations_count() -> None:
    """Of more than `max_latency_list_size` the oldest go."""
    made = station("a")
    for duration_s in (100.0, 100.0, 4.0, 6.0):
        made.traffic.durations.add(duration_s, now_s=1.0, most=2)

    assert 5.0 == made.traffic.durations.mean_s(now_s=2.0, ttl_s=60.0)


def test_cost_based_routing() -> None:
    """The lowest price for this very request; an unknown price comes last, equals go to the idle one."""
    stations = [
        station("dear"),
        station("busy", model="gen4_image_turbo"),
        station("cheap", model="gen4_image_turbo"),
        station("unknown", model="gen9_image"),
    ]
    stations[1].traffic.under_way = 2
    plans = Plans(GenerationRequest(model="image", prompt="a fox", references=()))
    prices = {"dear": 8, "busy": 2, "cheap": 2, "unknown": None}
    chosen = choose(
        stations,
        routing=Routing(strategy=Strategy.COST),
        estimate=lambda each: prices[each.id],
        now_s=0.0,
        draw=random.Random(1),
    )

    assert ("cheap", 8) == (chosen.id, getattr(plans.of(stations[0], images=1), "credits", None))


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_station_that_is_held_back_comes_last(strategy: Strategy) -> None:
    """Where the provider holds tasks back another one is chosen, whatever the strategy."""
    stations = [station("a"), station("b")]
    stations[0].traffic.throttled = 1

    assert {"b"} == set(drawn(stations, strategy=strategy, times=50))


@pytest.mark.parametrize(
    ("tags", "fields", "expected"),
    [
        pytest.param(("free",), {"tag_filtering": False}, ["free", "paid", "rest"], id="off"),
        pytest.param(("free",), {}, ["free"], id="a match"),
        pytest.param(("free", "eu"), {}, ["free", "paid"], id="any of several"),
        pytest.param(("free", "eu"), {"tag_match_any": False}, ["rest"], id="all of several"),
        pytest.param(("unheard",), {}, ["rest"], id="no match: the default"),
        pytest.param((), {}, ["rest"], id="no tags: the default"),
    ],
)
def test_tags(tags: tuple[str, ...], fields: dict[str, bool], expected: list[str]) -> None:
    """Tags choose among the deployments; those tagged `default` serve everybody else."""
    stations = [
        station("free", tags=("free",)),
        station("paid", tags=("paid", "eu")),
        station("rest", tags=("default",)),
    ]
    routing = Routing(**{"tag_filtering": True, **fields})

    assert expected == ids(tagged(stations, tags, routing=routing))


def test_tags_that_nobody_has_are_refused() -> None:
    """Without a default a tag that no deployment has is a 400, before anything is stored."""
    stations = [station("free", tags=("free",))]
    request = GenerationRequest(model="image", prompt="a fox")
    with pytest.raises(BadRequestError) as caught:
        admit(Plans(request), stations, tags=("paid",), routing=Routing(tag_filtering=True))

    assert "metadata.tags" == caught.value.param


def test_levels() -> None:
    """The lowest level with a usable member counts; no order is the last level; a full one is waited for."""
    stations = [
        station("spare", order=2),
        station("main", order=1, max_parallel_requests=1),
        station("last"),
    ]
    stations[1].traffic.under_way = 1
    full = [ids(tier) for tier in tiers(stations, tired=(), now_s=0.0)]
    tired = [ids(tier) for tier in tiers(stations, tired=("main",), now_s=0.0)]
    stations[1].traffic.breaker.useless_for(Reason.AUTH, AUTH, now_s=0.0)
    out = [ids(tier) for tier in tiers(stations, tired=(), now_s=0.0)]

    assert [["main"]] == full
    assert [["spare"], ["main"]] == tired
    assert [["spare"]] == out


def test_a_name_that_nobody_serves() -> None:
    """An unknown name suggests the nearest, aliases among them."""
    fleet = Fleet([station("a")], aliases={"picture": "image"})
    with pytest.raises(NotFoundError, match="'picture'"):
        fleet.group("pictures")

    assert ids(fleet.group("picture")) == ids(fleet.group("image")) == ["a"]


def test_a_request_is_admitted_where_one_deployment_can_honour_it() -> None:
    """A name with different models takes what one of them can do; else the first one's reason is told."""
    stations = [station("plain"), station("with qualities", model="gpt_image_2")]
    asks = GenerationRequest(model="image", prompt="a fox", quality="high")
    plan = admit(Plans(asks), stations, tags=(), routing=Routing())
    with pytest.raises(BadRequestError, match="gen4_image") as caught:
        admit(Plans(replace(asks, size="7x7")), stations, tags=(), routing=Routing())

    assert (1, "quality") == (len(plan.parts), caught.value.param)
