"""The console in a real browser, against the real service and a local Runway, each in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.browsers import CHROMIUM
from tests.ports import free_port

playwright: Any = None
with suppress(ImportError):
    playwright = import_module("playwright.sync_api")

#: What every chapter here needs.
IN_A_BROWSER = [
    pytest.mark.looptime(False),
    pytest.mark.skipif(playwright is None, reason="playwright is not installed"),
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
        port = free_port()
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


def where_it_is_noon() -> str:
    """Return a time zone in which no day ends soon: what the console calls today is its visitor's."""
    hours_west = datetime.now(UTC).hour - 12
    return f"Etc/GMT{hours_west:+d}"


def see(card: Any, status: str = "completed") -> None:
    """Wait until a card shows an end."""
    playwright.expect(card).to_have_attribute("data-status", status)
