"""A catalogue that cannot be right is refused at the start, in a sentence that says where."""

import pytest

from taxiway.catalogue.reading import read
from taxiway.errors import ConfigError

SOUND = """
[[model]]
id = "pine"
provider = "runwayml"
endpoint = "/v1/text_to_image"
fields = ["promptText", "ratio", "referenceImages", "outputCount", "quality", "maskUri"]
required = ["promptText"]
unknown_keys = "refuse"
prompt_max = 1000
ratios = ["1024:1024", "2048:2048", "512:512", "auto"]
ratio_default = "1024:1024"
free_area = [100, 200]
ratios_only_with_references = ["512:512"]
ratios_only_without_references = ["2048:2048"]
ratio_excluded_by = ["maskUri"]
fields_need_references = ["maskUri"]
outputs = { min = 1, max = 4 }
quality = { values = ["low", "high"], default = "high" }
quality_with_references = { default = "low", values = ["low"], unless = ["maskUri"] }
references = { min = 0, max = 3, keys = ["uri"] }
price.rates = [{ tier = "1K", quality = "low", credits = 1 }, { tier = "2K", credits = 2 }]
price.reference = { credits = 1, per = "request" }
price.tiers = { 1K = ["1024:1024", "512:512"], 2K = ["2048:2048", "auto"] }
"""
PINE = "catalogue.model[pine]"


