"""What operators read: one line per thing that happened, under its own name, and never what was confided."""

import ast
import asyncio
import io
import json
import logging
import os
import pty
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

import taxiway
from taxiway.logs import Logs
from taxiway.logs.fields import ALWAYS, CONTEXT, FIELDS
from taxiway.logs.names import EVENTS, Name
from taxiway.protocols import Note, Observer
from taxiway.settings import Settings

pytestmark = pytest.mark.looptime(False)

CANARY_PROMPT = "A canary in a coal mine, singing."
CANARY_KEY = "key_" + "c0ffee" * 21

SETTINGS = Settings()
DEBUG = Settings(log_level="debug")

SCHEMA = json.loads(Path(__file__).with_name("log_schema.json").read_text(encoding="utf-8"))
ROWS = {str(row.name): row for row in EVENTS}
SPELLED = {field.word: field.name for field in FIELDS}

Lines = list[dict[str, Any]]


def written(act: Callable[[Logs], None], settings: Settings = SETTINGS) -> Lines:
    """The lines that an action writes, each checked against the schema and its row of the table."""
    stream = io.BytesIO()
    with Logs(settings, stream=stream, version="1.2.3", instance="one", key=b"key") as logs:
        act(logs)
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    for line in lines:
        check(line)
    return lines


def check(line: dict[str, Any]) -> None:
    Draft202012Validator(SCHEMA).validate(line)
    row = ROWS[line["event"]]
    known = {SPELLED[word] for word in (*ALWAYS, *CONTEXT, *row.fields)}
    assert set(line) <= known
    assert line["level"] in {row.level, *row.also}


def without(line: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in names}


def events(lines: Lines) -> list[tuple[str, str]]:
    return [(line["event"], line["level"]) for line in lines]


@pytest.mark.parametrize(
    ("route", "code", "level"),
    [
        pytest.param("/v1/jobs/{id}", 200, "info", id="an answer"),
        pytest.param("/v1/jobs/{id}", 404, "info", id="the caller's mistake"),
        pytest.param("/v1/images/generations", 502, "warning", id="not the caller's mistake"),
        pytest.param("/readyz", 503, "debug", id="a probe"),
        pytest.param("/metrics", 200, "debug", id="a scrape"),
    ],
)
def test_the_one_line_of_a_request(route: str, code: int, level: str) -> None:
    """The access line's level goes by who asked and who failed; its path is cut, its caller made coarse."""

    def act(logs: Logs) -> None:
        logs.bind(request_id="req-1")
        logs.access(
            "GET",
            route=route,
            path="/" + "x" * 300,
            code=code,
            duration_s=0.123456,
            client="203.0.113.77",
            user_agent="curl/8",
        )
        logs.unbind("request_id")

    (line,) = written(act, DEBUG)

    assert without(line, "timestamp", "service.name", "service.version", "service.instance.id") == {
        "level": level,
        "event": "http.request.completed",
        "request_id": "req-1",
        "http.request.method": "GET",
        "http.route": route,
        "url.path": "/" + "x" * 254 + "…",
        "http.response.status_code": code,
        "duration_s": 0.1235,
        "client.address": "203.0.113.0",
        "user_agent.original": "curl/8",
    }


@pytest.mark.parametrize(
    ("address", "network"),
    [
        pytest.param("2001:db8:1:2::3", "2001:db8:1::", id="IPv6"),
        pytest.param("::ffff:203.0.113.77", "203.0.113.0", id="IPv4 in IPv6"),
        pytest.param("a socket", None, id="no address"),
    ],
)
def test_callers_are_told_by_their_network(address: str, network: str | None) -> None:
    """An address is cut to its network, of either family."""
    (line,) = written(
        lambda logs: logs.access(
            "GET", route="/", path="/", code=200, duration_s=0.1, client=address
        )
    )

    assert line.get("client.address") == network


def test_hostile_text_makes_a_line_all_the_same() -> None:
    """Neither quotes, line feeds nor what is no Unicode break a line out of its place."""
    hostile = '/"\n{"level":"error"}\udcff\x1b[31m'

    def act(logs: Logs) -> None:
        logs.access("GET", route="other", path=hostile, code=404, duration_s=0.1)
        logs.note("http.request.broken", route="other", exc_info=ValueError(hostile))

    access, broken = written(act)

    assert access["url.path"] == '/" {"level":"error"}?\x1b[31m'
    assert broken["exception"][0]["exc_value"] == '/"\n{"level":"error"}?\x1b[31m'


def test_a_note_s_level_belongs_to_its_name() -> None:
    """Whoever notes something names it, and the table knows how much it matters."""

    def act(logs: Logs) -> None:
        for name in Name:
            logs.note(name)

    assert events(written(act, DEBUG)) == [(str(row.name), row.level) for row in EVENTS]


async def test_context_belongs_to_its_coroutine() -> None:
    """What one request binds is on its own lines, and not on those of a request beside it."""
    stream = io.BytesIO()

    async def serve(logs: Logs, request_id: str) -> None:
        logs.bind(request_id=request_id)
        await asyncio.sleep(0)
        logs.note("stream.closed", job_id=request_id)

    with Logs(SETTINGS, stream=stream, version="1") as logs:
        await asyncio.gather(serve(logs, "a"), serve(logs, "b"))
        logs.note("stream.closed", job_id="none")
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]

    assert [(line["job_id"], line.get("request_id")) for line in lines] == [
        ("a", "a"),
        ("b", "b"),
        ("none", None),
    ]


