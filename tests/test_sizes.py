"""From the size a caller asks for to the ratio Runway is sent."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.catalogue import sizes
from taxiway.catalogue.models import Model, model, models
from taxiway.errors import BadRequestError
from taxiway.jobs import GenerationRequest
from taxiway.providers.runway_requests import RunwayModel
from taxiway.settings import Deployment

COMMON = ("1024x1024", "1792x1024", "1024x1792", "1920x1080", "1080x1920")
MASK: dict[str, object] = {"maskUri": "https://example.com/mask.png"}
PRECISE: dict[str, object] = {"preciseEdit": True}

#: models, references, options → what the five common sizes and `auto` become. None: `ratio` is left out.
TABLE: list[tuple[str, int, dict[str, object], tuple[str | None, ...]]] = [
    (
        "gen4_image gen4_image_turbo",
        1,
        {},
        ("1024:1024", "1360:768", "1080:1920", "1920:1080", "1080:1920", "1920:1080"),
    ),
    (
        "gpt_image_2 gpt_image_2_5_flare gpt_image_2_5_sunburst",
        0,
        {},
        ("1920:1920", "1920:1088", "1088:1920", "2560:1440", "1440:2560", "1920:1920"),
    ),
    (
        "gemini_2.5_flash",
        0,
        {},
        ("1024:1024", "1344:768", "768:1344", "1344:768", "768:1344", "1024:1024"),
    ),
    (
        "gemini_image3_pro gemini_image3.1_flash",
        0,
        {},
        ("1024:1024", "1344:768", "768:1344", "2752:1536", "1536:2752", "1024:1024"),
    ),
    (
        "gemini_image3.1_flash_lite nano_banana_2.1",
        0,
        {},
        ("1024:1024", "1376:768", "768:1376", "1376:768", "768:1376", "1024:1024"),
    ),
    (
        "seedream5_pro",
        0,
        {},
        ("1024:1024", "1376:768", "768:1376", "2720:1530", "1530:2720", "auto_1k"),
    ),
    (
        "seedream5_lite",
        0,
        {},
        ("2048:2048", "2848:1600", "1600:2848", "2848:1600", "1600:2848", "2048:2048"),
    ),
    (
        "seedream5_flash",
        0,
        {},
        ("1024:1024", "1376:768", "768:1376", "2848:1600", "1600:2848", "auto_1k"),
    ),
    (
        "grok_imagine_image_2",
        0,
        {},
        ("1024:1024", "1280:720", "720:1280", "2816:1584", "1584:2816", "auto_1k"),
    ),
    (
        "muse_image",
        0,
        {},
        ("1600:1600", "2016:1152", "1152:2016", "2016:1152", "1152:2016", "auto"),
    ),
    (
        "bria_fibo_1_5",
        0,
        {},
        ("1024:1024", "2048:1152", "1152:2048", "2048:1152", "1152:2048", "1024:1024"),
    ),
    (
        "bria_fibo_edit_1_5",
        2,
        {},
        ("1024:1024", "1024:576", "576:1024", "1024:576", "576:1024", None),
    ),
    ("bria_fibo_edit_1_5", 1, {}, (None, None, None, None, None, None)),
    ("ideogram_4_5", 1, MASK, (None, None, None, None, None, None)),
    ("ideogram_4_5", 1, PRECISE, (None, None, None, None, None, None)),
    (
        "ideogram_4_0",
        0,
        {},
        ("2048:2048", "2560:1440", "1440:2560", "2560:1440", "1440:2560", None),
    ),
    (
        "ideogram_4_5",
        0,
        {},
        ("1024:1024", "1280:720", "720:1280", "2560:1440", "1440:2560", None),
    ),
    (
        "ideogram_4_5",
        1,
        {},
        ("1024:1024", "2560:1440", "1440:2560", "2560:1440", "1440:2560", None),
    ),
    (
        "recraft_v4_1_flash",
        0,
        {},
        ("1024:1024", "1344:768", "768:1344", "1344:768", "768:1344", "1024:1024"),
    ),
    (
        "recraft_v4_1_vector",
        0,
        {},
        ("1024:1024", "1344:768", "768:1344", "1344:768", "768:1344", None),
    ),
]


@pytest.mark.parametrize(
    ("name", "references", "options", "size", "expected"),
    [
        pytest.param(
            name, references, options, size, ratio, id=f"{name}-{references}-{[*options]}-{size}"
        )
        for names, references, options, row in TABLE
        for name in names.split()
        for size, ratio in zip((*COMMON, "auto"), row, strict=True)
    ],
)
def test_common_sizes(
    name: str, references: int, options: dict[str, object], size: str, expected: str | None
) -> None:
    """The five common sizes and `auto` are honoured by every model, with its nearest picture."""
    sent = sizes.resolve(model(name), size, references=references, options=options)

    assert expected == sent


def test_the_table_knows_every_model() -> None:
    """No model is left out of the table above."""
    listed = {name for names, *_ in TABLE for name in names.split()}

    assert set(models()) == listed


@pytest.mark.parametrize("name", models())
def test_without_a_size(name: str) -> None:
    """A request without a size means the same as `auto`."""
    auto = sizes.resolve(model(name), "auto", references=1, options={})

    assert auto == sizes.resolve(model(name), None, references=1, options={})


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        pytest.param("gen4_image", "1168x880", "1168:880", id="a size of the list"),
        pytest.param("gemini_image3.1_flash", "1408x11264", "1408:11264", id="five digits"),
        pytest.param("seedream5_pro", "auto_1k", "auto_1k", id="a special value"),
        pytest.param("grok_imagine_image_2", "auto_2k", "auto_2k", id="the dearer special value"),
        pytest.param("seedream5_lite", "1920x1920", "1920:1920", id="the least free area"),
        pytest.param("seedream5_lite", "4096x4096", "4096:4096", id="the greatest free area"),
        pytest.param("seedream5_lite", "12000x400", "12000:400", id="a free strip"),
    ],
)
def test_accepted_as_it_is(name: str, size: str, expected: str) -> None:
    """A size the model makes is sent unchanged, with the vendor's colon."""
    assert expected == sizes.resolve(model(name), size, references=0, options={})


