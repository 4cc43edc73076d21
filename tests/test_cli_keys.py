"""`taxiway keys`, run as the program it is, against a running service."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import orjson
import pytest
from aiohttp import web
from tests.holders import MASTER_KEY, Holder
from tests.test_cli_service import Ended, run

from taxiway.sandbox import SandboxSettings
from taxiway.server.running import listening
from taxiway.settings import Secret, Settings

# A budget of a day is whole again at midnight.
pytestmark = [pytest.mark.looptime(False), pytest.mark.usefixtures("at_noon")]


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway in a hurry."""
    return SandboxSettings(queue_s=0.05, duration_s=0.2, pictures="plain")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A service with a master key."""
    return replace(settings, master_key=Secret(MASTER_KEY), poll_interval_s=0.1)


@pytest.fixture
async def address(app: web.Application) -> AsyncIterator[str]:
    """Where the service is."""
    async with listening(app, host="127.0.0.1", port=0) as url:
        yield url


@pytest.fixture
def service(address: str) -> dict[str, str]:
    """The variables that lead the commands to the service, with its master key."""
    return {"TAXIWAY_URL": address, "TAXIWAY_KEY": MASTER_KEY}


@pytest.fixture
async def master(address: str) -> AsyncIterator[Holder]:
    """Whoever has the master key, over HTTP."""
    async with aiohttp.ClientSession(address) as session:
        yield Holder(session, MASTER_KEY)


async def test_a_new_key_is_alone_on_stdout(
    service: dict[str, str], master: Holder, tmp_path: Path
) -> None:
    """What is printed can be used at once; what it may do is said beside it, on stderr."""
    ended = await run(
        *("keys", "create", "--alias", "ann", "--budget", "2.5", "--every", "1mo", "--rpm", "30"),
        *("--parallel", "2", "--models", "gen4, gpt-4o", "--expires", "30d"),
        folder=tmp_path,
        environ=service,
    )
    key = ended.out.strip()

    assert 0 == ended.code, ended.err
    assert (200, "ann") == await _alias(Holder(master.client, key))
    assert ended.err.startswith(
        "ann may use gen4, gpt-4o, for $2.50 per 1mo, 30 jobs a minute, 2 at once, until "
    )
    assert "`models` names 'gpt-4o', which is not on offer at the moment." in ended.err
    assert ended.err.endswith("Keep it: it is not shown again.\n")


async def _alias(holder: Holder) -> tuple[int, str | None]:
    status, document = await holder.get("/key/info")
    return status, document["info"]["key_alias"]


async def test_the_list_shows_what_is_spent(
    service: dict[str, str], master: Holder, tmp_path: Path
) -> None:
    """A row for each key: what it is called, what it has spent of what, and what it may do."""
    ann = await master.holder(key_alias="ann", max_budget=0.2, budget_duration="1d", rpm_limit=9)
    await master.holder(key_alias="bob", blocked=True, models=["gen4"])
    await ann.wait()

    ended = await run("keys", "list", folder=tmp_path, environ=service)
    head, bob, anns = [line.split() for line in ended.out.splitlines()]

    assert ["key", "alias", "status", "spent", "under", "way", "budget", "limits"] == head[:8]
    assert ["bob", "blocked", "$0.00", "never", "gen4"] == bob[1:6]
    assert ["ann", "active", "$0.08", "$0.20", "per", "1d", "9", "jobs", "a", "minute"] == anns[
        1:11
    ]
    assert ann.id == anns[-1]
    assert ann.key not in ended.out


async def test_programs_get_json(service: dict[str, str], master: Holder, tmp_path: Path) -> None:
    """`--json` prints what the service says, of every page."""
    for number in range(3):
        await master.holder(key_alias=f"key {number}")

    made = await run("keys", "create", "--json", folder=tmp_path, environ=service)
    listed = await run(
        "keys", "list", "--json", "--search", "KEY", folder=tmp_path, environ=service
    )

    assert orjson.loads(made.out)["key"].startswith("sk-")
    assert {"key 0", "key 1", "key 2"} == {row["key_alias"] for row in orjson.loads(listed.out)}


async def test_revoked_keys_are_gone(
    service: dict[str, str], master: Holder, tmp_path: Path
) -> None:
    """By alias, by id or by itself; one that is not there is a sentence, and the others go all the same."""
    ann, bob = await master.holder(key_alias="ann"), await master.holder()
    eve = await master.holder()
    await ann.wait()

    ended = await run(
        "keys", "revoke", "ann", bob.id, eve.key, "nobody", folder=tmp_path, environ=service
    )

    assert 1 == ended.code
    assert [
        "ann is revoked; it has spent $0.08.",
        f"sk-...{bob.key[-4:]} is revoked; it has spent $0.00.",
        f"sk-...{eve.key[-4:]} is revoked; it has spent $0.00.",
    ] == ended.out.splitlines()
    assert "Error: There is no key nobody; `taxiway keys list` shows what there is.\n" == ended.err
    assert [401] * 3 == [(await holder.get("/v1/models"))[0] for holder in (ann, bob, eve)]


async def test_usage_calls_keys_by_their_names(
    service: dict[str, str], master: Holder, tmp_path: Path
) -> None:
    """`taxiway usage --by key` says whose the money was, also of a key that is gone; a key sees its own."""
    ann, bob = await master.holder(key_alias="ann"), await master.holder(key_alias="bob")
    for holder in (ann, bob, master):
        await holder.wait()
    await master.post("/key/delete", keys=[bob.id])

    ended = await run("usage", "--by", "key", folder=tmp_path, environ=service)
    own = await run("usage", "--by", "key", "--key", ann.key, folder=tmp_path, environ=service)

    assert {"key", "none", "ann", "bob", "total"} == {
        line.split()[0] for line in ended.out.splitlines()
    }
    assert {"key", ann.id, "total"} == {line.split()[0] for line in own.out.splitlines()}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create", "--every", "soon"), "`budget_duration` must be a length of time like 30s"),
        (("create", "--alias", " "), "`key_alias` must be a label"),
    ],
)
async def test_a_refusal_is_the_services_own_sentence(
    service: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    """What the service does not accept is said in its words."""
    ended = await run("keys", *arguments, folder=tmp_path, environ=service)

    assert (1, "") == (ended.code, ended.out)
    assert ended.err.startswith(f"Error: {sentence}")


async def test_an_empty_list_says_what_to_do(service: dict[str, str], tmp_path: Path) -> None:
    """Where there are no keys yet, the way to one is shown."""
    none = await run("keys", "list", folder=tmp_path, environ=service)
    like = await run("keys", "list", "--status", "blocked", folder=tmp_path, environ=service)

    assert "taxiway keys create" in none.out
    assert Ended(code=0, out="No key is like that.\n", err="") == like


async def test_the_master_key_is_needed(
    service: dict[str, str], master: Holder, tmp_path: Path
) -> None:
    """A virtual key makes no keys."""
    ann = await master.holder()

    ended = await run("keys", "create", "--key", ann.key, folder=tmp_path, environ=service)

    assert (1, "Error: This needs the master key.\n") == (ended.code, ended.err)
