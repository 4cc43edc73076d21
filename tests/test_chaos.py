"""Nothing paid is lost and nothing is bought twice: a short piece of `make chaos`, on SQLite.

The processes are real and are really killed; `tests/chaos` says how, and README shows what a whole run came to.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.chaos.account import Account
from tests.chaos.callers import Crowd
from tests.chaos.forge import Forge
from tests.chaos.ground import Ground
from tests.chaos.rows import SQLITE, Row, Size, every_await_of_a_new_life, run, under_load, up

pytestmark = [pytest.mark.looptime(False), pytest.mark.quiet]

SHORT = Size(every=8, jobs=30, kills=4)


@pytest.fixture
async def forge() -> AsyncIterator[Forge]:
    """What starts processes quickly."""
    async with Forge() as forge:
        yield forge


async def test_killing_a_process_loses_nothing(forge: Forge, tmp_path: Path) -> None:
    """Killed at moments of a job's life, then at random under load: every count of what went wrong is 0."""

    async def both(ground: Ground, crowd: Crowd, size: Size) -> None:
        await every_await_of_a_new_life(ground, crowd, size)
        await under_load(ground, crowd, size)

    row = Row(store=SQLITE, what="short", do=both)
    account, faults = await run(row, forge=forge, folder=tmp_path / "row", size=SHORT)

    assert ({}, []) == (account.broken, faults)
    assert account.kills >= 6
    assert account.jobs > 30
    assert account.images >= 20


async def buy_again(ground: Ground, crowd: Crowd, size: Size) -> None:
    """Have a lost answer followed by another purchase, as in a service that does not know better."""
    (owner,) = ground.replicas
    owner.environ["TAXIWAY_RESUBMIT_UNKNOWN"] = "true"
    await ground.weather("create:cut times=1")
    await up(owner)
    crowd.wish()
    await crowd.settle()


async def test_the_account_sees_what_is_bought_twice(forge: Forge, tmp_path: Path) -> None:
    """A service that buys again after a lost answer is found out: the counts can be other than 0."""
    row = Row(store=SQLITE, what="bought again", do=buy_again)

    account, faults = await run(row, forge=forge, folder=tmp_path / "row", size=SHORT)

    assert ({"bought_twice": 1}, 1) == (account.broken, len(faults))
    assert Account(jobs=1, images=1, tasks=2, unknown=1, orphans=1, bought_twice=1) == account
