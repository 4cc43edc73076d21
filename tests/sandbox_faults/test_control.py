"""Faults over HTTP: set, listed, taken away, and refused where they make no sense."""

from typing import Any

import pytest
from tests.sandbox_faults.callers import Start, statuses

from taxiway.sandbox import Fault, Outcome, Step
from taxiway.sandbox.marks import parse


async def test_settings_replace_the_standing_faults(start: Start) -> None:
    """A list with a mistake changes nothing."""
    sandbox, caller = await start(faults=("create:500",))
    wrong = await caller.ask("POST", "/sandbox/settings", json={"faults": ["create:503", "melt"]})
    before = await statuses(caller, 1)
    right = await caller.ask("POST", "/sandbox/settings", json={"faults": ["create:503"]})

    assert (wrong[0], before, right[0]) == (400, [500], 200)
    assert (await statuses(caller, 1), len(sandbox.faults)) == ([503], 1)


async def test_faults_are_set_listed_and_taken_away_over_http(start: Start) -> None:
    """In the notation or field by field; each shows how often it was met and struck."""
    _, caller = await start()
    _, first = await caller.ask("POST", "/sandbox/faults", json={"fault": "create:503 times=1"})
    full = {"on": "poll", "status": 502, "probability": 0.5, "outcome": None, "drop": ["id"]}
    _, second = await caller.ask("POST", "/sandbox/faults", json=full)
    seen = await statuses(caller, 2)
    _, listed = await caller.ask("GET", "/sandbox/faults")
    removed = await caller.ask("DELETE", f"/sandbox/faults/{second['id']}")
    twice = await caller.ask("DELETE", f"/sandbox/faults/{second['id']}")
    cleared = await caller.ask("DELETE", "/sandbox/faults")
    _, rest = await caller.ask("GET", "/sandbox/faults")

    assert seen == [503, 200]
    assert [(each["id"], each["on"], each["met"], each["struck"]) for each in listed["faults"]] == [
        (first["id"], "create", 2, 1),
        (second["id"], "poll", 0, 0),
    ]
    assert (removed[0], twice[0], cleared[0], rest) == (204, 404, 204, {"faults": []})


async def test_a_script_is_set_over_http(start: Start) -> None:
    """The next creates, one text each."""
    _, caller = await start()
    steps = {"steps": ["create:500", "ok", "create:503"]}
    answer = await caller.ask("POST", "/sandbox/script", json=steps)

    assert (answer[0], await statuses(caller, 4)) == (204, [500, 200, 503, 200])


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        pytest.param(
            "/sandbox/faults",
            {"fault": "create:never"},
            "'never' is neither an HTTP status nor one of cut, half, hang, slow, truncated, html, empty, answer.",
            id="unknown action",
        ),
        pytest.param(
            "/sandbox/faults",
            {"fault": "melt"},
            "'melt' is not a fault the sandbox knows; tasks take stuck, progress, outputs, fail, slow, queue, "
            "cancelled, vanish, race, cost; requests create, poll, delete, output, upload, form, organization, "
            "usage, any.",
            id="word",
        ),
        pytest.param(
            "/sandbox/faults",
            {"fault": "poll:502 x=1"},
            "'x' is not an option of a fault.",
            id="option",
        ),
        pytest.param(
            "/sandbox/faults",
            {"fault": "poll:502 p=often"},
            "p takes a number, not 'often'.",
            id="number",
        ),
        pytest.param(
            "/sandbox/faults",
            {"fault": "poll:502; poll:503"},
            "'poll:502; poll:503' is not one fault; faults are added one by one.",
            id="two at once",
        ),
        pytest.param(
            "/sandbox/faults",
            {"on": "poll", "status": "bad"},
            "status does not take 'bad'; it takes int, null.",
            id="wrong type",
        ),
        pytest.param(
            "/sandbox/faults",
            {"on": "lunch"},
            "on does not take 'lunch'; it takes create, poll, delete, output, upload, form, organization, "
            "usage, any.",
            id="wrong route",
        ),
        pytest.param(
            "/sandbox/script",
            {"steps": ["stuck:SOMEWHERE"]},
            "stuck does not take 'SOMEWHERE'; it takes PENDING, THROTTLED, RUNNING, null.",
            id="wrong status",
        ),
        pytest.param(
            "/sandbox/faults",
            {"fault": "poll:502 often"},
            "'often' is not an option; options are written name=value.",
            id="no option",
        ),
        pytest.param(
            "/sandbox/faults",
            {"fault": "fail:X; poll:502"},
            "'fail:X; poll:502' is not one fault; faults are added one by one.",
            id="an outcome and a fault",
        ),
        pytest.param(
            "/sandbox/faults",
            {"fault": ""},
            "'' is not one fault; faults are added one by one.",
            id="nothing",
        ),
        pytest.param("/sandbox/faults", {"fault": 7}, "fault takes a text.", id="no text"),
        pytest.param(
            "/sandbox/faults",
            {"drop": "id"},
            "drop does not take 'id'; it takes a list.",
            id="list",
        ),
        pytest.param(
            "/sandbox/faults", {"put": 1}, "put does not take 1; it takes Mapping.", id="no mapping"
        ),
        pytest.param(
            "/sandbox/faults",
            {"hang": "yes"},
            "hang does not take 'yes'; it takes bool.",
            id="no boolean",
        ),
        pytest.param(
            "/sandbox/faults",
            {"status": {"code": 502}},
            "status does not take {'code': 502}; it takes int, null.",
            id="an object",
        ),
        pytest.param(
            "/sandbox/faults",
            {"outcome": {"lost": True}},
            "'lost' is not a field of Outcome; it has fail, failure, cancelled, vanish, at, stuck, "
            "duration_s, queue_s, progress, cost, outputs, race.",
            id="a field of an outcome",
        ),
        pytest.param(
            "/sandbox/script",
            {"steps": ["stuck:RUNNING times=1"]},
            "'stuck' takes no option but at=, not times.",
            id="an outcome with a scope",
        ),
        pytest.param(
            "/sandbox/script",
            {"steps": ["slow:long"]},
            "slow takes a number, not 'long'.",
            id="seconds",
        ),
        pytest.param(
            "/sandbox/script", {"steps": "ok"}, "steps takes a list of texts.", id="no list"
        ),
        pytest.param("/sandbox/settings", [1], "The body takes a JSON object.", id="no object"),
    ],
)
async def test_the_control_routes_say_what_they_do_not_understand(
    start: Start, path: str, body: Any, message: str
) -> None:
    """A mistake is a 400 with a sentence that says what is accepted."""
    _, caller = await start()

    assert await caller.ask("POST", path, json=body) == (400, {"error": message})


def test_the_notation_covers_outcomes_and_scopes() -> None:
    """A text becomes the same value that Python would write."""
    step = parse(
        "fail:INTERNAL at=PENDING; cost:2; poll:502 times=3 p=0.5 seed=7 body=html; delete:hang; "
        "poll:answer put=status:WAITING; poll:answer put=progress:0.5"
    )

    assert step == Step(
        outcome=Outcome(fail="INTERNAL", at="PENDING", cost=2),
        faults=(
            Fault(on="poll", status=502, times=3, probability=0.5, seed=7, body="html"),
            Fault(on="delete", hang=True),
            Fault(on="poll", put={"status": "WAITING"}),
            Fault(on="poll", put={"progress": 0.5}),
        ),
    )