@pytest.mark.parametrize(
    ("name", "references", "options", "size"),
    [
        pytest.param("gen4_image", 0, {}, "512x512", id="not in the list"),
        pytest.param("gen4_image", 0, {}, "1920:1080", id="the vendor's spelling"),
        pytest.param("gen4_image", 0, {}, "1920X1080", id="a capital X"),
        pytest.param("gen4_image", 0, {}, "01920x1080", id="a leading zero"),
        pytest.param("gen4_image", 0, {}, "1920x1080\n", id="a line break behind it"),
        pytest.param(
            "gen4_image", 0, {}, "\u0661\u0669\u0662\u0660x1080", id="digits of another script"
        ),
        pytest.param("gen4_image", 0, {}, "", id="empty"),
        pytest.param("gen4_image", 0, {}, "large", id="a word"),
        pytest.param("gen4_image", 0, {}, "auto_1k", id="another model's special value"),
        pytest.param("gen4_image", 0, {}, "1792x1344", id="another model's size"),
        pytest.param("seedream5_lite", 0, {}, "1919x1920", id="below the free area"),
        pytest.param("seedream5_lite", 0, {}, "4096x4097", id="above the free area"),
        pytest.param("ideogram_4_5", 0, {}, "1024x576", id="for references only"),
        pytest.param("ideogram_4_5", 1, {}, "1280x720", id="for no references only"),
        pytest.param("ideogram_4_5", 1, MASK, "2048x2048", id="beside a mask"),
        pytest.param("ideogram_4_5", 1, PRECISE, "2048x2048", id="beside a precise edit"),
        pytest.param("bria_fibo_edit_1_5", 1, {}, "768x1152", id="with one reference"),
    ],
)
def test_refused(name: str, references: int, options: dict[str, object], size: str) -> None:
    """Any other size is refused, in the words of OpenAI's field."""
    with pytest.raises(BadRequestError) as caught:
        sizes.resolve(model(name), size, references=references, options=options)

    assert (caught.value.code, caught.value.param) == ("invalid_size", "size")


def test_a_refusal_lists_what_is_accepted() -> None:
    """A refusal names the model, the size, and every size that would have been taken."""
    with pytest.raises(BadRequestError) as caught:
        sizes.resolve(model("seedream5_lite"), "640x480", references=0, options={})

    assert caught.value.message == (
        "The model seedream5_lite does not make the size '640x480' from this request; it takes "
        "auto, 2048x2048, 2304x1728, 1728x2304, 2848x1600, 1600x2848, 2496x1664, 1664x2496, "
        "3136x1344, 3072x3072, 3456x2592, 2592x3456, 4096x2304, 2304x4096, 3744x2496, 2496x3744, "
        "4704x2016, 1024x1024, 1792x1024, 1024x1792, 1920x1080, 1080x1920, "
        "and any WIDTHxHEIGHT of 3686400 to 16777216 pixels in all."
    )


def test_a_false_option_changes_nothing() -> None:
    """`preciseEdit: false` and an absent mask leave the size to the caller."""
    options = {"preciseEdit": False, "maskUri": None}
    sent = sizes.resolve(model("ideogram_4_5"), "2048x2048", references=1, options=options)

    assert sent == "2048:2048"