def test_libraries_speak_through_the_same_log() -> None:
    """What a library warns of becomes a line of ours, traceback included; what it chats about does not."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)

    def act(logs: Logs) -> None:
        with logs.capture_stdlib():
            library = logging.getLogger("sqlalchemy.engine")
            library.info("INSERT %r", (CANARY_PROMPT,))
            library.warning("slow: %s", f"key {CANARY_KEY}")
            try:
                os.stat("/nowhere")
            except OSError:
                library.exception("broken")

    lines = written(act, DEBUG)

    assert [(line["level"], line["logger"], line["message"]) for line in lines] == [
        ("warning", "sqlalchemy.engine", "slow: key ***"),
        ("error", "sqlalchemy.engine", "broken"),
    ]
    assert [one["exc_type"] for one in lines[1]["exception"]] == ["FileNotFoundError"]
    assert (list(root.handlers), root.level) == before


def test_two_services_do_not_hear_each_other() -> None:
    """Two logs in one process have their own stream, level and secrets."""
    quiet, loud = io.BytesIO(), io.BytesIO()
    with (
        Logs(SETTINGS, stream=quiet, version="1") as one,
        Logs(DEBUG, stream=loud, version="2") as other,
    ):
        one.note("stream.opened", job_id="job_1")
        other.note("stream.opened", job_id="job_2")

    assert quiet.getvalue() == b""
    assert orjson.loads(loud.getvalue())["service.version"] == "2"


def test_losses_are_counted_by_whoever_asks() -> None:
    """Lines that are given up are told as numbers, since they cannot be told as lines."""
    losses: list[int] = []
    with Logs(SETTINGS, stream=io.BytesIO(), version="1") as logs:
        logs.count_losses(losses.append)
    logs.note("store.failed", job_id="job_1")

    assert losses == [1]


def test_logs_fit_the_seams() -> None:
    """A log is an observer of events and the engine's way to note things: mypy says so."""

    def engine(note: Note, observer: Observer) -> tuple[Note, Observer]:
        return note, observer

    with Logs(SETTINGS, stream=io.BytesIO(), version="1") as logs:
        assert engine(logs.note, logs.observe) == (logs.note, logs.observe)


# A terminal


def test_a_terminal_gets_colours() -> None:
    """On a real terminal a line is for people: coloured, on one line, without the service's own names."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "wb", buffering=0) as terminal:
        with Logs(SETTINGS, stream=terminal, version="1") as logs:
            logs.note("store.failed", job_id="job_1", error=f"a\nb \x1b[2J {CANARY_KEY}")
        text = os.read(ours, 4096).decode()
    os.close(ours)

    assert text.count("\n") == 1
    assert "\x1b[" in text
    assert "store.failed" in text
    assert "a\\nb \\x1b[2J ***" in text
    assert "service.name" not in text


def test_a_terminal_gets_what_a_person_reads() -> None:
    """The time of day, short words, and nothing that is there for the joining of lines."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "wb", buffering=0) as terminal:
        with Logs(SETTINGS, stream=terminal, version="1") as logs:
            logs.note(
                "job.recovered", job_id="job_1", trace_id="4bf9", cause="start", phase="running"
            )
        text = re.sub(r"\x1b\[\d*m", "", os.read(ours, 4096).decode())
    os.close(ours)

    time_of_day, rest = text.strip().split(maxsplit=1)
    assert re.fullmatch(r"\d\d:\d\d:\d\d", time_of_day)
    assert rest.split() == [
        *("[warning]", "job.recovered"),
        *("job_id=job_1", "cause=start", "phase=running"),
    ]


# The vocabulary


def test_the_schema_is_the_table() -> None:
    """The schema of a line knows every event and every field of the tables, and no other."""
    assert {name: SCHEMA["properties"][name]["type"] for name in SCHEMA["properties"]} == {
        field.name: field.type for field in FIELDS
    }
    assert SCHEMA["properties"]["event"]["enum"] == [row.name for row in EVENTS]
    assert SCHEMA["required"] == [SPELLED[word] for word in ALWAYS]


def test_every_name_is_in_the_table_once() -> None:
    """Each name has one row, and each row speaks of known fields."""
    unknown = {word for row in EVENTS for word in row.fields} - {field.word for field in FIELDS}

    assert [row.name for row in EVENTS] == list(Name)
    assert unknown == set()


def test_nothing_else_is_noted_anywhere() -> None:
    """Every `note("…")` in the package names an event of the table, and only fields of its row."""
    strangers = [
        f"{where}: {name} {sorted(unknown)}"
        for where, name, words in noted_in(Path(taxiway.__file__).parent)
        if (unknown := words - allowed(name)) or name not in ROWS
    ]

    assert strangers == []


def allowed(name: str) -> set[str]:
    row = ROWS.get(name)
    return (
        {*CONTEXT, *row.fields, *({"exc_info"} if "exception" in row.fields else ())}
        if row
        else set()
    )


def noted_in(package: Path) -> Iterator[tuple[str, str, set[str]]]:
    """Every note written with a literal name: where, which, with which fields."""
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and callee(node) in {"note", "_note", "_note_once"}:
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    words = {keyword.arg for keyword in node.keywords if keyword.arg}
                    yield f"{path.name}:{node.lineno}", first.value, words


def callee(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))
