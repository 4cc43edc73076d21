"""Every query of the dashboards and of the rules, put to a real Prometheus that watches a service at work.

What a renamed metric, a lost label or a bound that is written differently does to a query, nobody sees by reading:
it is still well-formed, and returns nothing. Here every one has to return something.
"""

import asyncio
import json
import runpy
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import promql_parser
import pytest
import yaml
from tests.programs import find

pytestmark = pytest.mark.looptime(False)

ROOT = Path(__file__).parent.parent

promql = runpy.run_path(str(ROOT / "tests" / "promql.py"))

#: Data is there when it has been asked for so long, at the latest; then whatever is not there is missing.
PATIENCE_S = 55.0

COMPARISONS = frozenset({">", ">=", "<", "<=", "==", "!="})

#: What returns nothing here, and why that is right.
NOT_HERE: Mapping[str, str] = {
    "kubelet_volume_stats": "the kubelet's own numbers: there is no Kubernetes here",
    "offset 1w": "nobody has watched for a week",
    "changes(process_start_time_seconds": "marks restarts, and nothing restarts here",
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Question:
    """A query, and where it stands."""

    place: str
    expr: str

    @property
    def excused(self) -> bool:
        """Whether nothing is the right answer."""
        return any(words in self.expr for words in NOT_HERE)


def panels(page: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every panel of a page that asks, those in collapsed rows too."""
    for panel in page["panels"]:
        yield from panel.get("panels", ())
        if panel["type"] != "row":
            yield panel


def on_pages() -> Iterator[Question]:
    """What the dashboards ask."""
    for file in sorted((ROOT / "grafana" / "dashboards").glob("*.json")):
        page = json.loads(file.read_text())
        for panel in panels(page):
            for target in panel["targets"]:
                place = f"{file.stem}: {panel['title']}"
                yield Question(place=place, expr=promql["filled"](target["expr"]))
        for note in page["annotations"]["list"]:
            if "target" in note:
                expr = promql["filled"](note["target"]["expr"])
                yield Question(place=f"{file.stem}: {note['name']}", expr=expr)


def in_rules() -> Iterator[Question]:
    """What the rules ask. An alert is silent while all is well: asked is what it compares."""
    document = yaml.safe_load((ROOT / "deploy" / "monitoring" / "rules.yaml").read_text())
    for rule in (rule for group in document["groups"] for rule in group["rules"]):
        if "record" in rule:
            yield Question(place=rule["record"], expr=rule["expr"])
            continue
        for node, _ in promql["walk"](promql["parse"](rule["expr"])):
            if isinstance(node, promql_parser.BinaryExpr) and str(node.op) in COMPARISONS:
                for side in (node.lhs, node.rhs):
                    if not isinstance(side, promql_parser.NumberLiteral):
                        yield Question(place=rule["alert"], expr=side.prettify())


@pytest.fixture
async def prometheus() -> AsyncIterator[str]:
    """A Prometheus that watches a service which is asked for images, as `grafana/live.py` runs them."""
    program = find("prometheus")
    if program is None:
        pytest.skip("There is no Prometheus, and no Debian to take it from.")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "grafana" / "live.py")),
        *("--prometheus", program, "--rate", "6"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(40):
            where = json.loads(await process.stdout.readline())
        yield str(where["prometheus"])
    finally:
        process.stdin.close()  # it ends with whoever started it
        await process.wait()


async def answered(client: aiohttp.ClientSession, question: Question) -> bool:
    """Whether a query returns something. One that is refused is a failure at once."""
    async with client.get("/api/v1/query", params={"query": question.expr}) as response:
        answer = await response.json()
    assert answer["status"] == "success", (question, answer)
    result = answer["data"]["result"]
    return bool(result)


async def test_every_query_has_data(prometheus: str) -> None:
    """Within a minute of work, every query of a dashboard or a rule has returned something, or is excused."""
    missing = {each for each in (*on_pages(), *in_rules()) if not each.excused}
    asked = len(missing)
    loop = asyncio.get_running_loop()
    until_s = loop.time() + PATIENCE_S
    async with aiohttp.ClientSession(prometheus) as client:
        while missing and loop.time() < until_s:
            await asyncio.sleep(2.0)
            missing = {each for each in missing if not await answered(client, each)}

    assert asked > 150
    assert [] == sorted(missing)


def test_the_excuses_are_needed() -> None:
    """Each excuse is one for some query: whoever removes the query removes the excuse."""
    exprs = [each.expr for each in (*on_pages(), *in_rules())]

    assert [] == [words for words in NOT_HERE if not any(words in expr for expr in exprs)]
