"""The world of the tests: a sandbox Runway, a store, and the service between them, all on the test's own loop.

A chapter changes its world by overriding a noun of it: a fixture `settings` that returns
`replace(settings, …)`, a `sandbox_settings` of its own. `client` speaks to the service over a real socket.
"""

import asyncio
import asyncio.constants
import io
import time
import traceback
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from tests import node
from tests.databases import Postgres
from tests.ports import free_port
from tests.workers import Chapters, machine
from xdist import is_xdist_worker
from xdist.remote import Producer

from taxiway.journal import Journal
from taxiway.logs import Logs
from taxiway.metrics import Metrics
from taxiway.runner import Runner
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server import create_app
from taxiway.server.keys import JOURNAL, METRICS, RUNNER
from taxiway.server.running import listening
from taxiway.settings import Deployment, Secret, Settings
from taxiway.store.memory import MemoryStore

# asyncio's debug mode finds real faults. Most of its cost is the stack it keeps with each task, future and handle,
# all of pytest's frames with it, to say where one was made: the innermost say that as well, in a third less time.
asyncio.constants.DEBUG_STACK_DEPTH = 5
traceback.extract_stack.__defaults__ = (None, 5)  # f, limit: asyncio's C code asks with neither

# looptime asks every test for the current loop; asked too early, asyncio makes one that nobody closes.
asyncio.set_event_loop(None)

#: Three models of different nature: one image per task; several, with a quality; and one nobody has a price for.
MODELS = ("gen4_image", "gpt_image_2", "recraft_v4_1_vector")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let virtual time begin where real time stands, for tests whose service was started by a fixture.

    Fixtures run in real time. With a virtual time from 0, whatever they have begun would wait for ever, and
    the service's dates would run backwards.
    """
    start = time.monotonic  # noqa: TID251 - it is where the loop's clock stands while fixtures run
    for item in items:
        if "url" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.looptime(start=start))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Chapters:
    """Give whole chapters to the processes of `pytest -n`."""
    return Chapters(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let nothing run beside a test that is marked `quiet`."""
    if not is_xdist_worker(item):
        return (yield)
    with machine(alone=item.get_closest_marker("quiet") is not None):
        return (yield)


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway whose tasks wait for half a second and run for six."""
    return SandboxSettings(pictures="plain")


@pytest.fixture
async def sandbox(sandbox_settings: SandboxSettings) -> AsyncIterator[Sandbox]:
    """A local Runway."""
    async with Sandbox(sandbox_settings) as sandbox:
        yield sandbox


@pytest.fixture
def settings(sandbox: Sandbox) -> Settings:
    """The service's settings: `MODELS` at the sandbox, and no master key."""
    return Settings(
        database_url="memory://",
        log_level="debug",
        shutdown_budget_s=1.0,
        deployments=tuple(
            Deployment(
                id=f"{model}-1",
                model_name=f"runwayml/{model}",
                provider="runwayml",
                model=model,
                api_key=Secret("key_of_the_tests"),
                api_base=sandbox.url,
            )
            for model in MODELS
        ),
        aliases={"gen4": "runwayml/gen4_image"},
    )


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    """Where the jobs are kept."""
    store = MemoryStore()
    yield store
    await store.close()


@pytest.fixture
def log_stream() -> io.BytesIO:
    """Where the log is written to."""
    return io.BytesIO()


@pytest.fixture
def logs(settings: Settings, log_stream: io.BytesIO) -> Iterator[Logs]:
    """The service's log."""
    with Logs(settings, stream=log_stream, version="test", key=b"tests") as logs:
        yield logs


@pytest.fixture
def log_lines(logs: Logs, log_stream: io.BytesIO) -> Callable[[], list[dict[str, Any]]]:
    """Everything that was logged. It ends the log."""

    def read() -> list[dict[str, Any]]:
        logs.close()
        return [orjson.loads(line) for line in log_stream.getvalue().splitlines()]

    return read


@pytest.fixture
def app(settings: Settings, store: MemoryStore, logs: Logs) -> web.Application:
    """The service's application; `url` starts it."""
    return create_app(settings, store=store, logs=logs)


@pytest.fixture
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that begins on a Wednesday at noon: neither day, week nor month ends while the test runs."""
    noon = 1_795_608_000.0  # 25 November 2026
    monkeypatch.setattr("taxiway.clock.time", SimpleNamespace(time=lambda: noon))


@pytest.fixture
async def url(app: web.Application) -> AsyncIterator[str]:
    """The address the service listens on."""
    async with listening(app, host="127.0.0.1", port=0) as url:
        yield url


@pytest.fixture
async def client(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A caller of the service: `client.get("/v1/models")`."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as client:
        yield client


@pytest.fixture
def runner(app: web.Application, url: str) -> Runner:
    """The owner of the service's jobs."""
    return app[RUNNER]


@pytest.fixture
def journal(app: web.Application, url: str) -> Journal:
    """The one way the service's jobs change."""
    return app[JOURNAL]


@pytest.fixture
def metrics(app: web.Application, url: str) -> Metrics:
    """The service's numbers."""
    return app[METRICS]


@pytest.fixture(scope="session")
def unused_tcp_port_factory() -> Callable[[], int]:
    """Ports for processes that start; the kernel may give pytest-asyncio's to somebody else meanwhile."""
    return free_port


@pytest.fixture
def unused_tcp_port() -> int:
    """A port for a process that starts."""
    return free_port()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server for all chapters; started when the first one needs it."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def postgres_database(postgres_server: Postgres) -> Iterator[str]:
    """The name of a database of the test's own, with the schema and without jobs."""
    name = postgres_server.create(like="current")
    yield name
    postgres_server.drop(name)


@pytest.fixture
def postgres(postgres_server: Postgres, postgres_database: str) -> str:
    """The address of a database of the test's own."""
    return postgres_server.url(postgres_database)


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for programs in JavaScript, with OpenAI's client in it."""
    folder = tmp_path_factory.mktemp("node")
    if why := node.install(folder):
        pytest.skip(why)
    return folder
