"""Asking for images at the console, and what it says of them."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.console.stage import (
    IN_A_BROWSER,
    MOUNTAINS,
    Program,
    Visitor,
    playwright,
    running,
    see,
    service_in,
    where_it_is_noon,
)

pytestmark = IN_A_BROWSER


def test_an_empty_console_invites(mortal: Program, visit: Callable[..., Visitor]) -> None:
    """Who comes first sees what to do and what it will cost; an example is one click, and buys nothing."""
    visitor = visit(mortal).open().ready()
    page = visitor.page

    playwright.expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    playwright.expect(page.locator("#price")).to_have_text("$0.088 credits")
    page.get_by_role("button", name=MOUNTAINS).click()

    playwright.expect(page.get_by_label("What the image should show")).to_have_value(MOUNTAINS)
    assert mortal.get("/v1/jobs")["data"] == []


def test_the_price_follows_every_choice(service: Program, visit: Callable[..., Visitor]) -> None:
    """Model, size, number and quality change it; a choice that the model has not is not offered."""
    page = visit(service).open().ready().page
    price = page.locator("#price b")

    page.get_by_role("combobox", name="Images").select_option("3")
    playwright.expect(price).to_have_text("$0.24")
    page.get_by_role("combobox", name="Size").select_option("720x720")
    playwright.expect(price).to_have_text("$0.15")
    playwright.expect(page.get_by_role("combobox", name="Quality")).to_be_hidden()
    page.get_by_role("combobox", name="Model").select_option("gpt_image_2")
    page.get_by_role("combobox", name="Quality").select_option("low")
    low = price.text_content()
    page.get_by_role("combobox", name="Quality").select_option("high")

    playwright.expect(price).not_to_have_text(low or "")


def test_an_image_is_asked_for_watched_and_seen(
    mortal: Program, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    """The bar moves, the image appears with size, cost and time, it can be had as a file, and is on the bill."""
    visitor = visit(mortal, timezone_id=where_it_is_noon()).open().ready()
    card = visitor.ask(MOUNTAINS)
    bar = card.get_by_role("progressbar")

    seen = {bar.get_attribute("aria-valuenow")}
    while card.get_attribute("data-status") in ("queued", "in_progress"):
        with suppress(playwright.Error):
            seen.add(bar.get_attribute("aria-valuenow", timeout=200))
        visitor.page.wait_for_timeout(50)
    picture = card.get_by_role("img", name=MOUNTAINS)
    playwright.expect(card.locator(".shot.there")).to_be_visible()
    with visitor.page.expect_download() as download:
        card.get_by_role("link", name="Download").click()
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)

    assert len(seen - {None}) >= 3
    assert 1920 == picture.evaluate("picture => picture.naturalWidth")
    assert re.fullmatch(r"1920 \u00d7 1080 · \$0\.08 · \d+ s · just now", _facts(card))
    assert re.fullmatch(r"job_\w{32}-0\.png", saved.name)
    with Image.open(saved) as image:
        assert (1920, 1080) == image.size
    playwright.expect(visitor.page.locator("#spend")).to_have_text(
        re.compile(r"Today \$0\.08\s+·\s+1 image")
    )


def _facts(card: Any) -> str:
    return " ".join((card.locator(".facts").text_content() or "").split())


def test_several_jobs_move_on_one_connection_and_one_is_cancelled(
    service: Program, visit: Callable[..., Visitor]
) -> None:
    """All are told on one stream; a cancelled one stops at Runway too, and the others go on."""
    visitor = visit(service).open().ready()
    slow = visitor.ask("A slow fox [[slow:60]]")
    cards = [visitor.ask("A red fox in the snow"), visitor.ask("Three of them", Images="3")]

    slow.get_by_role("button", name="Cancel").click()
    see(slow, "cancelled")
    for card in cards:
        see(card)

    cancelled = service.get("/v1/jobs?status=cancelled")["data"][0]
    # The first image may have come before the third was asked for.
    assert 2 <= max(address.partition("&")[0].count("job_") for address in visitor.streams())
    assert "A slow fox [[slow:60]]" == cancelled["prompt"]
    assert 3 == cards[1].locator(".shot").count()


def test_a_moderated_prompt_is_said_in_plain_words(
    service: Program, visit: Callable[..., Visitor]
) -> None:
    """What happened and what to do, instead of a code; and the prompt can be taken up again."""
    visitor = visit(service).open().ready()
    prompt = "Something forbidden [[fail:SAFETY.INPUT.TEXT]]"
    card = visitor.ask(prompt)

    see(card, "failed")
    visitor.page.get_by_label("What the image should show").fill("")
    card.get_by_role("button", name="Use this prompt again").click()

    playwright.expect(card).to_contain_text("moderation refused this.")
    playwright.expect(card).to_contain_text("change the prompt or the reference images")
    playwright.expect(card).to_contain_text("The provider charged for it all the same.")
    playwright.expect(visitor.page.get_by_label("What the image should show")).to_have_value(prompt)


FRUGAL = """
model_list:
  - model_name: runwayml/gen4_image
    litellm_params:
      model: runwayml/gen4_image
      max_budget: 0.08
