"""The documents keep up with the code: their tables are drawn from it, and their links lead somewhere.

`python tests/test_docs.py` writes the tables anew.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from taxiway.config.knobs import KNOBS
from taxiway.logs.names import EVENTS
from taxiway.metrics.table import TABLE
from taxiway.server import create_app
from taxiway.settings import Settings

ROOT = Path(__file__).parent.parent

#: Every page for people.
PAGES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("", "docs", "docs/runbooks", "docs/examples", "deploy", "grafana")
    for path in (ROOT / folder).glob("*.md")
)

#: Table → the page it stands on, where that is not the front door.
ELSEWHERE = {"events": "docs/watching.md"}


def routes_table() -> Iterator[str]:
    """Yield a row for every address of the service, with the first sentence of its handler."""
    yield "| route | answer |"
    yield "|---|---|"
    rows: dict[str, tuple[list[str], str]] = {}
    for route in create_app(Settings()).router.routes():
        if route.method in {"HEAD", "OPTIONS"} or route.resource is None:
            continue
        where = f"`{route.method} {route.resource.canonical}`"
        sentence = (route.handler.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        sentence = re.sub(r"\s+", " ", sentence).strip()
        rows.setdefault(sentence, ([], sentence))[0].append(where)
    for places, sentence in rows.values():
        yield f"| {', '.join(places)} | {sentence} |"


def settings_table() -> Iterator[str]:
    """Yield a row for every key of `taxiway_settings`, with its default and its reason."""
    yield "| `taxiway_settings` | default | |"
    yield "|---|---|---|"
    reasons = dict(field_docs(ROOT / "service/taxiway/settings.py", "Settings"))
    for key, word in KNOBS:
        if word.field is None:
            continue
        value = getattr(Settings(), word.field)
        if key.endswith("_mb"):
            value = value // 2**20
        shown = "" if value in (None, ()) else f"`{str(value).lower()}`"
        yield f"| `{key}` | {shown} | {reasons.get(word.field, '')} |"


def metrics_table() -> Iterator[str]:
    """Yield a row for every metric, with its labels and the question it answers."""
    yield "| metric | type | labels | answers |"
    yield "|---|---|---|---|"
    for row in TABLE:
        labels = ", ".join(f"`{label.name}`" for label in row.labels)
        yield f"| `{row.name}` | {row.kind} | {labels} | {row.help} |"


def events_table() -> Iterator[str]:
    """Yield a row for every event of the log, with its level and what it says."""
    yield "| event | level | says |"
    yield "|---|---|---|"
    for row in EVENTS:
        levels = "/".join([row.level, *row.also])
        yield f"| `{row.name}` | {levels} | {row.says} |"


def chaos_table() -> Iterator[str]:
    """Yield the table of the last whole run of `make chaos`."""
    lines = (ROOT / "tests/chaos/last_run.md").read_text().splitlines()
    yield from (line for line in lines if line.startswith("|"))


#: What the last run of `make chaos` is summed up by.
SUMMED_UP = (
    "jobs",
    "kills",
    "bought twice",
    "images lost",
    "events lost",
    "left without an end",
    "ledger difference",
)


def kills_table() -> Iterator[str]:
    """Yield what that run came to, all rows together."""
    lines = [*chaos_table()]
    names, ruler, total = ([*map(str.strip, lines[i].split("|"))] for i in (0, 1, -1))
    for row in (names, ruler, total):
        yield f"| {' | '.join(row[names.index(name)] for name in SUMMED_UP)} |"


def speed_table() -> Iterator[str]:
    """Yield what the last bench has found."""
    yield from (ROOT / "tests/bench/results/latest.md").read_text().splitlines()


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "routes": routes_table,
    "settings": settings_table,
    "metrics": metrics_table,
    "events": events_table,
    "speed": speed_table,
    "chaos": chaos_table,
    "kills": kills_table,
}


def field_docs(file: Path, name: str) -> Iterator[tuple[str, str]]:
    """Yield the fields of a class and the docstrings that stand under them."""
    classes = (n for n in ast.parse(file.read_text()).body if isinstance(n, ast.ClassDef))
    body = next(c for c in classes if c.name == name).body
    for field, doc in pairwise(body):
        match field, doc:
            case ast.AnnAssign(target=ast.Name(id=field_name)), ast.Expr(ast.Constant(str(text))):
                yield field_name, re.sub(r"\s+", " ", text)


def page_of(name: str) -> Path:
    """Return the page that a table stands on."""
    return ROOT / ELSEWHERE.get(name, "README.md")


def block(name: str) -> re.Pattern[str]:
    """Return what finds a table on its page."""
    return re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_says_what_the_code_does(name: str) -> None:
    """Routes, settings, metrics and log events stand on their pages as they are in the code."""
    found = block(name).search(page_of(name).read_text())

    assert found is not None
    assert "\n".join(TABLES[name]()) == found[0].split("-->\n", 1)[1].rsplit("\n<!--", 1)[0]


def test_every_route_setting_and_metric_is_explained() -> None:
    """No row of a table is without its sentence."""
    rows = [row for table in TABLES.values() for row in table()]

    assert [row for row in rows if row.endswith(("|  |", "| |"))] == [
        "| `taxiway_settings` | default | |"
    ]


@pytest.mark.parametrize("name", PAGES)
def test_every_file_a_page_points_at_exists(name: str) -> None:
    """A link on a page leads to a file, and to a heading of it where it names one."""
    page = ROOT / name
    links = re.findall(r"\]\((?!https?:|mailto:)([^)#]*)#?([^)]*)\)", page.read_text())
    broken = [
        f"{path}#{heading}"
        for path, heading in links
        if not (page.parent / path).exists()
        or (heading and heading not in headings(page.parent / path if path else page))
    ]

    assert [] == broken


def headings(page: Path) -> set[str]:
    """Return the headings of a page as links name them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in found}


def test_the_front_door_leads_to_every_page() -> None:
    """Whoever reads README finds each page of docs, if only by its folder."""
    told = (ROOT / "README.md").read_text()

    assert [
        page
        for page in PAGES
        if page.startswith("docs/") and page.count("/") == 1 and f"({page})" not in told
    ] == []


def write() -> None:
    """Draw every table anew."""
    for name, table in TABLES.items():
        page, body = page_of(name), "\n".join(table())
        text = page.read_text()
        page.write_text(block(name).sub(lambda m, body=body: f"{m[1]}{body}\n{m[2]}", text))


if __name__ == "__main__":
    sys.exit(write())
