"""`python -m tests.console.photograph docs/console.png` takes the picture that the README shows."""

import sys
from contextlib import ExitStack
from pathlib import Path

from PIL import Image
from tests.browsers import CHROMIUM, FLAGS
from tests.console.stage import MOUNTAINS, Visitor, playwright, running, runway_in, see, service_in


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
