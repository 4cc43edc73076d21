"""What an image costs by the catalogue."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.catalogue import prices
from taxiway.catalogue.models import Model, model, models

PRECISE = {"preciseEdit": True}


@pytest.mark.parametrize(
    ("name", "ratio", "quality", "images", "references", "expected"),
    [
        pytest.param("gen4_image", "1280:720", None, 1, 0, 5, id="gen4 at 720"),
        pytest.param("gen4_image", "1680:720", None, 1, 0, 5, id="gen4 at 720, wide"),
        pytest.param("gen4_image", "1920:1080", None, 1, 0, 8, id="gen4 at 1080"),
        pytest.param("gen4_image", "1024:1024", None, 1, 3, 8, id="gen4 square, references"),
        pytest.param("gen4_image_turbo", "1024:1024", None, 1, 2, 2, id="gen4 turbo"),
        pytest.param("gpt_image_2", "1920:1920", None, 1, 0, 20, id="gpt 2K, default quality"),
        pytest.param("gpt_image_2", "1920:1920", "auto", 1, 0, 20, id="gpt 2K, auto quality"),
        pytest.param("gpt_image_2", "2560:1440", "low", 10, 16, 10, id="gpt 2K low"),
        pytest.param("gpt_image_2", "auto", None, 2, 0, 82, id="gpt auto counts as 4K"),
        pytest.param("gpt_image_2", "3840:2160", "medium", 3, 0, 33, id="gpt 4K medium"),
        pytest.param("gpt_image_2", "2880:2880", "low", 1, 0, 2, id="gpt 4K low"),
        pytest.param("gpt_image_2_5_flare", "1920:1920", None, 1, 2, None, id="flare: no base"),
        pytest.param("gpt_image_2_5_sunburst", "1920:1920", "max", 1, 0, None, id="sunburst"),
        pytest.param("gemini_2.5_flash", "1344:768", None, 1, 3, 5, id="gemini 2.5 flash"),
        pytest.param("gemini_image3_pro", "2752:1536", None, 4, 0, 80, id="gemini pro 2K"),
        pytest.param("gemini_image3_pro", "4096:4096", None, 1, 0, 40, id="gemini pro 4K"),
        pytest.param("gemini_image3.1_flash", "1024:1024", None, 4, 0, 28, id="gemini flash 1K"),
        pytest.param("gemini_image3.1_flash", "512:512", None, 1, 0, None, id="gemini flash 512"),
        pytest.param("gemini_image3.1_flash", "2048:2048", None, 1, 0, None, id="gemini flash 2K"),
        pytest.param("gemini_image3.1_flash_lite", "1024:1024", None, 1, 0, None, id="flash lite"),
        pytest.param("nano_banana_2.1", "1024:1024", None, 1, 0, None, id="nano banana 1K"),
        pytest.param("nano_banana_2.1", "4096:4096", None, 2, 1, None, id="nano banana 4K"),
        pytest.param("seedream5_pro", "auto_1k", None, 1, 0, 5, id="seedream pro 1K"),
        pytest.param("seedream5_pro", "2720:1530", None, 1, 0, 9, id="seedream pro 2K"),
        pytest.param("seedream5_pro", "auto_2k", None, 2, 0, 18, id="seedream pro auto 2K"),
        pytest.param("seedream5_lite", "2048:2048", None, 4, 0, 16, id="seedream lite"),
        pytest.param("seedream5_lite", "4096:4096", None, 1, 0, 4, id="seedream lite, free form"),
        pytest.param("seedream5_flash", "1024:1024", None, 1, 0, None, id="seedream flash"),
        pytest.param("grok_imagine_image_2", "2816:1584", "medium", 2, 3, 19, id="grok 2K, refs"),
        pytest.param("grok_imagine_image_2", "1024:1024", "low", 1, 0, 4, id="grok 1K low"),
        pytest.param("grok_imagine_image_2", "auto_1k", None, 1, 0, 6, id="grok 1K, default"),
        pytest.param("grok_imagine_image_2", "auto_2k", "low", 1, 0, 6, id="grok 2K low"),
        pytest.param("muse_image", "auto", None, 10, 0, 10, id="muse"),
        pytest.param("bria_fibo_1_5", "576:1024", None, 1, 1, 5, id="bria 1MP"),
        pytest.param("bria_fibo_1_5", "2048:1152", None, 1, 0, 10, id="bria 4MP"),
        pytest.param("bria_fibo_edit_1_5", None, None, 1, 1, None, id="bria edit"),
        pytest.param("ideogram_4_0", "2048:2048", "low", 1, 0, 4, id="ideogram 4.0 low"),
        pytest.param("ideogram_4_0", None, "medium", 1, 0, 7, id="ideogram 4.0 medium"),
        pytest.param("ideogram_4_0", None, "high", 1, 1, 11, id="ideogram 4.0 high"),
        pytest.param("ideogram_4_0", "2048:2048", None, 1, 0, None, id="ideogram 4.0, no quality"),
        pytest.param("ideogram_4_5", None, None, 1, 0, 25, id="ideogram 4.5, no references"),
        pytest.param("ideogram_4_5", None, None, 2, 1, 16, id="ideogram 4.5, references"),
        pytest.param("ideogram_4_5", None, "very_low", 1, 1, 1, id="ideogram 4.5 very low"),
        pytest.param("ideogram_4_5", "1024:1024", "low", 3, 0, 12, id="ideogram 4.5 low"),
        pytest.param("recraft_v4_1_flash", "1024:1024", None, 1, 0, None, id="recraft flash"),
        pytest.param("recraft_v4_1_vector", None, None, 1, 0, None, id="recraft vector"),
    ],
)
def test_credits(
    name: str,
    ratio: str | None,
    quality: str | None,
    images: int,
    references: int,
    expected: int | None,
) -> None:
    """A task costs its images at their tier and quality, and its references; unknown stays unknown."""
    assert expected == prices.credits(
        model(name),
        ratio=ratio,
        quality=quality,
        images=images,
        references=references,
        options={},
    )


def test_a_precise_edit_is_of_high_quality() -> None:
    """With `preciseEdit` the default quality is high, and so is its price, in spite of references."""
    price = prices.credits(
        model("ideogram_4_5"), ratio=None, quality=None, images=1, references=1, options=PRECISE
    )

    assert price == 25


@pytest.mark.parametrize(
    ("name", "ratio", "quality", "images", "references", "expected"),
    [
        pytest.param("gen4_image", None, None, 1, 0, 8, id="the dearest tier"),
        pytest.param("gen4_image", "1280:720", None, 1, 0, 5, id="a known tier"),
        pytest.param("gpt_image_2", None, None, 2, 0, 82, id="the dearest tier at this quality"),
        pytest.param("ideogram_4_0", None, None, 2, 0, 22, id="the dearest quality"),
        pytest.param("grok_imagine_image_2", None, None, 2, 3, 19, id="references come on top"),
        pytest.param("muse_image", None, None, 3, 0, 3, id="one price for all"),
        pytest.param("gemini_image3.1_flash", None, None, 1, 0, None, id="a tier without a price"),
        pytest.param("gemini_image3.1_flash", "1024:1024", None, 1, 0, 7, id="one with a price"),
        pytest.param("gpt_image_2_5_flare", None, None, 1, 1, None, id="only the surcharge known"),
        pytest.param("recraft_v4_1_vector", None, None, 1, 0, None, id="nothing known"),
    ],
)
def test_ceiling(
    name: str,
    ratio: str | None,
    quality: str | None,
    images: int,
    references: int,
    expected: int | None,
) -> None:
    """What is not known yet counts as its dearest case; without a price for each case there is no ceiling."""
    assert expected == prices.ceiling(
        model(name),
        ratio=ratio,
        quality=quality,
        images=images,
        references=references,
        options={},
    )


@settings(deadline=None)
@given(
    data=st.data(),
    entry=st.sampled_from(list(models().values())),
    images=st.integers(1, 10),
    references=st.integers(0, 5),
    options=st.sampled_from([{}, PRECISE]),
)
def test_the_ceiling_is_never_below_the_price(
    data: st.DataObject, entry: Model, images: int, references: int, options: dict[str, object]
) -> None:
    """A price, where known, is a positive number of credits and at most the ceiling, where known."""
    ratio = data.draw(st.sampled_from([None, *entry.ratios]))
    quality = data.draw(st.sampled_from([None, *(entry.quality.values if entry.quality else ())]))
    price = prices.credits(
        entry,
        ratio=ratio,
        quality=quality,
        images=images,
        references=references,
        options=options,
    )
    ceiling = prices.ceiling(
        entry, ratio=None, quality=quality, images=images, references=references, options=options
    )

    assert price is None or price >= images
    assert price is None or ceiling is None or price <= ceiling


def test_a_credit_is_a_cent() -> None:
    """Eight credits are eight cents, in dollars and in whole millionths of one."""
    assert prices.usd(8) == 0.08
    assert 8 * prices.MICRO_USD_PER_CREDIT == 80_000
