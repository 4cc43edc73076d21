"""The description of the API: valid, complete, and true of every answer."""

import ast
import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import hypothesis
import jsonschema
import orjson
import pytest
from aiohttp import web

from taxiway import errors
from taxiway.events import EventName
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server import create_app, queries
from taxiway.server.openapi import describe
from taxiway.server.openapi.codes import CODES, KINDS
from taxiway.server.openapi.operations import OPERATIONS
from taxiway.server.running import listening
from taxiway.settings import Deployment, Secret, Settings

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
validator = pytest.importorskip("openapi_spec_validator", reason="it is not installed")
positive_data_acceptance = pytest.importorskip(
    "schemathesis.specs.openapi.checks"
).positive_data_acceptance

PACKAGE = Path(__file__).parent.parent / "service" / "taxiway"
KEY = "sk-of-the-description"


def description(settings: Settings | None = None) -> dict[str, Any]:
    """Return the description of a service, as it is sent."""
    settings = settings or Settings()
    document: dict[str, Any] = orjson.loads(
        orjson.dumps(describe(create_app(settings).router, settings))
    )
    return document


# By itself


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(Settings(), id="open"),
        pytest.param(Settings(master_key=Secret(KEY)), id="with a key"),
        pytest.param(Settings(master_key=Secret(KEY), key_header="x-team-key"), id="own header"),
        pytest.param(Settings(public_url="https://images.example"), id="public"),
    ],
)
def test_it_is_valid(settings: Settings) -> None:
    """openapi-spec-validator has nothing to say."""
    validator.validate(description(settings))


def test_every_route_is_in_it() -> None:
    """Method by method and path by path, it is the URL map."""
    app = create_app(Settings())
    routes = {
        (route.resource.canonical, route.method.lower())
        for route in app.router.routes()
        if route.resource is not None and route.method not in ("HEAD", "OPTIONS")
    }

    paths = description()["paths"]

    assert routes == {(path, method) for path, item in paths.items() for method in item}


def test_every_operation_is_a_route() -> None:
    """Nothing is described that is not there."""
    handlers = {route.handler for route in create_app(Settings()).router.routes()}

    assert [each.__name__ for each in OPERATIONS if each not in handlers] == []


def test_every_route_says_what_it_does() -> None:
    """Each has a sentence of its own, in plain words and without the names of our classes."""
    for item in description()["paths"].values():
        for operation in item.values():
            assert operation["summary"]
            assert "Error" not in operation["summary"]


def test_every_schema_is_used() -> None:
    """A shape that nothing leads to describes nothing."""
    document = description()
    text = orjson.dumps(document).decode()

    names = document["components"]["schemas"]
    assert [name for name in names if f'"#/components/schemas/{name}"' not in text] == []


def test_every_event_is_in_it() -> None:
    """The streams of jobs have all names of events, those of images OpenAI's and our own."""
    paths = description()["paths"]

    def events(path: str, method: str) -> set[str]:
        content = paths[path][method]["responses"]["200"]["content"]["text/event-stream"]
        return set(content["x-events"])

    assert set(EventName) == events("/v1/jobs/{id}/events", "get")
    assert set(EventName) == events("/v1/jobs/events", "get")
    assert {
        "image_generation.progress",
        "image_generation.completed",
        "image_edit.progress",
        "image_edit.completed",
        "error",
    } == events("/v1/images/generations", "post")


def test_the_query_of_the_list_is_the_one_that_is_read() -> None:
    """Parameter by parameter."""
    parameters = description()["paths"]["/v1/jobs"]["get"]["parameters"]

    assert list(queries.PARAMETERS) == [each["name"] for each in parameters]


def test_every_code_is_explained() -> None:
    """Whatever is raised as an answer somewhere in the package is in the table of codes, and nothing else."""
    answers = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.TaxiwayError)
        and (kind.status_code in KINDS and kind.status_code != 500)
    ]
    rooms = ("server", "routing", "providers")
    files = [path for room in rooms for path in (PACKAGE / room).rglob("*.py")]
    files += [
        PACKAGE / name for name in ("runner.py", "journal.py", "budgets.py", "catalogue/sizes.py")
    ]
    raised = {code for path in files for code in _codes(ast.parse(path.read_text()))}
    raised |= {kind.default_code for kind in answers} - {"model_not_mapped"}
    raised |= errors.JOB_CODES.keys()

    assert sorted(raised) == sorted(each.code for each in CODES)


