"""How the sandbox refuses a body: in the vendor's words, all issues at once."""

from typing import Any

import pytest
from tests.sandbox.callers import ABSENT, BODY, GROK, IDEOGRAM, PRO, REFERENCE, Caller
from tests.sandbox.issues import (
    GEN4_RATIOS,
    MISSING_MODEL,
    bound,
    invalid,
    one_of,
    said,
    unknown,
    wanted,
)

from taxiway.sandbox.models import load_models

IDEOGRAM_RATIOS = list(load_models()["ideogram_4_5"].ratios)
IDEOGRAM_EDIT = {"model": "ideogram_4_5", "ratio": ABSENT, "referenceImages": [REFERENCE]}


@pytest.mark.parametrize(
    ("changes", "issues"),
    [
        pytest.param({"ratio": "1792:1024"}, [one_of(GEN4_RATIOS, "ratio")], id="ratio not listed"),
        pytest.param(
            {"promptText": "x" * 1001},
            [bound("too_big", "string", 1000, "promptText")],
            id="prompt too long",
        ),
        pytest.param(
            {"promptText": "\N{FOX FACE}" * 501},
            [bound("too_big", "string", 1000, "promptText")],
            id="an emoji counts as two",
        ),
        pytest.param(
            {"promptText": ""}, [bound("too_small", "string", 1, "promptText")], id="empty prompt"
        ),
        pytest.param({"promptText": None}, [wanted("string", "null", "promptText")], id="null"),
        pytest.param({"seed": -1}, [bound("too_small", "number", 0, "seed")], id="seed below 0"),
        pytest.param(
            {"seed": 4_294_967_296},
            [bound("too_big", "number", 4_294_967_295, "seed")],
            id="seed too big",
        ),
        pytest.param({"seed": "7"}, [wanted("number", "string", "seed")], id="seed no number"),
        pytest.param(
            {"seed": 1.5},
            [
                {
                    "expected": "int",
                    "format": "safeint",
                    "code": "invalid_type",
                    "path": ["seed"],
                    "message": "Invalid input: expected int, received number",
                }
            ],
            id="seed not whole",
        ),
        pytest.param(
            {"contentModeration": "low"},
            [wanted("object", "string", "contentModeration")],
            id="moderation no object",
        ),
        pytest.param(
            {"referenceImages": [7, {"tag": 5}, {"uri": 1, "tag": "x" * 17}]},
            [
                wanted("object", "number", "referenceImages", 0),
                wanted("string", "undefined", "referenceImages", 1, "uri"),
                wanted("string", "number", "referenceImages", 1, "tag"),
                wanted("string", "number", "referenceImages", 2, "uri"),
                bound("too_big", "string", 16, "referenceImages", 2, "tag"),
            ],
            id="references of wrong types",
        ),
        pytest.param(
            {**PRO, "referenceImages": [{**REFERENCE, "subject": "cat"}]},
            [one_of(["object", "human"], "referenceImages", 0, "subject")],
            id="no such subject",
        ),
        pytest.param(
            {"model": "seedream5_pro", "ratio": "auto_1k", "grounding": "yes"},
            [wanted("boolean", "string", "grounding")],
            id="no boolean",
        ),
        pytest.param(
            {"model": "recraft_v4_1_flash", "ratio": "1024:1024", "colors": "#ff8800"},
            [wanted("array", "string", "colors")],
            id="colours no array",
        ),
        pytest.param(
            {"model": "recraft_v4_1_flash", "ratio": "1024:1024", "colors": ["#ff8800", 7]},
            [wanted("string", "number", "colors", 1)],
            id="one colour no string",
        ),
        pytest.param(
            {
                **IDEOGRAM,
                "ratio": None,
                "quality": "very_low",
                "preciseEdit": True,
                "referenceImages": [REFERENCE],
            },
            [one_of(IDEOGRAM_RATIOS, "ratio")],
            id="null is not absent",
        ),
        pytest.param(
            {"ratio": "1:1", "seed": -1, "promptText": ""},
            [
                bound("too_small", "string", 1, "promptText"),
                one_of(GEN4_RATIOS, "ratio"),
                bound("too_small", "number", 0, "seed"),
            ],
            id="all issues at once",
        ),
        pytest.param(
            {"contentModeration": {"publicFigureThreshold": "high", "more": 1}},
            [
                one_of(["auto", "low"], "contentModeration", "publicFigureThreshold"),
                unknown("more", "contentModeration"),
            ],
            id="moderation",
        ),
        pytest.param(
            {"model": "gen4_image_turbo"},
            [wanted("array", "undefined", "referenceImages")],
            id="turbo without references",
        ),
        pytest.param(
            {"model": "gen4_image_turbo", "referenceImages": []},
            [bound("too_small", "array", 1, "referenceImages")],
            id="turbo with no reference",
        ),
        pytest.param(
            {"referenceImages": [REFERENCE] * 4},
            [bound("too_big", "array", 3, "referenceImages")],
            id="too many references",
        ),
        pytest.param(
            {"referenceImages": [{**REFERENCE, "tag": "ab"}]},
            [bound("too_small", "string", 3, "referenceImages", 0, "tag")],
            id="tag too short",
        ),
        pytest.param(
            {"referenceImages": [{**REFERENCE, "weight": 1}]},
            [unknown("weight", "referenceImages", 0)],
            id="unknown key of a reference",
        ),
        pytest.param({**PRO, "n": 2}, [unknown("n")], id="unknown key of a strict model"),
        pytest.param({**PRO, "outputCount": 2}, [one_of([1, 4], "outputCount")], id="1 or 4"),
        pytest.param(
            {**PRO, "referenceImages": [{**REFERENCE, "subject": "human"}] * 6},
            [said("At most 5 human reference images", "referenceImages")],
            id="too many people",
        ),
        pytest.param(
            {**GROK, "outputCount": 5},
            [bound("too_big", "number", 4, "outputCount")],
            id="too many",
        ),
        pytest.param(
            {**GROK, "edit": True},
            [said("edit requires at least one reference image", "edit")],
            id="edit of nothing",
        ),
        pytest.param(
            {**GROK, "quality": "high"}, [one_of(["low", "medium"], "quality")], id="quality"
        ),
        pytest.param(
            {
                "model": "gpt_image_2",
                "ratio": "1920:1920",
                "referenceImages": [{**REFERENCE, "tag": "same"}] * 2,
            },
            [said("Reference image tags must be unique", "referenceImages")],
            id="tags not unique",
        ),
        pytest.param(
            {
                **IDEOGRAM,
                "ratio": "1024:1024",
                "maskUri": "https://images.example/m.png",
                "referenceImages": [REFERENCE],
            },
            [said("ratio cannot be combined with maskUri", "ratio")],
            id="mask and ratio",
        ),
        pytest.param(
            {**IDEOGRAM, "ratio": "1024:1024", "quality": "very_low"},
            [said("quality very_low requires at least one reference image", "quality")],
            id="very low without a reference",
        ),
        pytest.param(
            {"model": "bria_fibo_edit_1_5", "referenceImages": [REFERENCE], "ratio": "1024:1024"},
            [said("ratio requires at least 2 reference images", "ratio")],
            id="a pair needs two references",
        ),
        pytest.param(
            {"model": "recraft_v4_1_vector", "ratio": "1024:1024", "backgroundColor": "red"},
            [
                {
                    "origin": "string",
                    "code": "invalid_format",
                    "format": "regex",
                    "pattern": "/^#[0-9A-Fa-f]{6}$/",
                    "path": ["backgroundColor"],
                    "message": "Invalid string: must match pattern /^#[0-9A-Fa-f]{6}$/",
                }
            ],
            id="no colour",
        ),
    ],
)
async def test_a_wrong_body_is_a_400_that_lists_what_is_wrong(
    caller: Caller, changes: dict[str, Any], issues: list[Any]
) -> None:
    """Issues come in Zod's words, all of them together, and nothing is created or charged."""
    answer = await caller.ask("POST", "/v1/text_to_image", json=BODY | changes)

    assert answer == invalid(*issues)
    assert (await caller.ask("GET", "/sandbox/state"))[1]["charged_credits"] == 0


async def test_an_empty_body_misses_its_model(caller: Caller) -> None:
    """Of a body without a model, only the model is spoken of."""
    answer = await caller.ask("POST", "/v1/text_to_image", json={})

    assert answer == invalid(wanted("string", "undefined", "model"), MISSING_MODEL)


async def test_an_unknown_model_lists_all_that_there_are(caller: Caller) -> None:
    """A refusal of a model names the 21 that are accepted."""
    _, answer = await caller.ask("POST", "/v1/text_to_image", json=BODY | {"model": "dall-e-3"})
    first, second = answer["issues"]

    assert first == one_of(first["values"], "model")
    assert len(first["values"]) == 21
    assert second == MISSING_MODEL
