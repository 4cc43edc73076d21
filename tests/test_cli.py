"""The command line: the first thing a stranger touches, run as the program it is."""

import asyncio
import os
import re
import shlex
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from taxiway.cli import carry_out
from taxiway.errors import TaxiwayError

pytestmark = pytest.mark.looptime(False)

COMMANDS = (
    "demo",
    "serve",
    "sandbox",
    "check",
    "db",
    "db upgrade",
    "generate",
    "jobs",
    "watch",
    "cancel",
    "keys",
    "keys create",
    "keys list",
    "keys revoke",
    "usage",
    "reconcile",
)

#: What `--help` and `--version` have no use for and would wait for.
HEAVY = ("aiohttp", "sqlalchemy", "PIL", "pydantic", "structlog", "uvloop", "asyncio")

NOBODY = "http://127.0.0.1:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A program that has run."""

    code: int
    out: str
    err: str


async def run(*arguments: str, folder: Path) -> Ended:
    """Run `python -m taxiway …` in a folder."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taxiway", *arguments),
        cwd=folder,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await process.communicate()
    return Ended(code=process.returncode or 0, out=out.decode(), err=err.decode())


@pytest.fixture
def quick(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[[str], Ended]:
    """Carry out a command line in this process: the program that `main` runs, without its start."""
    for name in [name for name in os.environ if name.startswith(("TAXIWAY_", "RUNWAYML_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def carry(line: str) -> Ended:
        code = carry_out(shlex.split(line))
        written = capsys.readouterr()
        return Ended(code=code, out=written.out, err=written.err)

    return carry


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself(command: str, quick: Callable[[str], Ended]) -> None:
    """`--help` ends well and shows an example that can be typed."""
    ended = quick(f"{command} --help")

    assert (0, "") == (ended.code, ended.err)
    assert "Example" in ended.out
    assert f" taxiway {command}" in ended.out.partition("Example")[2]


def test_without_a_command_the_help_is_shown(quick: Callable[[str], Ended]) -> None:
    """`taxiway` alone is a question, and is answered."""
    assert quick("--help") == quick("")


def test_every_command_is_in_the_help(quick: Callable[[str], Ended]) -> None:
    """The help lists the commands there are, and no other is tested here."""
    listed = [
        line.split()[1]
        for line in quick("--help").out.splitlines()
        if line.startswith("│ ") and line[2].isalpha()
    ]

    assert {name.partition(" ")[0] for name in COMMANDS} == set(listed)


async def test_the_version_is_told(tmp_path: Path) -> None:
    """`--version` prints one line."""
    ended = await run("--version", folder=tmp_path)

    assert Ended(code=0, out="taxiway 0.1.0\n", err="") == ended


async def test_help_is_not_kept_waiting() -> None:
    """Nothing heavy is imported for a help page or the version."""
    program = (
        "import sys; sys.argv = ['taxiway', '--version']\n"
        "from taxiway.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()

    assert b"'typer'" in out
    assert [] == [name for name in HEAVY if f"'{name}'".encode() in out]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        pytest.param(
            "genrat",
            2,
            "No such command 'genrat'. Did you mean 'generate'? (see `taxiway --help`).",
            id="a typo",
        ),
        pytest.param(
            "generate",
            2,
            "Missing argument 'PROMPT' (see `taxiway generate --help`).",
            id="no prompt",
        ),
        pytest.param(
            "generate fox --sise 1x1",
            2,
            "No such option: --sise (Possible options: --seed, --size) (see `taxiway generate --help`).",
            id="an unknown option",
        ),
        pytest.param(
            "jobs --status done",
            2,
            "Invalid value for '--status': 'done' is not one of 'queued', 'in_progress', "
            "'completed', 'failed', 'cancelled' (see `taxiway jobs --help`).",
            id="an unknown status",
        ),
        pytest.param(
            "jobs --url localhost",
            2,
            "Invalid value for '--url' (env var: 'TAXIWAY_URL'): a URL looks like "
            "http://127.0.0.1:4000, 'localhost' does not (see `taxiway jobs --help`).",
            id="no URL",
        ),
        pytest.param(
            "jobs --url http://127.0.0.1:99999",
            2,
            "Invalid value for '--url' (env var: 'TAXIWAY_URL'): a URL looks like http://127.0.0.1:4000, "
            "'http://127.0.0.1:99999' does not (see `taxiway jobs --help`).",
            id="no port",
        ),
        pytest.param(
            "jobs --url http://[::",
            2,
            "Invalid value for '--url' (env var: 'TAXIWAY_URL'): a URL looks like http://127.0.0.1:4000, "
            "'http://[::' does not (see `taxiway jobs --help`).",
            id="half an address",
        ),
        pytest.param(
            "jobs --key 'sk-1\nsk-2'",
            2,
            "Invalid value for '--key' (env var: 'TAXIWAY_KEY'): a key is one line of text "
            "(see `taxiway jobs --help`).",
            id="two keys",
        ),
        pytest.param(
            f"jobs --key 'sk-1\n' --url {NOBODY}",
            1,
            f"{NOBODY} does not answer: start it with `taxiway serve`, or name another with --url.",
            id="a key from a file",
        ),
        pytest.param(
            "watch 42",
            2,
            "Invalid value for 'JOB': a job's id begins with job_, '42' does not "
            "(see `taxiway watch --help`).",
            id="no job's id",
        ),
        pytest.param(
            "generate fox --reference nowhere.png",
            2,
            "Invalid value for --reference: nowhere.png cannot be read: No such file or directory "
            "(see `taxiway generate --help`).",
            id="no such reference",
        ),
        pytest.param(
            f"jobs --url {NOBODY}",
            1,
            f"{NOBODY} does not answer: start it with `taxiway serve`, or name another with --url.",
            id="nobody there",
        ),
        pytest.param(
            f"generate fox --url {NOBODY}",
            1,
            f"{NOBODY} does not answer: start it with `taxiway serve`, or name another with --url.",
            id="nobody to ask",
        ),
        pytest.param("check none.yaml", 1, "There is no file none.yaml.", id="no such file"),
        pytest.param(
            "serve --host 0.0.0.0",
            1,
            "There is no API key for Runway: set RUNWAYML_API_SECRET, or run `taxiway demo`, "
            "which needs none.",
            id="no key",
        ),
        pytest.param(
            "db upgrade --database oracle://x",
            1,
            "database_url has the unknown scheme 'oracle'; accepted are "
            "sqlite+aiosqlite:///path/to/taxiway.db, "
            "postgresql+asyncpg://user:password@host/database and memory://.",
            id="an unknown database",
        ),
        pytest.param(
            "sandbox --fault sabotage",
            2,
            "Invalid value: 'sabotage' is not a fault the sandbox knows; tasks take stuck, progress, outputs, "
            "fail, slow, queue, cancelled, vanish, race, cost; requests create, poll, delete, output, upload, "
            "form, organization, usage, any (see `taxiway sandbox --help`).",
            id="an unknown fault",
        ),
    ],
)
def test_an_error_is_one_sentence(
    arguments: str, code: int, sentence: str, quick: Callable[[str], Ended]
) -> None:
    """What goes wrong is said in one line on stderr, and the exit code says that it did."""
    assert Ended(code=code, out="", err=f"Error: {sentence}\n") == quick(arguments)


async def test_the_program_itself_ends_like_that(tmp_path: Path) -> None:
    """`python -m taxiway` exits with the code, and writes the sentence where errors belong."""
    ended = await run("jobs", "--url", NOBODY, folder=tmp_path)

    assert (1, "", 1) == (ended.code, ended.out, len(ended.err.splitlines()))


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param("--debug jobs --url http://127.0.0.1:1", id="the option"),
        pytest.param("jobs --url http://127.0.0.1:1", id="the variable"),
    ],
)
def test_debug_shows_where_an_error_comes_from(
    arguments: str, quick: Callable[[str], Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--debug` and `TAXIWAY_DEBUG` let the error through, whose traceback nobody else is shown."""
    if "--debug" not in arguments:
        monkeypatch.setenv("TAXIWAY_DEBUG", "1")

    with pytest.raises(TaxiwayError, match="does not answer"):
        quick(arguments)