def test_a_sound_catalogue() -> None:
    """The catalogue that the refusals below spoil is itself accepted."""
    assert list(read(SOUND)) == ["pine"]


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        pytest.param("[[model]]", "[[model", "The catalogue is not TOML", id="not TOML"),
        pytest.param("[[model]]", "[model]", "catalogue.model must be a list.", id="no list"),
        pytest.param('id = "pine"', "", "catalogue.model[0].id is missing.", id="no id"),
        pytest.param('"pine"', "5", "catalogue.model[5].id must be a string.", id="id no string"),
        pytest.param("[[", "x = 1\n[[", "catalogue.x is not a key that stands here.", id="root"),
        pytest.param(
            "prompt_max",
            "prompt_maximum",
            f"{PINE}.prompt_maximum is not a key that stands here.",
            id="misspelt key",
        ),
        pytest.param(
            '"high"], default = ',
            '"high"], defualt = ',
            f"{PINE}.quality.defualt is not a key that stands here.",
            id="misspelt key of a table",
        ),
        pytest.param(
            '"refuse"',
            '"refused"',
            f"{PINE}.unknown_keys must be ignore or refuse.",
            id="no such word",
        ),
        pytest.param("1000", "true", f"{PINE}.prompt_max must be an integer.", id="no integer"),
        pytest.param("1000", "0", "prompt_max must be at least 1", id="no room for a prompt"),
        pytest.param(
            '["1024:1024", "2',
            '[1024, "2',
            f"{PINE}.ratios must be a list of strings.",
            id="ratio no string",
        ),
        pytest.param(
            "[100, 200]",
            "[100]",
            f"{PINE}.free_area must be a list of two integers.",
            id="one area",
        ),
        pytest.param(
            "[100, 200]",
            '["100", 200]',
            f"{PINE}.free_area must be a list of integers.",
            id="area no integer",
        ),
        pytest.param("[100, 200]", "[200, 100]", "the smaller first", id="areas upside down"),
        pytest.param(
            "{ min = 1, max = 4 }", "4", f"{PINE}.outputs must be a table.", id="no table"
        ),
        pytest.param("max = 4", "max = 0", "in ascending order", id="outputs upside down"),
        pytest.param(
            "min = 1, max = 4", "max = 4, values = [1]", "either bounds or values", id="outputs"
        ),
        pytest.param("max = 3", "max = -1", "0 <= min <= max", id="references upside down"),
        pytest.param(
            "{ min = 0,", "{", f"{PINE}.references.min is missing.", id="references without min"
        ),
        pytest.param(
            'keys = ["uri"]',
            'keys = ["uri"], unique_tags = 1',
            f"{PINE}.references.unique_tags must be true or false.",
            id="no boolean",
        ),
        pytest.param(
            "price.rates = [",
            "price.rates = [1, ",
            f"{PINE}.price.rates must be a list of tables.",
            id="rate no table",
        ),
        pytest.param('"maskUri"]', '"ratio"]', "fields has 'ratio' twice", id="field twice"),
        pytest.param(
            'required = ["promptText"]',
            'required = ["prompt"]',
            "required names 'prompt', which is no field of the model",
            id="required stranger",
        ),
        pytest.param(
            '"outputCount", ',
            "",
            "outputCount must be both among the fields and described, or neither",
            id="described, no field",
        ),
        pytest.param(
            "\nreferences = {",
            "\n# {",
            "referenceImages must be both among the fields and described, or neither",
            id="field, not described",
        ),
        pytest.param('"512:512", "auto"]', '"512:512"]', "names 'auto'", id="tier beyond the list"),
        pytest.param('2K = ["2048:2048", ', "2K = [", "'2048:2048' is in no tier", id="tier gap"),
        pytest.param(
            '2K = ["2048:2048"', '2K = ["1024:1024"', "has '1024:1024' twice", id="tier overlap"
        ),
        pytest.param('"auto"]\nr', '"auto", "auto"]\nr', "ratios has 'auto' twice", id="twice"),
        pytest.param('"auto"]\nr', '"auto", "0:5"]\nr', "'0:5' is neither", id="no pair"),
        pytest.param('"auto"]\nr', '"auto", "5x5"]\nr', "'5x5' is neither", id="no colon"),
        pytest.param(
            'ratios = ["1024:1024", "2048:2048", "512:512", "auto"]',
            "ratios = []",
            "ratios must not be empty",
            id="no ratio at all",
        ),
        pytest.param(
            'ratio_default = "1024:1024"',
            'ratio_default = "1:1"',
            "ratio_default '1:1' is not among the ratios",
            id="default beyond the list",
        ),
        pytest.param(
            'ratio_default = "1024:1024"',
            'ratio_default = "512:512"',
            "ratio_default '512:512' is not for every request, by ratios_only_with_references",
            id="default for some requests only",
        ),
        pytest.param(
            "free_area",
            "ratio_needs_references = 2\nfree_area",
            "ratio_default is a pixel pair, which ratio_needs_references does not always allow",
            id="default a pair",
        ),
        pytest.param(
            "free_area",
            "ratio_needs_references = -1\nfree_area",
            "ratio_needs_references must not be negative",
            id="negative references",
        ),
        pytest.param(
            'required = ["promptText"]\n',
            'required = ["promptText", "ratio"]\n',
            "ratio is required, so ratio_excluded_by cannot be",
            id="required and excluded",
        ),
        pytest.param(
            'required = ["promptText"]\nunknown_keys = "refuse"\nprompt_max = 1000\n'
            'ratios = ["1024:1024", "2048:2048", "512:512", "auto"]\nratio_default = "1024:1024"',
            'required = ["ratio"]\nratios = ["1024:1024", "2048:2048", "512:512", "auto"]',
            "ratio is required, so ratio_default must be set",
            id="required without default",
        ),
        pytest.param(
            'with_references = ["512:512"]',
            'with_references = ["5:5"]',
            "ratios_only_with_references names '5:5', which is no ratio of the model",
            id="condition on a stranger",
        ),
        pytest.param(
            'without_references = ["2048:2048"]',
            'without_references = ["512:512"]',
            "ratio '512:512' is for requests with references only, and without only",
            id="never to be had",
        ),
        pytest.param(
            'need_references = ["maskUri"]',
            'need_references = ["edit"]',
            "fields_need_references names 'edit', which is no field of the model",
            id="needing stranger",
        ),
        pytest.param('"high" }', '"max" }', "quality's default 'max' is not", id="no such default"),
        pytest.param('["low", "high"]', "[]", "quality must list its values", id="no values"),
        pytest.param(
            'values = ["low"]',
            'values = ["max"]',
            "quality_with_references names 'max', which is no quality of the model",
            id="no such quality",
        ),
        pytest.param(
            'unless = ["maskUri"]',
            'unless = ["edit"]',
            "quality_with_references names 'edit', which is no field of the model",
            id="no such exception",
        ),
        pytest.param(
            'tier = "2K"',
            'tier = "4K"',
            "a rate is for the tier '4K', which is not described",
            id="no such tier",
        ),
        pytest.param(
            'quality = "low", credits',
            'quality = "max", credits',
            "a rate is for the quality 'max', which the model does not have",
            id="rate of no quality",
        ),
        pytest.param("credits = 2", "credits = -2", "credits must not be negative", id="negative"),
        pytest.param(
            "credits = 2", "credits = 2.5", "credits must be an integer.", id="half a credit"
        ),
        pytest.param('tier = "2K", ', "", "two rates fit the same image", id="rates overlap"),
        pytest.param(
            "{ credits = 1, per",
            "{ credits = -1, per",
            "the credits of a reference must not be negative",
            id="negative surcharge",
        ),
        pytest.param(
            '"request"',
            '"image"',
            f"{PINE}.price.reference.per must be request or output.",
            id="surcharge on what",
        ),
        pytest.param(
            "\nreferences = {",
            "\n# {",
            "a reference has a price, and none is accepted",
            id="no use",
        ),
    ],
)
def test_broken_catalogues(right: str, wrong: str, complaint: str) -> None:
    """A catalogue with a slip of the pen is refused at the start, and the message says where."""
    assert right in SOUND

    with pytest.raises(ConfigError) as caught:
        read(SOUND.replace(right, wrong, 1))

    assert complaint in caught.value.message


def test_a_model_listed_twice() -> None:
    """A second entry of the same name is refused, since one of the two would be lost."""
    with pytest.raises(ConfigError) as caught:
        read(SOUND + SOUND)

    assert caught.value.message == "The catalogue lists pine twice."
