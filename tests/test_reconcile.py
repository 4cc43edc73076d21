"""Whether the books say what Runway has charged: `taxiway usage` and `taxiway reconcile`, run as programs."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from tests.days import outlast_midnight
from tests.processes import until

from taxiway.cli.reconciliation import Count, Line, counts_of, lines_of, unclaimed
from taxiway.errors import ProviderUnavailableError
from taxiway.protocols import NoInstruments, no_note
from taxiway.providers.runway_account import open_accounts
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server.running import listening
from taxiway.settings import Deployment, Secret, Settings

pytestmark = pytest.mark.looptime(False)

MODEL = "runwayml/gen4_image"


@pytest.fixture(autouse=True)
def one_day() -> None:
    """A day that does not end before the test: the books are compared day by day."""
    outlast_midnight(within_s=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A program that has run."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Somebody with a shell, beside a running service."""

    folder: Path
    environ: dict[str, str]
    client: aiohttp.ClientSession

    async def run(self, *arguments: str) -> Ended:
        """Run `python -m taxiway …`."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "taxiway", *arguments),
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "120", **self.environ},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        return Ended(code=process.returncode or 0, out=out.decode(), err=err.decode())

    async def buy(self, prompt: str = "a red fox", **fields: Any) -> Any:
        """Ask for an image and wait for it; return the job's id."""
        body = {"model": MODEL, "prompt": prompt, **fields}
        async with self.client.post("/v1/images/generations", json=body) as response:
            return response.headers["x-taxiway-job-id"]


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway in a hurry, with a hundred credits."""
    return SandboxSettings(queue_s=0.05, duration_s=0.2, balance=100, pictures="plain")


@pytest.fixture
def settings(sandbox: Sandbox) -> Settings:
    """A service that looks at its tasks often, since the clock here is the real one."""
    deployment = Deployment(
        id="runwayml/gen4_image-1",
        model_name=MODEL,
        provider="runwayml",
        model="gen4_image",
        api_key=Secret("key_of_the_tests"),
        api_base=sandbox.url,
    )
    return Settings(database_url="memory://", poll_interval_s=0.1, deployments=(deployment,))


CONFIG = """
model_list:
  - model_name: runwayml/gen4_image
    litellm_params:
      model: runwayml/gen4_image
      api_key: key_of_the_tests
      api_base: {url}
    model_info:
      id: runwayml/gen4_image-1