CONFIG = """
model_list:
  - model_name: picture
    litellm_params: {model: runwayml/gen4_image, api_key: key_of_the_tests}
router_settings:
  model_group_alias: {image: picture}
litellm_settings: {cache: true}
"""

MISSPELT = """
model_list:
  - model_name: picture
    litellm_params: {model: runwayml/gen4_image, api_kee: x}
taxiway_settings: {prt: 4000}
"""


def test_check_says_what_would_be_served(quick: Callable[[str], Ended], tmp_path: Path) -> None:
    """A configuration that would start is shown as a table, with every warning, and 0."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    ended = quick("check config.yaml")
    header, row, *_ = ended.out.splitlines()

    assert (0, "") == (ended.code, ended.err)
    assert ["model", "is", "sizes", "price", "key"] == header.split()
    assert ["picture", "(image)", "runwayml/gen4_image", "16", "$0.05", "to", "$0.08", "yes"] == (
        row.split()
    )
    assert "Warning: litellm_settings.cache has no effect" in ended.out
    assert ended.out.endswith("config.yaml is fine, with 1 warning.\n")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://root:hidden@db/taxiway", "database_url has the unknown scheme 'mysql'"),
        ("sqlite:///taxiway.db?mode=ro", "database_url has options after '?'"),
    ],
)
def test_check_looks_at_the_databases_address(
    quick: Callable[[str], Ended], tmp_path: Path, url: str, sentence: str
) -> None:
    """A database that no store can open would end the start: that is 1 as well, and shows no password."""
    (tmp_path / "config.yaml").write_text(
        f"{CONFIG}\ngeneral_settings: {{database_url: '{url}'}}\n"
    )
    ended = quick("check config.yaml")

    assert (1, "") == (ended.code, ended.out)
    assert sentence in ended.err
    assert "hidden" not in ended.err


def test_check_lists_every_refusal(quick: Callable[[str], Ended], tmp_path: Path) -> None:
    """A configuration that would not start is 1, and each thing that is wrong is a line."""
    (tmp_path / "config.yaml").write_text(MISSPELT)
    ended = quick("check config.yaml")
    lines = ended.err.splitlines()

    assert (1, "") == (ended.code, ended.out)
    assert 2 == len(lines)
    assert all(line.startswith("Error: ") for line in lines)
    assert any("taxiway_settings.prt" in line and "did you mean port?" in line for line in lines)
    assert any("litellm_params.api_kee" in line for line in lines)


def test_the_clients_own_variables_are_no_settings(
    quick: Callable[[str], Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`TAXIWAY_URL` and its like speak to the commands; nobody warns that the service ignores them."""
    for name in ("TAXIWAY_URL", "TAXIWAY_KEY", "TAXIWAY_MODEL"):
        monkeypatch.setenv(name, "http://127.0.0.1:4000")
    monkeypatch.setenv("RUNWAYML_API_SECRET", "any")
    ended = quick("check")

    assert ended.out.endswith("The environment is fine.\n")


def test_a_database_is_brought_up_to_date(quick: Callable[[str], Ended]) -> None:
    """`db upgrade` says what it did, needs no vendor's key, and does nothing the second time."""
    first = quick("db upgrade --database sqlite:///jobs.db")
    second = quick("db upgrade --database sqlite:///jobs.db")

    assert (0, "", 0, "") == (first.code, first.err, second.code, second.err)
    assert first.out.startswith("The sqlite database is new, and at schema ")
    assert second.out.endswith(" already.\n")


async def test_a_sandbox_runs_until_it_is_told_to_stop() -> None:
    """`sandbox` says where it is and how to use it; SIGTERM ends it well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taxiway", "sandbox", "--port", "0", "--api-key", "key_1"),
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        said = (await process.stdout.readuntil(b"taxiway serve\n")).decode()
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        _, err = await process.communicate()
    (url,) = re.findall(r"at (http://127\.0\.0\.1:\d+)", said)

    assert f"RUNWAYML_API_BASE={url} RUNWAYML_API_SECRET=key_1 taxiway serve" in said
    assert (0, b"") == (process.returncode, err)
