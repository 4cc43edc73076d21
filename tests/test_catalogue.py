"""The models Taxiway knows, and that its facts are the vendor's."""

from collections.abc import Iterator
from typing import Literal, Required, get_args, get_origin, get_type_hints

import pytest
from runwayml.types import text_to_image_create_params

from taxiway.catalogue import qualities
from taxiway.catalogue.models import model, models

RATIO_COUNTS = {
    "gen4_image": 16,
    "gen4_image_turbo": 16,
    "gpt_image_2": 31,
    "gpt_image_2_5_flare": 31,
    "gpt_image_2_5_sunburst": 31,
    "gemini_2.5_flash": 10,
    "gemini_image3_pro": 30,
    "gemini_image3.1_flash": 56,
    "gemini_image3.1_flash_lite": 10,
    "nano_banana_2.1": 42,
    "seedream5_pro": 16,
    "seedream5_lite": 16,
    "seedream5_flash": 18,
    "grok_imagine_image_2": 28,
    "muse_image": 9,
    "bria_fibo_1_5": 18,
    "bria_fibo_edit_1_5": 10,
    "ideogram_4_0": 9,
    "ideogram_4_5": 27,
    "recraft_v4_1_flash": 14,
    "recraft_v4_1_vector": 5,
}
PROMPT_MAX = {
    "gen4_image": 1000,
    "gen4_image_turbo": 1000,
    "gpt_image_2": 32000,
    "gemini_2.5_flash": 5500,
    "gemini_image3_pro": 5500,
    "gemini_image3.1_flash": 5500,
    "seedream5_pro": 4000,
    "seedream5_lite": 4000,
    "muse_image": 4000,
    "grok_imagine_image_2": 2500,
}
UNKNOWN_KEYS = {
    "gen4_image": "ignore",
    "gen4_image_turbo": "ignore",
    "gemini_image3.1_flash": "ignore",
    "gemini_2.5_flash": "ignore",
    "gpt_image_2": "refuse",
    "gemini_image3_pro": "refuse",
    "muse_image": "refuse",
    "seedream5_pro": "refuse",
    "seedream5_lite": "refuse",
    "grok_imagine_image_2": "refuse",
}
#: least, most, listed counts; None where nobody has published the bound.
OUTPUTS = {
    "gpt_image_2": (1, 10, ()),
    "gpt_image_2_5_flare": (1, 10, ()),
    "gpt_image_2_5_sunburst": (1, 10, ()),
    "muse_image": (1, 10, ()),
    "seedream5_pro": (1, 4, ()),
    "seedream5_lite": (1, 4, ()),
    "grok_imagine_image_2": (1, 4, ()),
    "gemini_image3_pro": (None, None, (1, 4)),
    "gemini_image3.1_flash": (None, None, (1, 4)),
    "gemini_image3.1_flash_lite": (None, None, (1, 4)),
    "ideogram_4_0": (None, None, ()),
    "ideogram_4_5": (None, None, ()),
    "seedream5_flash": (None, None, ()),
    "nano_banana_2.1": (None, None, ()),
    "recraft_v4_1_flash": (None, None, ()),
}
#: least, most, human, object, unique tags
REFERENCES = {
    "gen4_image": (0, 3, None, None, False),
    "gemini_2.5_flash": (0, 3, None, None, False),
    "gen4_image_turbo": (1, 3, None, None, False),
    "gemini_image3_pro": (0, 14, 5, 9, False),
    "gemini_image3.1_flash": (0, 14, 5, 9, False),
    "gemini_image3.1_flash_lite": (0, 14, 5, 9, False),
    "nano_banana_2.1": (0, 14, None, None, False),
    "gpt_image_2": (0, 16, None, None, True),
    "gpt_image_2_5_flare": (0, 16, None, None, True),
    "gpt_image_2_5_sunburst": (0, 16, None, None, True),
    "seedream5_pro": (0, 10, None, None, False),
    "seedream5_lite": (0, 14, None, None, False),
    "seedream5_flash": (0, None, None, None, False),
    "muse_image": (0, 10, None, None, False),
    "grok_imagine_image_2": (0, 3, None, None, False),
    "bria_fibo_1_5": (0, 1, None, None, False),
    "ideogram_4_0": (0, None, None, None, False),
    "bria_fibo_edit_1_5": (1, 4, None, None, False),
    "ideogram_4_5": (0, 5, None, None, False),
}
#: field → its default; None: unknown
DEFAULTS = {
    "gpt_image_2": {"quality": "high", "background": "auto"},
    "gpt_image_2_5_flare": {"quality": "high", "background": "auto"},
    "gpt_image_2_5_sunburst": {"quality": "high", "background": "auto"},
    "grok_imagine_image_2": {"quality": "medium"},
    "ideogram_4_0": {"quality": None},
    "ideogram_4_5": {"quality": "high"},
    "seedream5_pro": {"outputFormat": "png"},
    "seedream5_lite": {"outputFormat": "png"},
    "seedream5_flash": {"outputFormat": "png"},
    "bria_fibo_1_5": {"outputFormat": "png"},
    "bria_fibo_edit_1_5": {"outputFormat": "png"},
    "muse_image": {"outputFormat": "png"},
    "recraft_v4_1_flash": {"outputFormat": "webp"},
    "nano_banana_2.1": {"thinkingLevel": "medium"},
}
CHOICES = {
    "quality": "quality",
    "outputFormat": "output_format",
    "background": "background",
    "thinkingLevel": "thinking_level",
}


def test_number_of_ratios() -> None:
    """Every image model is there, with all of its ratios."""
    assert {name: len(entry.ratios) for name, entry in models().items()} == RATIO_COUNTS