"""


@pytest.fixture
async def operator(
    app: web.Application, sandbox: Sandbox, tmp_path: Path
) -> AsyncIterator[Operator]:
    """An operator of a running service, with its configuration at hand."""
    (tmp_path / "config.yaml").write_text(CONFIG.format(url=sandbox.url))
    async with (
        listening(app, host="127.0.0.1", port=0) as url,
        aiohttp.ClientSession(url) as client,
    ):
        yield Operator(folder=tmp_path, environ={"TAXIWAY_URL": url}, client=client)


RECONCILE = ("reconcile", "--config", "config.yaml")


async def test_where_nothing_was_spent_it_says_so(operator: Operator) -> None:
    """An empty ledger is a sentence, not an empty table."""
    assert Ended(code=0, out="Nothing was spent.\n", err="") == await operator.run("usage")


async def test_what_was_spent_is_a_table(operator: Operator) -> None:
    """A row for each model, the total, and a word about what is a guess."""
    await asyncio.gather(operator.buy(), operator.buy(n=2), operator.buy("a fox [[create:cut]]"))

    ended = await operator.run("usage")

    rows = [line.split() for line in ended.out.splitlines()]
    assert 0 == ended.code, ended.err
    assert ["model", "jobs", "tasks", "credits", "cost", "under", "way"] == rows[0]
    assert [MODEL, "3", "3", "32", "~$0.32"] == rows[1]
    assert ["total", "3", "3", "32", "~$0.32"] == rows[2]
    assert "~ $0.08 of it is estimated: the provider has not named the charge." in ended.out


async def test_programs_get_the_document(operator: Operator) -> None:
    """`--json` is what `GET /v1/usage` answers, told apart as `--by` says."""
    await operator.buy()

    ended = await operator.run("usage", "--by", "day,upstream_model", "--json")

    document = orjson.loads(ended.out)
    assert ("usage", ["day", "upstream_model"]) == (document["object"], document["by"])
    assert ["gen4_image"] == [row["upstream_model"] for row in document["data"]]
    assert 8 == document["total"]["cost"]["charged_credits"]


async def test_books_that_are_right_agree(operator: Operator, sandbox: Sandbox) -> None:
    """Images, refunds and what is under way: to the credit what Runway says, and the command exits 0."""
    await asyncio.gather(
        operator.buy(),
        operator.buy("a fox [[fail:SAFETY.INPUT.TEXT]]"),
        operator.buy("[[fail:INTERNAL]]"),
    )
    running = asyncio.create_task(operator.buy("a fox [[slow:60]]"))
    await until(lambda: any("slow" in t.prompt and t.polls for t in sandbox.tasks.values()))

    ended = await operator.run(*RECONCILE)

    running.cancel()
    assert 0 == ended.code, ended.err + ended.out
    assert ended.out == (
        "runwayml-1: the books and Runway agree on 24 credits over 30 days, 76 left.\n"
    )


async def test_what_runway_has_and_the_books_have_not_is_a_difference(
    operator: Operator, sandbox: Sandbox
) -> None:
    """A task that nobody here has bought: the day, the model and the credits are named; the command exits 1."""
    await operator.buy()
    headers = {"Authorization": "Bearer key_of_the_tests", "X-Runway-Version": "2024-11-06"}
    body = {"model": "gen4_image", "promptText": "somebody else's", "ratio": "1920:1080"}
    url = f"{sandbox.url}/v1/text_to_image"
    async with operator.client.post(url, json=body, headers=headers) as response:
        assert response.status == 200

    ended = await operator.run(*RECONCILE)

    row = next(line for line in ended.out.splitlines() if "gen4_image" in line).split()
    assert 1 == ended.code
    assert ["gen4_image", "16", "8", "-8"] == row[1:]
    assert "Runway has made 2 tasks in 24 hours, the books know of 1." in ended.out


async def test_a_submission_without_an_outcome_is_named(operator: Operator) -> None:
    """Booked at the price, it is a difference where Runway made no task of it, and its job is listed."""
    made = await operator.buy("a fox [[create:cut]]")
    not_made = await operator.buy("a fox [[create:502 after=no]]")

    ended = await operator.run(*RECONCILE, "--json")
    shown = await operator.run(*RECONCILE)

    document = orjson.loads(ended.out)
    (account,) = document["accounts"]
    assert (1, False) == (ended.code, document["agrees"])
    assert [not_made, made] == document["submission_unknown"]
    assert [(8, 16, 8)] == [
        (line["runway"], line["booked"], line["difference"]) for line in account["credits"]
    ]
    assert [True] == [count["agrees"] for count in account["tasks"]]
    assert 1 == shown.code
    assert "2 submissions without a known outcome" in shown.out
    assert made in shown.out


async def test_without_a_key_there_is_no_account(operator: Operator) -> None:
    """A configuration that buys nowhere has nothing to compare with."""
    ended = await operator.run("reconcile")

    assert (1, "") == (ended.code, ended.out)
    assert "key" in ended.err


async def test_runway_that_does_not_answer_is_an_error(
    operator: Operator, sandbox: Sandbox
) -> None:
    """An account that cannot be read is neither right nor wrong."""
    sandbox.faults.add("usage:500")

    ended = await operator.run(*RECONCILE)

    assert (1, "") == (ended.code, ended.out)
    assert "Error: Runway answered 500 without an account.\n" == ended.err


async def test_a_key_that_runway_refuses_is_named_by_its_deployment(
    operator: Operator, sandbox: Sandbox
) -> None:
    """Whose key it is, and where to look; the key itself is not shown."""
    sandbox.change(api_keys=["another_key_than_that"])

    ended = await operator.run(*RECONCILE)

    assert (1, "") == (ended.code, ended.out)
    assert "refuses the key of runwayml/gen4_image-1 (401): check `api_key`" in ended.err
    assert "key_of_the_tests" not in ended.err


async def test_runway_that_cannot_be_reached_is_one_sentence(
    operator: Operator, sandbox: Sandbox
) -> None:
    """It names the address and what to do, and no library's words for it."""
    await sandbox.stop()

    ended = await operator.run(*RECONCILE)

    assert (1, "") == (ended.code, ended.out)
    assert ended.err == (
        f"Error: Runway at {sandbox.url} cannot be reached: "
        "check `api_base` and the network, and try again.\n"
    )