def _codes(tree: ast.AST) -> Iterator[str]:
    """Yield every code that is written down as an argument `code`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for argument in node.keywords:
                if argument.arg == "code":
                    yield from _texts(argument.value)


def _texts(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp():
            yield from _texts(node.body)
            yield from _texts(node.orelse)
        case ast.Call():
            yield from (text for each in node.args[1:] for text in _texts(each))


def test_the_codes_of_jobs_have_the_status_of_their_class() -> None:
    """The table says of each code what a caller who waits meets."""
    described = {each.code: each.kind.status_code for each in CODES}

    assert {code: kind.status_code for code, (kind, _) in errors.JOB_CODES.items()} == {
        code: described[code] for code in errors.JOB_CODES
    }


def test_a_key_is_asked_for_where_one_is_needed() -> None:
    """With a master key each route says what opens it; the probes and the pages are open, events take a token."""
    paths = description(Settings(master_key=Secret(KEY)))["paths"]

    keys = [{"bearer": []}, {"x-litellm-api-key": []}, {"x-api-key": []}, {"api-key": []}]
    assert keys == paths["/v1/jobs"]["get"]["security"]
    assert [*keys, {"token": []}] == paths["/v1/jobs/{id}/events"]["get"]["security"]
    assert [] == paths["/healthz"]["get"]["security"]
    assert [] == paths["/"]["get"]["security"]


# In the service


async def test_it_is_open_and_cached(client: aiohttp.ClientSession) -> None:
    """It is JSON, and a reader who has it gets a 304."""
    async with client.get("/openapi.json") as response:
        document = await response.json()
        etag = response.headers["ETag"]
    async with client.get("/openapi.json", headers={"If-None-Match": etag}) as again:
        pass

    assert ("3.1.0", 200, 304) == (document["openapi"], response.status, again.status)


class Checker:
    """Holds documents against the description. No field may be there that it does not name."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas = document["components"]["schemas"]

    def check(self, name: str, value: Any) -> None:
        """Raise where a document is not as described."""
        schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": self._schemas}}
        jsonschema.Draft202012Validator(schema).validate(value)
        assert self._unknown({"$ref": f"#/components/schemas/{name}"}, value, name) == []

    def _unknown(self, schema: Any, value: Any, place: str) -> list[str]:
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        found = []
        for each in schema.get("anyOf", []):
            if value is not None and each != {"type": "null"}:
                found += self._unknown(each, value, place)
        if isinstance(value, list):
            for each in value:
                found += self._unknown(schema.get("items", {}), each, place)
        if isinstance(value, dict) and "properties" in schema:
            for key, each in value.items():
                if key not in schema["properties"]:
                    found.append(f"{place}.{key}")
                found += self._unknown(schema["properties"].get(key, {}), each, f"{place}.{key}")
        return found


@pytest.fixture
def checker(app: web.Application, settings: Settings) -> Checker:
    """The description of the service under test."""
    return Checker(description(settings))


@pytest.mark.parametrize(
    ("prompt", "status"),
    [
        pytest.param("a fox", "completed", id="completed"),
        pytest.param("a fox [[fail:SAFETY.INPUT.TEXT]]", "failed", id="failed"),
        pytest.param("a fox [[create:429 times=2]]", "completed", id="after refusals"),
    ],
)
async def test_a_job_is_as_described_all_the_way(
    client: aiohttp.ClientSession, checker: Checker, prompt: str, status: str
) -> None:
    """In every event of its stream, in the list and by itself there is every field described, and no other."""
    body = {"model": "gen4", "prompt": prompt, "n": 2, "metadata": {"a": 1}}
    async with client.post(
        "/v1/images/generations", json=body, headers={"Prefer": "respond-async"}
    ) as response:
        job = await response.json()
        checker.check("Job", job)
    async with client.get(f"/v1/jobs/{job['id']}/events") as stream:
        async for line in stream.content:
            if line.startswith(b"data: "):
                job = orjson.loads(line[6:])
                checker.check("Job", job)
    async with client.get("/v1/jobs") as response:
        checker.check("JobList", await response.json())

    assert status == job["status"]


async def test_answers_are_as_described(client: aiohttp.ClientSession, checker: Checker) -> None:
    """Images, prices, models, tokens and errors have every field described, and no other."""
    body = {"model": "gen4", "prompt": "a fox"}
    async with client.post("/v1/images/generations", json=body) as response:
        images = await response.json()
    job_id = images["job_id"]
    asked: dict[str, Any] = {
        "Quote": client.post("/v1/images/quote", json=body),
        "ModelList": client.get("/v1/models"),
        "Model": client.get("/v1/models/runwayml/recraft_v4_1_vector"),
        "StreamToken": client.post(f"/v1/jobs/{job_id}/token"),
        "ErrorBody": client.post("/v1/images/generations", json={"model": "gen4"}),
        "Liveness": client.get("/healthz"),
        "Readiness": client.get("/readyz"),
    }

    checker.check("ImagesResponse", images)
    for name, asking in asked.items():
        async with asking as response:
            checker.check(name, await response.json())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"prompt": "a fox"}, id="url"),
        pytest.param({"prompt": "a fox [[fail:INTERNAL]]", "num_retries": 0}, id="error"),
    ],
)
async def test_image_events_are_as_described(
    client: aiohttp.ClientSession, checker: Checker, body: dict[str, Any]
) -> None:
    """Each event of an image stream has the shape that stands under its name."""
    events = description()["paths"]["/v1/images/generations"]["post"]["responses"]["200"]
    shapes = events["content"]["text/event-stream"]["x-events"]
    seen = set()
    asked = {"model": "gen4", "stream": True, "response_format": "url", **body}

    async with client.post("/v1/images/generations", json=asked) as response:
        name = ""
        async for line in response.content:
            if line.startswith(b"event: "):
                name = line[7:-1].decode()
            if line.startswith(b"data: "):
                seen.add(name)
                shape = shapes[name]["data"]["$ref"].rpartition("/")[2]
                checker.check(shape, orjson.loads(line[6:]))

    assert "image_generation.progress" in seen
    assert 2 == len(seen)


