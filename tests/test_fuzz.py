"""Whatever a configuration or a request holds: a start or a refusal, an image or a 4xx. No traceback, no hang.

The files begin as the examples under `deploy/examples/configs`, the requests as ones that are taken, and both are
then broken in a few places: most of what goes wrong in the world is nearly right.
"""

import asyncio
import copy
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxiway.config import describe, load_settings
from taxiway.errors import BadRequestError, ConfigError
from taxiway.jobs import GenerationRequest
from taxiway.protocols import NoInstruments, no_note
from taxiway.providers import open_provider, open_session
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server import create_app
from taxiway.server.running import listening
from taxiway.settings import Deployment, Secret, Settings

pytestmark = pytest.mark.looptime(False)

EXAMPLES = Path(__file__).parents[1] / "deploy" / "examples" / "configs"

ENVIRON = {
    name: f"sk-{name.lower()}-of-the-tests"
    for name in (
        *("RUNWAYML_API_SECRET", "RUNWAY_A", "RUNWAY_B", "RUNWAY_C", "OPENAI_API_KEY"),
        *("GATEWAY_KEY", "LITELLM_MASTER_KEY"),
    )
} | {"DATABASE_URL": "postgresql://user:password@database/taxiway"}

DOCUMENTS = [
    yaml.safe_load(path.read_text())
    for path in sorted(EXAMPLES.glob("*.yaml"))
    if not path.stem.startswith("08")  # it includes another file, which is not beside the test's
]

TEXTS = (
    "",
    " ",
    "*",
    "a*b",
    "os.environ/NOBODY",
    "openai/",
    "runwayml/",
    "1e3",
    "nan",
    "\x00",
    "é" * 300,
)
ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(TEXTS),
    st.text(max_size=20),
    st.lists(st.none() | st.integers() | st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=5), max_size=3),
)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to everything inside a document."""
    inside = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value) if isinstance(value, list) else inside
    for key, each in inside:
        yield (*way, key)
        yield from places(each, (*way, key))


@st.composite
def broken(draw: st.DrawFn, documents: list[Any]) -> Any:
    """A document that is wrong in one to three places: a value, a key too many, too few, or misspelt."""
    document = copy.deepcopy(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(1, 3))):
        ways = list(places(document))
        if not ways:
            return document
        *before, last = draw(st.sampled_from(ways))
        holder = document
        for step in before:
            holder = holder[step]
        match draw(st.sampled_from(("value", "value", "less", "more", "misspelt", "twice"))):
            case "value":
                holder[last] = draw(ODD)
            case "less":
                del holder[last]
            case "more" if isinstance(holder, dict):
                holder[draw(st.text(max_size=12))] = draw(ODD)
            case "misspelt" if isinstance(last, str):
                holder[last[:-1] or "x"] = holder.pop(last)
            case _ if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[last]))
    return document


def start(loaded_settings: Settings) -> None:
    """Make of the settings what a service makes of them before it listens, and ask each deployment for a price."""

    async def begin() -> None:
        async with open_session() as session:
            for deployment in loaded_settings.deployments:
                provider = open_provider(
                    deployment, session=session, instruments=NoInstruments(), note=no_note
                )
                provider.card()
                with suppress(
                    BadRequestError
                ):  # a field of the entry's own may go with no such request
                    provider.plan(GenerationRequest(model=deployment.model_name, prompt="A fox"))

    asyncio.run(begin())


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=2_000
)
@given(document=broken(DOCUMENTS))
def test_configurations(tmp_path: Path, document: Any) -> None:
    """A broken file is refused in sentences of one line that hold no secret, or it starts and can be described."""
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    try:
        loaded = load_settings(path=file, environ=ENVIRON)
    except ConfigError as error:
        said = error.problems
        assert said
    else:
        start(loaded.settings)
        described = describe(loaded)
        said = (*described.warnings, *described.routing)
        assert described.rows
    assert not any("\n" in sentence for sentence in said)
    assert not any(secret in sentence for sentence in said for secret in ENVIRON.values())


REQUESTS: list[Any] = [
    {"model": "image", "prompt": "A red fox"},
    {"model": "other", "prompt": "A red fox", "n": 2, "size": "1024x1024", "user": "me"},
    {
        "model": "image",
        "prompt": "A red fox",
        "size": "1920x1080",
        "seed": 7,
        "n": 1,
        "quality": "auto",
        "style": "vivid",
        "response_format": "url",
        "stream": False,
        "background": "auto",
        "moderation": "low",
        "output_format": "png",
        "timeout": 30,
        "metadata": {"tags": ["a"], "x": "y"},
        "user": "me",
        "num_retries": 1,
        "reference_images": [{"uri": "https://a.example/b.png", "tag": "fox"}],
        "fallbacks": ["other"],
    },
]


class Desk:
    """A service over a sandbox, on a loop that runs while somebody asks."""

    def __init__(self, runner: asyncio.Runner, url: str, session: aiohttp.ClientSession) -> None:
        self._runner = runner
        self._url = url
        self._session = session

    def ask(self, path: str, body: Any) -> tuple[int, Any]:
        """Return the status and the document of an answer."""
        return self._runner.run(self._ask(path, body))

    async def _ask(self, path: str, body: Any) -> tuple[int, Any]:
        async with (
            asyncio.timeout(20),
            self._session.post(
                f"{self._url}{path}", json=body, headers={"Prefer": "respond-async"}
            ) as response,
        ):
            streamed = response.content_type == "text/event-stream"
            return response.status, None if streamed else await response.json()


@pytest.fixture
def desk() -> Iterator[Desk]:
    """The service: `image` at the sandbox, `other` at a gateway where nobody is."""
    with asyncio.Runner(debug=False) as runner:
        sandbox = Sandbox(SandboxSettings(pictures="plain"))
        runner.run(sandbox.__aenter__())
        at_runway = Deployment(
            id="one",
            model_name="image",
            provider="runwayml",
            model="gen4_image",
            api_key=Secret("key"),
            api_base=sandbox.url,
        )
        elsewhere = replace(
            at_runway, id="two", model_name="other", provider="openai", model="dall-e-3"
        )
        app = create_app(
            Settings(
                database_url="memory://", log_level="error", deployments=(at_runway, elsewhere)
            )
        )
        service = listening(app, host="127.0.0.1", port=0)
        url = runner.run(service.__aenter__())
        session = runner.run(_session())
        yield Desk(runner, url, session)
        runner.run(session.close())
        runner.run(service.__aexit__(None, None, None))
        runner.run(sandbox.__aexit__(None, None, None))


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=2_000
)
@given(body=broken(REQUESTS), path=st.sampled_from(("generations", "quote", "generations")))
def test_requests(desk: Desk, body: Any, path: str) -> None:
    """A broken request is taken, or is a 4xx in OpenAI's shape that names a field where one is at fault."""
    status, document = desk.ask(f"/v1/images/{path}", body)

    assert status in (200, 202, 400, 404, 413, 422)
    if status >= 400:
        error = document["error"]
        assert set(error) >= {"message", "type", "param", "code"}
        assert isinstance(error["code"], str)
        assert "Traceback" not in error["message"]