@pytest.mark.parametrize(
    ("name", "references", "expected"),
    [
        pytest.param(
            "muse_image",
            None,
            "auto 2352x1008 2016x1152 1920x1280 1792x1344 1600x1600 1344x1792 1280x1920 1152x2016 "
            "1024x1024 1792x1024 1024x1792 1920x1080 1080x1920",
            id="auto is named once",
        ),
        pytest.param(
            "bria_fibo_edit_1_5",
            1,
            "auto 1024x1024 1792x1024 1024x1792 1920x1080 1080x1920",
            id="one reference leaves the common sizes",
        ),
        pytest.param(
            "bria_fibo_edit_1_5",
            None,
            "auto 1024x1024 768x1152 1152x768 768x1024 1024x768 768x960 960x768 576x1024 1024x576 "
            "1792x1024 1024x1792 1920x1080 1080x1920",
            id="over all requests",
        ),
        pytest.param(
            "seedream5_pro",
            0,
            "auto auto_1k auto_2k 1024x1024 1184x896 896x1184 1376x768 768x1376 1296x864 864x1296 "
            "2048x2048 2304x1728 1728x2304 2720x1530 1530x2720 2496x1664 1664x2496 "
            "1792x1024 1024x1792 1920x1080 1080x1920",
            id="special values come first",
        ),
    ],
)
def test_the_list_of_accepted_sizes(name: str, references: int | None, expected: str) -> None:
    """The list has `auto`, special values, the model's sizes in its order, then the common ones."""
    assert tuple(expected.split()) == sizes.accepted(model(name), references=references)


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [("1920:1080", "1920x1080"), ("auto", None), ("auto_1k", None), (None, None)],
)
def test_the_size_of_a_ratio(ratio: str | None, expected: str | None) -> None:
    """A pixel pair tells its size; a special value leaves it to the model."""
    assert expected == sizes.to_size(ratio)


a_model = st.sampled_from(list(models().values()))
a_side = st.integers(0, 20_000)
a_size = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.builds("{}x{}".format, a_side, a_side),
    st.sampled_from([size for entry in models().values() for size in sizes.accepted(entry)]),
)
some_options = st.fixed_dictionaries(
    {}, optional={"maskUri": st.just("https://example.com/m.png"), "preciseEdit": st.booleans()}
)


@settings(deadline=None)
@given(entry=a_model, size=a_size, references=st.integers(0, 5), options=some_options)
def test_whatever_is_sent_is_legal(
    entry: Model, size: str | None, references: int, options: dict[str, object]
) -> None:
    """A size is refused, or becomes a ratio the model takes in this very request, or none at all."""
    try:
        ratio = sizes.resolve(entry, size, references=references, options=options)
    except BadRequestError:
        assert size not in sizes.accepted(entry, references=references, options=options)
        return
    if ratio is None:
        assert "ratio" not in entry.required
    elif ratio in entry.ratios:
        takes = sizes.accepted(entry, references=references, options=options)
        assert ratio in takes or sizes.to_size(ratio) in takes
    else:
        width, height = ratio.split(":")
        assert ("seedream5_lite", size) == (entry.id, f"{width}x{height}")
        assert 3_686_400 <= int(width) * int(height) <= 16_777_216


@settings(deadline=None)
@given(
    entry=a_model,
    size=st.sampled_from(COMMON),
    references=st.integers(0, 5),
    options=some_options,
)
def test_a_common_size_is_never_refused(
    entry: Model, size: str, references: int, options: dict[str, object]
) -> None:
    """No model, no references and no option make a common size an error."""
    ratio = sizes.resolve(entry, size, references=references, options=options)

    assert ratio is None or sizes.to_size(ratio) is not None


@pytest.mark.parametrize("size", [None, "auto", "1280x720"])
@pytest.mark.parametrize("name", ["gen4_image", "a_model_of_tomorrow"])
def test_a_size_may_be_named_as_the_vendor_does(name: str, size: str | None) -> None:
    """`ratio` is what is sent, beside no size, `auto` or the same one; beside another size it is a refusal."""
    deployment = Deployment(id=name, model_name=name, provider="runwayml", model=name)
    request = GenerationRequest(
        model=name, prompt="A red fox", size=size, options={"ratio": "1280:720"}
    )

    assert RunwayModel(deployment).body(request, images=1)["ratio"] == "1280:720"
    with pytest.raises(BadRequestError, match="send one of them"):
        RunwayModel(deployment).plan(replace(request, size="1920x1080"))