# Under fire


class Thread(threading.Thread):
    """A service and its Runway on a loop of their own, for callers who do not live on one."""

    def __init__(self) -> None:
        super().__init__(name="service", daemon=True)
        self.url = ""
        self._ready = threading.Event()
        self._tell: Callable[[], None] = lambda: None

    def run(self) -> None:
        """Serve until told to stop."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._tell = lambda: loop.call_soon_threadsafe(stop.set)
        hurry = SandboxSettings(queue_s=0, duration_s=0.05, pictures="plain")
        async with Sandbox(hurry) as sandbox:
            settings = Settings(
                database_url="memory://",
                log_level="error",
                poll_interval_s=0.05,
                shutdown_budget_s=0.5,
                sse_max_age_s=0.3,
                master_key=Secret(KEY),
                deployments=tuple(
                    Deployment(
                        id=f"{model}-1",
                        model_name=f"runwayml/{model}",
                        provider="runwayml",
                        model=model,
                        api_key=Secret("key_of_the_tests"),
                        api_base=sandbox.url,
                    )
                    for model in ("gen4_image", "gpt_image_2")
                ),
            )
            async with listening(create_app(settings), host="127.0.0.1", port=0) as self.url:
                self._ready.set()
                await stop.wait()

    def __enter__(self) -> "Thread":
        self.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._tell()
        self.join(20)


@pytest.fixture(scope="module")
def fortress() -> Iterator[str]:
    """The address of a service with a master key."""
    with Thread() as service:
        yield service.url


@pytest.fixture(scope="module")
def api(fortress: str) -> Any:
    """The description that the service gives of itself, read by schemathesis."""
    return schemathesis.openapi.from_url(f"{fortress}/openapi.json")


#: Every operation under its first address; the others are the same handlers.
OPERATIONS_TO_TRY = [
    (path, method, operation)
    for path, item in description()["paths"].items()
    for method, operation in item.items()
    if "description" not in operation
]

#: Requests of each kind, for each operation: more find nothing more, and take their time.
EXAMPLES = 12


def throw(api: Any, path: str, method: str, *, mode: Any, accepted: bool) -> None:
    """Send what schemathesis makes up, and hold the answers against the description.

    `accepted`: whatever fits the description has to be taken.
    """
    excluded = [] if accepted else [positive_data_acceptance]
    accepts = mode is schemathesis.GenerationMode.POSITIVE
    key = {"Authorization": f"Bearer {KEY}"}

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=api[path][method].as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        if accepts and isinstance(case.body, dict) and "model" in case.body:
            case.body["model"] = "runwayml/gen4_image"
        response = case.call(headers=key, timeout=20)
        case.validate_response(response, headers=key, excluded_checks=excluded)

    send()


@pytest.mark.looptime(False)
@pytest.mark.parametrize(
    ("path", "method"),
    [pytest.param(path, method, id=f"{method} {path}") for path, method, _ in OPERATIONS_TO_TRY],
)
def test_what_is_described_is_taken(api: Any, path: str, method: str) -> None:
    """schemathesis: no fault of ours, and no status, type or shape that is not described.

    Whether a model makes a size, whether there is such a job, and whether a period ends after it has begun, no
    schema can say.
    """
    by_content = path.startswith(("/v1/images/", "/key/")) or path in ("/v1/usage", "/v1/jobs")
    mode = schemathesis.GenerationMode.POSITIVE
    throw(api, path, method, mode=mode, accepted=not by_content)


@pytest.mark.looptime(False)
@pytest.mark.parametrize(
    ("path", "method"),
    [
        pytest.param(path, method, id=f"{method} {path}")
        for path, method, operation in OPERATIONS_TO_TRY
        if operation["tags"][0] not in ("Pages", "Service") and path != "/v1/models"
    ],
)
def test_what_is_not_described_is_refused(api: Any, path: str, method: str) -> None:
    """schemathesis: whatever does not fit the description is a refusal of ours, and never a fault."""
    throw(api, path, method, mode=schemathesis.GenerationMode.NEGATIVE, accepted=False)
