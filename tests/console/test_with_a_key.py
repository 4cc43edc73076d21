"""The console of a service that asks for a key."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

from tests.console.stage import IN_A_BROWSER, KEY, MOUNTAINS, Program, Visitor, playwright, see

pytestmark = IN_A_BROWSER


def test_a_key_is_asked_for_and_kept_in_the_tab(
    guarded: Program, visit: Callable[..., Visitor]
) -> None:
    """A wrong one is refused in words; the right one opens everything, over a reload too, and is in no address."""
    visitor = visit(guarded).open()
    page = visitor.page
    visitor.log_in("sk-wrong")
    playwright.expect(page.get_by_role("alert").first).to_contain_text(
        "This key is not valid here."
    )
    visitor.log_in(KEY)
    visitor.ready()
    card = visitor.ask(MOUNTAINS)

    see(card)
    playwright.expect(card.locator(".shot.there")).to_be_visible()
    page.reload()
    visitor.ready()
    playwright.expect(visitor.card(MOUNTAINS).locator(".shot.there")).to_be_visible()
    with page.expect_download():
        visitor.card(MOUNTAINS).get_by_role("link", name="Download").click()

    assert visitor.streams()
    assert all("&token=" in address for address in visitor.streams())
    assert KEY not in str([each.url for each in visitor.requests])
    visitor.forgive("401 (Unauthorized)")


def test_a_virtual_key_sees_its_own_images(guarded: Program, visit: Callable[..., Visitor]) -> None:
    """With a virtual key, images are asked for and watched, and nobody else's are seen; blocked, it is said."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

    def call(path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(  # noqa: S310
            f"{guarded.url}{path}", data=json.dumps(body).encode(), headers=headers
        )
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
            return json.load(response)

    made = call("/key/generate", {"models": ["gen4_image"]})
    call("/v1/images/generations", {"model": "gen4_image", "prompt": "Somebody else's fox"})
    visitor = visit(guarded).open()
    page = visitor.page
    visitor.log_in(made["key"])
    visitor.ready()
    offered = page.get_by_role("combobox", name="Model").locator("option").all_inner_texts()
    card = visitor.ask(MOUNTAINS)
    see(card)
    playwright.expect(card.locator(".shot.there")).to_be_visible()

    assert ["gen4_image"] == offered
    playwright.expect(visitor.card("Somebody else's fox")).to_have_count(0)
    call("/key/block", {"key": made["token"]})
    page.reload()
    playwright.expect(page.get_by_role("alert").first).to_contain_text("This key is blocked.")
    assert made["key"] not in str([each.url for each in visitor.requests])
    visitor.forgive("401 (Unauthorized)")


def test_logging_out_forgets_the_key(guarded: Program, visit: Callable[..., Visitor]) -> None:
    """The next one at this tab is asked for a key again, and sees no image."""
    visitor = visit(guarded).open()
    visitor.log_in(KEY)
    visitor.ready()

    visitor.page.get_by_role("button", name="Log out").click()

    playwright.expect(visitor.page.get_by_text("This service asks for a key")).to_be_visible()
    assert "null" == visitor.page.evaluate(
        "JSON.stringify(sessionStorage.getItem('taxiway.key') || null)"
    ) or ('""' == visitor.page.evaluate("sessionStorage.getItem('taxiway.key')"))
    visitor.forgive("401 (Unauthorized)")
