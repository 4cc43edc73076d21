"""What the chapters of the console share: a Runway, services with and without a key, a browser, its visitors."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.browsers import CHROMIUM, FLAGS
from tests.console.stage import KEY, Program, Visitor, playwright, running, runway_in, service_in


@pytest.fixture(scope="package")
def runway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A Runway in a hurry, but not so much that nothing can be seen."""
    folder = tmp_path_factory.mktemp("runway")
    with running(runway_in(folder, "--duration", "2.5", "--queue", "0.3")) as runway:
        yield runway


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory, runway: Program) -> Iterator[Program]:
    """A service without a master key; jobs of other tests are on it."""
    with running(service_in(tmp_path_factory.mktemp("service"), runway)) as service:
        yield service


@pytest.fixture
def mortal(tmp_path: Path, runway: Program) -> Iterator[Program]:
    """A service of the test's own: without a job, and to be stopped."""
    with running(service_in(tmp_path, runway)) as service:
        yield service


@pytest.fixture(scope="package")
def guarded(tmp_path_factory: pytest.TempPathFactory, runway: Program) -> Iterator[Program]:
    """A service with a master key."""
    folder = tmp_path_factory.mktemp("guarded")
    with running(service_in(folder, runway, TAXIWAY_MASTER_KEY=KEY)) as service:
        yield service


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """A browser without a window."""
    with playwright.sync_playwright() as library:
        playwright.expect.set_options(timeout=20_000)
        browser = library.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


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