"""


@pytest.fixture
def frugal(tmp_path: Path, runway: Program) -> Iterator[Program]:
    """A service that may buy one image."""
    (tmp_path / "config.yaml").write_text(FRUGAL)
    with running(service_in(tmp_path, runway, "--config", "config.yaml")) as service:
        yield service


def test_a_spent_budget_is_said_in_plain_words(
    frugal: Program, visit: Callable[..., Visitor]
) -> None:
    """Nobody is sent to look for a provider that is out of reach, when only the money is."""
    visitor = visit(frugal).open().ready()
    see(visitor.ask("A fox"), "completed")
    card = visitor.ask("Another fox")
    see(card, "failed")

    playwright.expect(card).to_contain_text("may spend on this model is spent.")
    playwright.expect(card).to_contain_text("Nothing was bought.")


#: What is wrong with a prompt in the sandbox, what the console says, and what it advises.
TROUBLES = {
    "[[create:cut]]": ("nobody knows whether it took the request", "It may be paid for."),
    "[[fail:INTERNAL]]": ("The provider tried and failed to make this image.", "Ask again"),
    "[[fail:ASSET.INVALID]]": (
        "The provider could not use a reference image.",
        "PNG, JPEG or WebP",
    ),
    # The last one: an account without credits is left alone for a while.
    "[[create:400 body=credits]]": (
        "The account at the provider has nothing left to spend.",
        "fill it up",
    ),
}


def test_every_trouble_has_its_words(mortal: Program, visit: Callable[..., Visitor]) -> None:
    """Errors of Runway and of money are said in words, with what to do about them."""
    visitor = visit(mortal).open().ready()

    for mark, (what, todo) in TROUBLES.items():
        card = visitor.ask(f"A fox {mark}")
        see(card, "failed")

        playwright.expect(card).to_contain_text(what)
        playwright.expect(card).to_contain_text(todo)


def test_an_empty_prompt_is_no_request(service: Program, visit: Callable[..., Visitor]) -> None:
    """It is said at the field, and nothing is asked for."""
    visitor = visit(service).open().ready()
    page = visitor.page

    page.locator("#ask").click()

    playwright.expect(page.get_by_role("alert").first).to_have_text(
        "Say what the image should show."
    )
    playwright.expect(page.get_by_label("What the image should show")).to_be_focused()
    assert [] == [each.url for each in visitor.requests if each.url.endswith("/generations")]


def test_reference_images_are_dropped_onto_the_page(
    service: Program, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    """A picture goes along as a data URI under its name; one that is too large is made smaller, a text refused."""
    visitor = visit(service).open().ready()
    page = visitor.page
    small, large, text = tmp_path / "fox.png", tmp_path / "wall.png", tmp_path / "notes.txt"
    Image.new("RGB", (64, 64), "orange").save(small)
    Image.frombytes("RGB", (1200, 1200), os.urandom(1200 * 1200 * 3)).save(large)
    text.write_text("no picture")

    _drop(page, small)
    playwright.expect(page.get_by_alt_text("Reference 1: fox.png")).to_be_visible()
    page.get_by_label("Name of reference 1").fill("Fox")
    page.locator("#files").set_input_files([large, text])
    playwright.expect(page.get_by_text("made smaller to fit")).to_be_visible()
    playwright.expect(page.locator("#complaint")).to_contain_text(
        "notes.txt is no PNG, JPEG or WebP"
    )
    see(visitor.ask("@fox on a wall"))

    [body] = [each.post_data_json for each in visitor.requests if each.url.endswith("/generations")]
    first, second = body["reference_images"]
    assert ("fox", True) == (first["tag"], first["uri"].startswith("data:image/png;base64,"))
    assert second.keys() == {"uri"}
    assert len(second["uri"]) <= 5_242_880


def _drop(page: Any, file: Path) -> None:
    """Drop a file onto the page as a hand would."""
    import base64

    script = """([text, name]) => {
        const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
        const carried = new DataTransfer();
        carried.items.add(new File([bytes], name, { type: "image/png" }));
        for (const kind of ["dragenter", "dragover", "drop"]) {
            const how = { dataTransfer: carried, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new DragEvent(kind, how));
        }
    }"""
    page.evaluate(script, [base64.b64encode(file.read_bytes()).decode(), file.name])
