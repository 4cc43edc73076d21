"""What the sandbox takes for a body, and what depends on the rest of it."""

from typing import Any

import pytest
from tests.sandbox.callers import ABSENT, BODY, DOC_URL, HEADERS, IDEOGRAM, REFERENCE, Caller, Start
from tests.sandbox.issues import MISSING_MODEL, invalid, one_of, said, unknown, wanted

from taxiway.sandbox.models import load_models

IDEOGRAM_RATIOS = list(load_models()["ideogram_4_5"].ratios)
IDEOGRAM_EDIT = {"model": "ideogram_4_5", "ratio": ABSENT, "referenceImages": [REFERENCE]}


async def test_what_is_not_json_is_a_400(caller: Caller) -> None:
    """A body that cannot be read, and one that is no object, are refused."""
    headers = HEADERS | {"Content-Type": "application/json"}
    broken = await caller.ask("POST", "/v1/text_to_image", data=b'{"model":', headers=headers)
    array = await caller.ask("POST", "/v1/text_to_image", json=[1])

    upload = await caller.ask("POST", "/v1/uploads", data=b"{", headers=headers)

    assert (
        broken == upload == (400, {"error": "Request body is not valid JSON.", "docUrl": DOC_URL})
    )
    assert array == invalid(wanted("object", "array"))


async def test_a_body_that_is_not_declared_as_json_is_not_read(caller: Caller) -> None:
    """Like the vendor's framework, the sandbox takes it for an empty object."""
    headers = HEADERS | {"Content-Type": "text/plain"}
    answer = await caller.ask(
        "POST", "/v1/text_to_image", data=b'{"model": "gen4_image"}', headers=headers
    )

    assert answer == invalid(wanted("string", "undefined", "model"), MISSING_MODEL)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"outputCount": 4, "n": 2, "quality": "high"}, id="ignored on a lax model"),
        pytest.param({"promptText": "\N{FOX FACE}" * 500}, id="a prompt of 1000 units"),
        pytest.param({"seed": 4_294_967_295}, id="the greatest seed"),
        pytest.param({"model": "seedream5_lite", "ratio": "2560:1440"}, id="a free ratio"),
        pytest.param({**IDEOGRAM, "ratio": "1280:720"}, id="ideogram without references"),
        pytest.param(
            {**IDEOGRAM, "ratio": "1024:576", "referenceImages": [REFERENCE]},
            id="ideogram with references",
        ),
        pytest.param({"referenceImages": [{**REFERENCE, "tag": "Fox"}]}, id="a tag in mixed case"),
        pytest.param(
            {
                "model": "seedream5_pro",
                "ratio": "auto_1k",
                "grounding": True,
                "referenceImages": [REFERENCE],
            },
            id="grounding",
        ),
        pytest.param(
            {
                "model": "recraft_v4_1_flash",
                "ratio": "1024:1024",
                "colors": ["#FF8800"],
                "backgroundColor": "#ffffff",
            },
            id="colours",
        ),
        pytest.param({"contentModeration": {"publicFigureThreshold": "low"}}, id="moderation"),
        pytest.param(
            {
                **IDEOGRAM_EDIT,
                "maskUri": "https://images.example/m.png",
                "quality": "very_low",
            },
            id="a mask",
        ),
    ],
)
async def test_what_the_vendor_takes_is_taken(caller: Caller, changes: dict[str, Any]) -> None:
    """The rules refuse no more than the vendor's."""
    assert await caller.create(**changes)


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        pytest.param(
            {**IDEOGRAM, "ratio": "1024:576"},
            {"1024:576", "576:1024", "1408:704", "704:1408"},
            id="without references",
        ),
        pytest.param(
            {**IDEOGRAM, "ratio": "1280:720", "referenceImages": [REFERENCE]},
            {"1280:720", "720:1280", "1440:720", "720:1440"},
            id="with references",
        ),
    ],
)
async def test_references_change_which_ratios_are_taken(
    caller: Caller, changes: dict[str, Any], left_out: set[str]
) -> None:
    """ideogram_4_5 has two sets of ratios, and names those that hold."""
    _, answer = await caller.ask("POST", "/v1/text_to_image", json=BODY | changes)
    (issue,) = answer["issues"]

    assert issue == one_of(issue["values"], "ratio")
    assert not left_out.intersection(issue["values"])
    assert len(issue["values"]) == 27 - 4


async def test_very_low_quality_excludes_a_precise_edit(caller: Caller) -> None:
    """ideogram_4_5 has one pair of fields that do not go together although each is right."""
    body = {
        **IDEOGRAM,
        "promptText": "a red fox",
        "quality": "very_low",
        "preciseEdit": True,
        "referenceImages": [REFERENCE],
    }
    answer = await caller.ask("POST", "/v1/text_to_image", json=body)

    assert answer == invalid(
        said("quality very_low cannot be combined with preciseEdit", "quality")
    )


@pytest.mark.parametrize(
    ("ratio", "code"),
    [
        pytest.param("1024:1024", "custom", id="too small an area"),
        pytest.param("square", "invalid_format", id="no pair"),
        pytest.param("2048:" + "0" * 30, "too_big", id="too long"),
        pytest.param(7, "invalid_type", id="no string"),
    ],
)
async def test_a_free_ratio_says_why_it_does_not_fit(
    caller: Caller, ratio: object, code: str
) -> None:
    """seedream5_lite says so for each of the two ways to give a ratio."""
    body = BODY | {"model": "seedream5_lite", "ratio": ratio}
    _, answer = await caller.ask("POST", "/v1/text_to_image", json=body)
    (issue,) = answer["issues"]
    codes = [[each["code"] for each in form] for form in issue["errors"]]

    assert (issue["code"], issue["path"]) == ("invalid_union", ["ratio"])
    assert codes == [["invalid_value"], [code]]


async def test_a_reference_uri_has_one_of_three_forms(caller: Caller) -> None:
    """HTTPS, runway and data URIs are taken; the refusal goes through all three."""
    body = BODY | {"referenceImages": [{"uri": "http://images.example/a.png"}]}
    _, answer = await caller.ask("POST", "/v1/text_to_image", json=body)
    (issue,) = answer["issues"]

    assert (issue["code"], issue["path"]) == ("invalid_union", ["referenceImages", 0, "uri"])
    assert [form[0]["pattern"] for form in issue["errors"]] == [
        r"/^https:\/\//",
        r"/^runway:\/\//",
        r"/^data:image\//",
    ]


async def test_models_that_nobody_documented_refuse_unknown_keys_unless_told(start: Start) -> None:
    """Where the vendor's habit is unknown, `unknown_keys` decides; refusing is the default."""
    muse = BODY | {"model": "ideogram_4_0", "ratio": "2048:2048", "n": 2}
    _, strict = await start()
    _, lax = await start(unknown_keys="ignore")

    assert await strict.ask("POST", "/v1/text_to_image", json=muse) == invalid(unknown("n"))
    assert (await lax.ask("POST", "/v1/text_to_image", json=muse))[0] == 200


async def test_strict_tags_are_lower_case(start: Start) -> None:
    """With `strict_tags`, the schema's pattern holds."""
    _, caller = await start(strict_tags=True)
    body = BODY | {"referenceImages": [{**REFERENCE, "tag": "Fox"}]}
    _, answer = await caller.ask("POST", "/v1/text_to_image", json=body)

    assert answer["issues"][0]["pattern"] == "/^[a-z][a-z0-9_]+$/"