def test_prompt_lengths() -> None:
    """The longest prompt is known for ten models."""
    known = {name: entry.prompt_max for name, entry in models().items() if entry.prompt_max}

    assert known == PROMPT_MAX


def test_unknown_keys() -> None:
    """What a model does with a stray key is known for ten models."""
    known = {name: entry.unknown_keys for name, entry in models().items() if entry.unknown_keys}

    assert known == UNKNOWN_KEYS


def test_outputs() -> None:
    """Fifteen models make several images in one task, as far as their bounds allow."""
    known = {
        name: (entry.outputs.min, entry.outputs.max, entry.outputs.values)
        for name, entry in models().items()
        if entry.outputs is not None
    }

    assert known == OUTPUTS


def test_references() -> None:
    """Nineteen models take reference images; the gen4 turbo and the bria editor insist on one."""
    known = {
        name: (taken.min, taken.max, taken.human_max, taken.object_max, taken.unique_tags)
        for name, entry in models().items()
        if (taken := entry.references) is not None
    }

    assert known == REFERENCES


def test_defaults() -> None:
    """What stands for a field that is not sent is known for all choices but one."""
    known = {
        name: {
            field: choices.default
            for field, attribute in CHOICES.items()
            if (choices := getattr(entry, attribute)) is not None
        }
        for name, entry in models().items()
    }

    assert {name: defaults for name, defaults in known.items() if defaults} == DEFAULTS


def test_fields_that_need_a_reference() -> None:
    """Two models have a field that means nothing without a reference image."""
    needs = {
        name: entry.fields_need_references
        for name, entry in models().items()
        if entry.fields_need_references
    }

    assert needs == {"grok_imagine_image_2": ("edit",), "ideogram_4_5": ("preciseEdit",)}


def test_an_unknown_model() -> None:
    """A name outside the catalogue is a `KeyError`; the caller knows what to say about it."""
    with pytest.raises(KeyError):
        model("gen5_image")


@pytest.mark.parametrize(
    ("name", "references", "options", "default", "allowed"),
    [
        pytest.param("gen4_image", 0, {}, None, "", id="no such field"),
        pytest.param("gpt_image_2", 3, {}, "high", "low medium high auto", id="one rule for all"),
        pytest.param("ideogram_4_0", 0, {}, None, "low medium high", id="unknown default"),
        pytest.param("ideogram_4_5", 0, {}, "high", "low medium high", id="without references"),
        pytest.param(
            "ideogram_4_5", 1, {}, "medium", "very_low low medium high", id="with references"
        ),
        pytest.param(
            "ideogram_4_5",
            1,
            {"preciseEdit": True},
            "high",
            "low medium high",
            id="with references and a precise edit",
        ),
    ],
)
def test_qualities(
    name: str, references: int, options: dict[str, object], default: str | None, allowed: str
) -> None:
    """A model's default quality, and the ones a request may name, can depend on its references."""
    entry = model(name)

    assert default == qualities.default(entry, references=references, options=options)
    assert tuple(allowed.split()) == qualities.allowed(
        entry, references=references, options=options
    )


def _bare(hint: object) -> Iterator[object]:
    """Yield what a type of the vendor's SDK says once `Required`, `Annotated` and unions are off."""
    if get_origin(hint) is Required or hasattr(hint, "__metadata__"):
        yield from _bare(get_args(hint)[0])
    elif get_origin(hint) is Literal or not get_args(hint):
        yield hint
    else:
        for part in get_args(hint):
            yield from _bare(part)


def _words(hint: object) -> tuple[object, ...]:
    return next((get_args(part) for part in _bare(hint) if get_origin(part) is Literal), ())


def _wire_name(field: str, hint: object) -> str:
    inner = get_args(hint)[0] if get_origin(hint) is Required else hint
    alias = getattr(inner, "__metadata__", ())
    return alias[0].alias if alias else field


def _sdk() -> dict[object, dict[str, object]]:
    """Return the fields of each model, under their wire names, as the vendor's SDK types them."""
    found: dict[object, dict[str, object]] = {}
    for shape in get_args(text_to_image_create_params.TextToImageCreateParams):
        hints = get_type_hints(shape, include_extras=True)
        (name,) = _words(hints.pop("model"))
        found[name] = {_wire_name(field, hint): hint for field, hint in hints.items()}
    return found


SDK = _sdk()


def test_the_sdk_has_the_same_models() -> None:
    """The vendor's SDK and the catalogue know the same models."""
    assert set(SDK) == set(models())


@pytest.mark.parametrize("name", RATIO_COUNTS)
def test_the_sdk_has_the_same_facts(name: str) -> None:
    """Fields, required fields, ratios in their order, and choices are those of the vendor's SDK."""
    entry, shape = model(name), SDK[name]
    choices = {field: getattr(entry, key) for field, key in CHOICES.items() if field in shape}

    assert set(shape) == set(entry.fields)
    assert set(entry.required) == {f for f, hint in shape.items() if get_origin(hint) is Required}
    assert _words(shape["ratio"]) == entry.ratios
    assert {field: set(_words(shape[field])) for field in choices} == {
        field: set(facts.values) for field, facts in choices.items()
    }


@pytest.mark.parametrize("name", REFERENCES)
def test_the_sdk_has_the_same_reference_keys(name: str) -> None:
    """A reference image has the keys that the vendor's SDK gives it."""
    taken = model(name).references
    hint = SDK[name]["referenceImages"]
    (shape,) = [part for part in _bare(hint) if isinstance(part, type)]

    assert taken is not None
    assert set(get_type_hints(shape)) == set(taken.keys)
