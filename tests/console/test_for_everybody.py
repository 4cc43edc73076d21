"""The console by keyboard, aloud, in every colour and size, and safe to open."""

import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tests.console.stage import IN_A_BROWSER, MOUNTAINS, SIZES, Program, Visitor, playwright, see

pytestmark = IN_A_BROWSER


def test_the_keyboard_is_enough(service: Program, visit: Callable[..., Visitor]) -> None:
    """Ask, look at the images one by one, and go back to where one was, without a pointer."""
    visitor = visit(service).open().ready()
    page = visitor.page
    page.get_by_label("What the image should show").focus()
    page.keyboard.type("Two foxes")
    page.get_by_role("combobox", name="Images").select_option("2")
    page.get_by_label("What the image should show").focus()
    page.keyboard.press("Control+Enter")
    card = visitor.card("Two foxes")
    card.wait_for()
    see(card)

    card.locator(".shot.there").nth(1).wait_for()
    card.locator(".shot").first.focus()
    page.keyboard.press("Enter")
    lightbox = page.get_by_role("dialog")
    playwright.expect(lightbox).to_be_visible()
    playwright.expect(page.locator("#before")).to_be_disabled()
    page.keyboard.press("ArrowRight")
    playwright.expect(page.locator("#before")).to_be_enabled()
    playwright.expect(lightbox).to_contain_text("$0.16")
    page.keyboard.press("Escape")

    playwright.expect(lightbox).to_be_hidden()
    playwright.expect(card.locator(".shot").first).to_be_focused()


def test_the_keyboard_keeps_its_place(service: Program, visit: Callable[..., Visitor]) -> None:
    """Who asks by the button stays there; who cancels is on the button that comes instead."""
    visitor = visit(service).open().ready()
    page = visitor.page
    page.get_by_label("What the image should show").fill("A slow fox [[slow:60]]")
    ask = page.get_by_role("button", name="Ask for it")
    ask.focus()
    page.keyboard.press("Enter")
    card = visitor.card("A slow fox")
    stop = card.get_by_role("button", name="Cancel")
    stop.wait_for()
    playwright.expect(ask).to_be_focused()
    stop.focus()
    page.keyboard.press("Enter")
    see(card, "cancelled")

    playwright.expect(card.get_by_role("button", name="Use this prompt again")).to_be_focused()


def test_what_happens_is_said_aloud(service: Program, visit: Callable[..., Visitor]) -> None:
    """A screen reader hears that an image is on its way, that it is ready, or why it is not."""
    visitor = visit(service).open().ready()
    visitor.page.evaluate("""() => {
        window.said = [];
        const news = document.querySelector("#news");
        new MutationObserver(() => said.push(news.textContent)).observe(news, { childList: true });
    }""")
    see(visitor.ask("A loud fox"))
    refused = "Rude [[fail:SAFETY.INPUT.TEXT]]"
    see(visitor.ask(refused), "failed")

    assert [
        "On its way: A loud fox",
        "The image is ready: A loud fox",
        f"On its way: {refused}",
        f"{refused}: The provider\u2019s moderation refused this.",
    ] == visitor.page.evaluate("said")


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, which npm has."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "taxiway" / "axe"
    source = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not source.exists():
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed, which has axe-core")
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-save", "--prefix", str(folder), "axe-core@4"]
        done = subprocess.run(command, capture_output=True, timeout=100, check=False)
        if not source.exists():
            pytest.skip(f"axe-core cannot be had: {done.stderr.decode()[-200:]}")
    return source.read_text()


def _looks(page: Any) -> Iterator[str]:
    """Show a page on a desk and in a hand, by day and by night."""
    for size, scheme in product(SIZES, ("light", "dark")):
        page.set_viewport_size(SIZES[size])
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(300)  # colours change within a fifth of a second
        yield f"{size}, {scheme}"


def test_nobody_is_shut_out(service: Program, visit: Callable[..., Visitor], axe: str) -> None:
    """axe-core finds nothing wrong with the page, with all kinds of cards on it, nor with an open image."""
    visitor = visit(service).open().ready()
    page = visitor.page
    see(visitor.ask("Something forbidden [[fail:SAFETY.INPUT.TEXT]]"), "failed")
    done = visitor.ask(MOUNTAINS)
    see(done)
    visitor.ask("A slow fox [[slow:60]]")
    done.locator(".shot.there").wait_for()

    cards = {look: _violations(page, axe) for look in _looks(page)}
    done.locator(".shot").click()
    image = {look: _violations(page, axe) for look in _looks(page)}

    assert [[]] * 8 == [*cards.values(), *image.values()], (cards, image)


def test_nobody_is_shut_out_of_the_api(
    service: Program, visit: Callable[..., Visitor], axe: str
) -> None:
    """axe-core finds nothing wrong with the page of the API's description."""
    page = visit(service).open("/docs").page
    page.get_by_role("heading", name="Codes of errors").wait_for()

    found = {look: _violations(page, axe) for look in _looks(page)}

    assert [[]] * 4 == [*found.values()], found


def test_nobody_is_shut_out_of_the_login(
    guarded: Program, visit: Callable[..., Visitor], axe: str
) -> None:
    """axe-core finds nothing where a key is asked for, nor where it was a wrong one."""
    visitor = visit(guarded).open()
    page = visitor.page
    page.get_by_label("Key", exact=True).wait_for()

    asked = {look: _violations(page, axe) for look in _looks(page)}
    visitor.log_in("sk-wrong")
    page.get_by_text("This key is not valid here.").wait_for()
    refused = {look: _violations(page, axe) for look in _looks(page)}

    assert [[]] * 8 == [*asked.values(), *refused.values()], (asked, refused)
    visitor.forgive("401 (Unauthorized)")


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_may_do_nothing_else(service: Program, path: str) -> None:
    """By its policy it runs no script and takes no style but ours, and speaks to nobody else."""
    with urllib.request.urlopen(f"{service.url}{path}", timeout=10) as response:  # noqa: S310
        policy = response.headers["Content-Security-Policy"]
        markup = response.read().decode()

    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert "unsafe" not in policy
    assert {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    } == rules
    assert [] == re.findall(r"<script(?![^>]* src=)|<style| style=| on\w+=|//[\w-]+\.\w+", markup)


def _violations(page: Any, axe: str) -> list[str]:
    page.evaluate(axe)
    report = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {node['html'][:150]} ({node.get('failureSummary', '')[:200]})"
        for each in report["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_nothing_runs_over_the_edge_of_a_phone(
    service: Program, visit: Callable[..., Visitor], path: str
) -> None:
    """At the width of a phone nothing has to be scrolled sideways."""
    visitor = visit(service).open().ready()
    visitor.page.set_viewport_size(SIZES["phone"])
    visitor.ask("Incomprehensibilities" * 8)

    visitor.open(path)
    visitor.page.locator("h2").first.wait_for(state="attached")
    visitor.page.wait_for_timeout(200)

    assert 390 == visitor.page.evaluate("document.documentElement.scrollWidth")


def test_the_colours_can_be_chosen(service: Program, visit: Callable[..., Visitor]) -> None:
    """The system's choice is followed until another one is made, and that one is remembered."""
    page = visit(service, color_scheme="dark").open().ready().page
    assert "dark" == page.evaluate("document.documentElement.dataset.theme")

    page.get_by_role("button", name="Change the colours").click()
    page.reload()

    assert "light" == page.evaluate("document.documentElement.dataset.theme")
