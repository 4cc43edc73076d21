"""What the console keeps over a reload, a lost connection and a service that is away."""

from collections.abc import Callable

from tests.console.stage import IN_A_BROWSER, MOUNTAINS, Program, Visitor, playwright, see

pytestmark = IN_A_BROWSER


def test_a_reload_in_the_middle_loses_nothing(
    service: Program, visit: Callable[..., Visitor]
) -> None:
    """The job is there again, as far as it was, and so is what was typed."""
    visitor = visit(service).open().ready()
    prompt = "A fox who stays [[slow:5]]"
    card = visitor.ask(prompt)
    bar = card.get_by_role("progressbar")
    playwright.expect(bar).not_to_have_attribute("aria-valuenow", "0")
    before = int(bar.get_attribute("aria-valuenow") or 0)

    visitor.page.reload()
    visitor.ready()
    after = int(visitor.card(prompt).get_by_role("progressbar").get_attribute("aria-valuenow") or 0)
    see(visitor.card(prompt))

    assert after >= before > 0
    assert 1 == visitor.page.locator(".card", has_text=prompt).count()
    playwright.expect(visitor.page.get_by_label("What the image should show")).to_have_value(prompt)


def test_a_lost_connection_comes_back_by_itself(
    mortal: Program, visit: Callable[..., Visitor]
) -> None:
    """While the service is away the page says so; afterwards it goes on where it was, without a reload."""
    visitor = visit(mortal).open().ready()
    card = visitor.ask("A fox who waits [[slow:6]]")
    playwright.expect(card.get_by_role("progressbar")).not_to_have_attribute("aria-valuenow", "0")

    mortal.stop()
    playwright.expect(visitor.page.locator("#connection")).to_have_text("Reconnecting …")
    mortal.start()
    playwright.expect(visitor.page.locator("#connection")).to_be_hidden()
    see(card)

    playwright.expect(card.locator(".shot.there")).to_be_visible()
    visitor.forgive("ERR_CONNECTION", "ERR_INCOMPLETE")


def test_what_is_asked_while_the_service_is_away_is_asked_once(
    mortal: Program, visit: Callable[..., Visitor]
) -> None:
    """It waits in sight, also over a reload, is sent when the service is back, and bought once."""
    visitor = visit(mortal).open().ready()
    page = visitor.page
    mortal.stop()

    page.get_by_label("What the image should show").fill(MOUNTAINS)
    page.locator("#ask").click()
    playwright.expect(page.get_by_label("Not sent yet")).to_contain_text(MOUNTAINS)
    playwright.expect(page.locator("#connection")).to_have_text("Reconnecting …")
    mortal.start()
    page.reload()
    see(visitor.card(MOUNTAINS))

    playwright.expect(page.get_by_label("Not sent yet").locator("li")).to_have_count(0)
    assert 1 == len(mortal.get("/v1/jobs")["data"])
    visitor.forgive("ERR_CONNECTION")