@pytest.mark.parametrize(
    ("scheme", "says"),
    [
        pytest.param("http", "broke off before it had answered: try again later.", id="cut off"),
        pytest.param(
            "https",
            "shows no certificate that is trusted here: check `api_base` and `ssl_verify`.",
            id="no TLS",
        ),
    ],
)
async def test_what_listens_there_and_is_not_runway_is_one_sentence(
    settings: Settings, scheme: str, says: str
) -> None:
    """A host that hangs up, and one that has no certificate."""

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if scheme == "https":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, host="127.0.0.1", port=0)
    base = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    (deployment,) = settings.deployments
    async with server, aiohttp.ClientSession() as session:
        (account,) = open_accounts(
            [replace(deployment, api_base=base)],
            session=session,
            instruments=NoInstruments(),
            note=no_note,
        )
        with pytest.raises(ProviderUnavailableError) as caught:
            await account.account()

    assert f"Runway at {base} {says}" == str(caught.value)


@pytest.mark.parametrize("mark", ["usage:truncated", "usage:html", "usage:cut", "usage:401"])
async def test_an_answer_that_makes_no_sense_is_no_account(
    settings: Settings, sandbox: Sandbox, mark: str
) -> None:
    """Whatever comes instead of an account is refused, and never taken for nothing spent."""
    sandbox.faults.add(mark)
    async with aiohttp.ClientSession() as session:
        (account,) = open_accounts(
            settings.deployments, session=session, instruments=NoInstruments(), note=no_note
        )
        with pytest.raises(ProviderUnavailableError):
            await account.spent(first=date(2026, 11, 1), before=date(2026, 11, 2))


def row(deployment: str, model: str, day: str = "", **numbers: int) -> Any:
    """A row of the books."""
    return {
        "deployment": deployment,
        "upstream_model": model,
        "day": day,
        "tasks": numbers.get("tasks", 0),
        "cost": {"credits": numbers.get("credits_", 0)},
        "reserved": {"credits": numbers.get("reserved", 0)},
    }


def test_a_task_that_runs_over_midnight_counts_for_the_day_it_began() -> None:
    """What is reserved on one day and settled on the next is on the first, as with Runway."""
    rows = [
        row("d", "gen4_image", "2026-11-25", reserved=8),
        row("d", "gen4_image", "2026-11-26", credits_=8, reserved=-8),
    ]

    lines = lines_of({("2026-11-25", "gen4_image"): 8}, rows, deployments={"d"})

    assert [0, 0] == [line.difference for line in lines]
    assert Line(day="2026-11-25", model="gen4_image", runway=8, booked=8) == lines[0]


def test_each_account_answers_for_its_own_deployments() -> None:
    """What another account's deployments have bought is not counted, and what nobody's have is named."""
    rows = [row("d", "m", "day", credits_=8), row("e", "m", "day", credits_=5)]

    assert [8] == [line.booked for line in lines_of({}, rows, deployments={"d"})]
    assert {"e": 5} == unclaimed(rows, deployments={"d"})


def test_tasks_at_the_edges_are_given_the_benefit_of_the_doubt() -> None:
    """Those that ended early in the 24 hours may have begun before them; those under way may count or not."""
    under_way: Any = {"attempts": [{"deployment": "d", "model": "m", "status": "in_progress"}]}

    counts = counts_of(
        {"m": 9},
        ended=[row("d", "m", tasks=9)],
        ended_early=[row("d", "m", tasks=2)],
        doubtful=[under_way],
        deployments={"d"},
    )

    assert [Count(model="m", runway=9, least=7, most=10)] == counts
    assert [False, True, True, False] == [
        Count(model="m", runway=n, least=7, most=10).agrees for n in (6, 7, 10, 11)
    ]
