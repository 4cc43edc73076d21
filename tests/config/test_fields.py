"""Body fields that an entry sets for every request: what its model takes, and what it does not."""

from collections.abc import Callable

import pytest
from tests.config.loading import Problems

from taxiway.catalogue.models import models
from taxiway.settings import Deployment

MODERATION = (
    "must be a mapping with the key publicFigureThreshold, which is auto or low, not a mapping."
)
URI = "must be an address that begins with https://, runway:// or data:image/, not a list."
TAG = "must be a list whose tags are 3 to 16 letters, digits and _, beginning with a letter, not a list."
SUBJECT = "must be a list whose subjects are object or human, not a list."
REFERENCES = "must be a list of mappings with uri and tag, not a list."
GRADE = "must be one of very_low, low, medium, high, not 'best'."


@pytest.mark.parametrize(
    ("model", "field", "value", "expected"),
    [
        ("gen4_image", "ratio", "'1280:720'", "1280:720"),
        ("gen4_image", "seed", "4294967295", 4294967295),
        (
            "gen4_image",
            "contentModeration",
            "{publicFigureThreshold: low}",
            {"publicFigureThreshold": "low"},
        ),
        (
            "gen4_image",
            "referenceImages",
            "[{uri: 'https://a/b', tag: cat}]",
            [{"uri": "https://a/b", "tag": "cat"}],
        ),
        ("gpt_image_2", "background", "transparent", "transparent"),
        ("seedream5_lite", "ratio", "'2000:2000'", "2000:2000"),
        ("seedream5_lite", "outputFormat", "jpeg", "jpeg"),
        ("seedream5_lite", "grounding", "true", True),
        (
            "gemini_image3_pro",
            "referenceImages",
            "[{uri: 'https://a/b', subject: human}]",
            [{"uri": "https://a/b", "subject": "human"}],
        ),
        ("nano_banana_2.1", "thinkingLevel", "high", "high"),
        ("ideogram_4_5", "quality", "very_low", "very_low"),
        ("ideogram_4_5", "maskUri", "'https://a/b'", "https://a/b"),
        ("recraft_v4_1_flash", "backgroundColor", "'#FF8800'", "#FF8800"),
        ("recraft_v4_1_flash", "colors", "['#FF8800']", ["#FF8800"]),
    ],
)
def test_a_field_for_every_request(
    entry: Callable[..., Deployment], model: str, field: str, value: str, expected: object
) -> None:
    """A body field of the model, by the vendor's name, becomes the default of its requests."""
    assert entry(f"{field}: {value}", model=model).defaults == {field: expected}


@pytest.mark.parametrize(
    ("model", "field", "value", "clause"),
    [
        ("gemini_2.5_flash", "ratio", "'16:9'", "RATIOS, not '16:9'."),
        ("seedream5_lite", "ratio", "'100:100'", "RATIOS, not '100:100'."),
        ("gen4_image", "contentModeration", "{publicFigureThreshold: off}", MODERATION),
        ("gen4_image", "referenceImages", "[{uri: 1}]", URI),
        ("gen4_image", "referenceImages", "[{uri: 'https://a/b', tag: a b}]", TAG),
        ("gen4_image", "referenceImages", "[{uri: 'https://a/b', subject: human}]", REFERENCES),
        ("gemini_image3_pro", "referenceImages", "[{uri: 'https://a/b', subject: dog}]", SUBJECT),
        ("gen4_image", "seed", "-1", "must be a whole number, from 0 to 4294967295, not -1."),
        (
            "gen4_image",
            "contentModeration",
            "low",
            "must be a mapping with the key publicFigureThreshold, which is auto or low, not 'low'.",
        ),
        (
            "gen4_image",
            "referenceImages",
            "[{uri: 'ftp://a'}]",
            "must be an address that begins with https://, runway:// or data:image/, not a list.",
        ),
        (
            "gen4_image",
            "referenceImages",
            "[{url: 'https://a'}]",
            "must be a list of mappings with uri and tag, not a list.",
        ),
        (
            "gen4_image",
            "referenceImages",
            "[]",
            "must be a list of 1 to 3 reference images, not a list.",
        ),
        ("ideogram_4_5", "quality", "best", GRADE),
        ("seedream5_flash", "outputFormat", "gif", "must be one of png, jpeg, not 'gif'."),
        (
            "recraft_v4_1_flash",
            "backgroundColor",
            "red",
            "must be a colour such as \"#FF8800\", not 'red'.",
        ),
        (
            "recraft_v4_1_flash",
            "colors",
            "red",
            "must be a list of colours such as \"#FF8800\", not 'red'.",
        ),
    ],
)
def test_a_field_that_the_model_does_not_take(
    problems: Problems, model: str, field: str, value: str, clause: str
) -> None:
    """A default that the model would refuse stops the start, instead of every request."""
    params = f"{{model: runwayml/{model}, {field}: {value}}}"
    clause = clause.replace("RATIOS", f"must be one of {', '.join(models()[model].ratios)}")

    assert problems(f"model_list: [{{model_name: a, litellm_params: {params}}}]") == (
        f"model_list[0].litellm_params.{field} {clause}",
    )
