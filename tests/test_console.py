"""The console in a real browser, against the real service and a local Runway, each in a process of its own.

`python tests/test_console.py docs/console.png` takes the picture that the README shows.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.browsers import CHROMIUM, FLAGS

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.looptime(False),
    pytest.mark.skipif(
        CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
    ),
]

KEY = "sk-of-the-console"
MOUNTAINS = "A serene mountain landscape at sunset"

SIZES = {"desktop": {"width": 1280, "height": 860}, "phone": {"width": 390, "height": 844}}


class Program:
    """One of our programs in a process of its own, at a port that stays its own."""

    def __init__(self, folder: Path, *arguments: str, environ: dict[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / f"{arguments[0]}.log"
        self._command = [sys.executable, "-m", "taxiway", *arguments, "--port", str(port)]
        kept = {name: text for name, text in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        self._environ = kept | environ

    def start(self) -> None:
        """Start it, and return when it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environ, cwd=self._log.parent, stdout=log, stderr=log
            )
        for _ in range(400):
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/", timeout=5):  # noqa: S310
                return
            assert self.process.poll() is None, self._log.read_text()
            time.sleep(0.05)
        raise AssertionError(self._log.read_text())

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(timeout=20)

    def get(self, path: str) -> Any:
        """Return what it answers."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as response:  # noqa: S310
            return json.load(response)


@contextmanager
def running(program: Program) -> Iterator[Program]:
    """Run a program while the context lasts."""
    program.start()
    try:
        yield program
    finally:
        program.stop()


def runway_in(folder: Path, *options: str) -> Program:
    """Return a local Runway that has not been started."""
    return Program(folder, "sandbox", *options, environ={})


def service_in(folder: Path, runway: Program, *options: str, **environ: str) -> Program:
    """Return a service that has not been started."""
    return Program(
        folder,
        *("serve", "--database", f"sqlite:///{folder}/jobs.db", *options),
        environ={
            "RUNWAYML_API_SECRET": "key_of_the_tests",
            "RUNWAYML_API_BASE": runway.url,
            "TAXIWAY_POLL_INTERVAL_S": "0.3",
            **environ,
        },
    )


@pytest.fixture(scope="module")
def runway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A Runway in a hurry, but not so much that nothing can be seen."""
    folder = tmp_path_factory.mktemp("runway")
    with running(runway_in(folder, "--duration", "2.5", "--queue", "0.3")) as runway:
        yield runway


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, runway: Program) -> Iterator[Program]:
    """A service without a master key; jobs of other tests are on it."""
    with running(service_in(tmp_path_factory.mktemp("service"), runway)) as service:
        yield service


@pytest.fixture
def mortal(tmp_path: Path, runway: Program) -> Iterator[Program]:
    """A service of the test's own: without a job, and to be stopped."""
    with running(service_in(tmp_path, runway)) as service:
        yield service


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, runway: Program) -> Iterator[Program]:
    """A service with a master key."""
    folder = tmp_path_factory.mktemp("guarded")
    with running(service_in(folder, runway, TAXIWAY_MASTER_KEY=KEY)) as service:
        yield service


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser without a window."""
    with playwright.sync_playwright() as library:
        playwright.expect.set_options(timeout=20_000)
        browser = library.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Visitor:
    """Somebody at the console, and everything the browser said and asked for meanwhile."""

    def __init__(self, browser: Any, service: Program, **options: Any) -> None:
        self.service = service
        self.context = browser.new_context(viewport=SIZES["desktop"], **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.faults: list[str] = []
        self.requests: list[Any] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._hear)
        self.context.on("request", lambda request: self.requests.append(request))

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def open(self, path: str = "/") -> "Visitor":
        """Open a page."""
        self.page.goto(f"{self.service.url}{path}")
        return self

    def ready(self) -> "Visitor":
        """Wait for the console."""
        self.page.locator("body[data-view=console]").wait_for()
        return self

    def ask(self, prompt: str, **choices: str) -> Any:
        """Ask for an image, and return its card."""
        self.page.get_by_label("What the image should show").fill(prompt)
        for label, value in choices.items():
            self.page.get_by_role("combobox", name=label).select_option(value)
        self.page.locator("#ask:not([aria-disabled=true])").click()
        card = self.card(prompt)
        card.wait_for()
        return card

    def card(self, prompt: str) -> Any:
        """Return the card of a prompt."""
        return self.page.locator(".card", has_text=prompt).first

    def log_in(self, key: str) -> None:
        """Show a key."""
        self.page.get_by_label("Key", exact=True).fill(key)
        self.page.get_by_role("button", name="Log in").click()

    @property
    def hosts(self) -> set[str]:
        """Where anything was asked for."""
        return {
            re.sub(r"^(\w+://[^/]*).*|^(data:|blob:).*", r"\1\2", each.url)
            for each in self.requests
        }

    def forgive(self, *texts: str) -> None:
        """Take faults out that were meant to be: a browser tells of every request that fails."""
        self.faults = [fault for fault in self.faults if not any(text in fault for text in texts)]

    def streams(self) -> list[str]:
        """The addresses of the event streams that were opened."""
        return [each.url for each in self.requests if "/v1/jobs/events?" in each.url]


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visitor]]:
    """Lets somebody visit a service; in the end nothing may have been wrong, and nobody else been asked."""
    visitors: list[Visitor] = []

    def come(service: Program, **options: Any) -> Visitor:
        visitors.append(Visitor(browser, service, **options))
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.context.close()
    for visitor in visitors:
        assert visitor.faults == []
        assert visitor.hosts <= {
            visitor.service.url,
            "data:",
            f"blob:{visitor.service.url}",
            "blob:",
        }


def where_it_is_noon() -> str:
    """Return a time zone in which no day ends soon: what the console calls today is its visitor's."""
    hours_west = datetime.now(UTC).hour - 12
    return f"Etc/GMT{hours_west:+d}"


def see(card: Any, status: str = "completed") -> None:
    """Wait until a card shows an end."""
    playwright.expect(card).to_have_attribute("data-status", status)


# Asking


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


# Losing nothing


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


# With a key


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


# For everybody


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


# The picture of the README


def photograph(path: Path) -> None:
    """Take the README's picture: finished images, one on its way, one that was refused."""
    from tempfile import TemporaryDirectory

    scenes = (
        ("An empty airfield at dusk, long exposure, taxiway lights", "1920x1080"),
        ("A lighthouse in a storm, oil painting", "1080x1920"),
        ("A red fox in fresh snow, soft morning light", "1920x1080"),
        (MOUNTAINS, "1920x1080"),
    )
    playwright.expect.set_options(timeout=60_000)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        runway = stack.enter_context(running(runway_in(folder, "--duration", "4")))
        service = stack.enter_context(running(service_in(folder, runway)))
        library = stack.enter_context(playwright.sync_playwright())
        browser = library.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        visitor = Visitor(browser, service, color_scheme="light").open().ready()
        visitor.page.set_viewport_size({"width": 1280, "height": 840})
        for prompt, size in scenes:
            see(visitor.ask(prompt, Size=size))
        visitor.ask("A paper plane over a city of books", Size="1920x1080")
        visitor.ask("Rain on the windows of a night train", Size="1920x1080")
        visitor.page.locator("h1").click()
        visitor.page.wait_for_timeout(2_800)
        visitor.page.screenshot(path=path)
        browser.close()
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256)
    small.save(path, optimize=True)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]))
