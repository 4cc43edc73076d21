"""The accounts of keys on PostgreSQL when the server does not play along: nothing is lost, nothing held twice."""

import asyncio
from functools import partial
from typing import Any

import pytest
from tests.postgres.servers import LATE_ANSWER, until_it_works, until_there
from tests.stores.accounts import PRICE, create, made, money, new_key, origin, tried
from tests.stores.histories import LIFE, event, history, new_job

from taxiway.errors import StoreError
from taxiway.protocols import JobQuery
from taxiway.store import Store

pytestmark = pytest.mark.looptime(False)


async def test_a_job_nobody_was_promised_holds_nothing(hasty: Store, psql: Any) -> None:
    """A new job whose commit was not confirmed is taken back, and what it had reserved with it."""
    await made(hasty, new_key(max_budget_microusd=2 * PRICE))
    await psql.execute(LATE_ANSWER)
    with pytest.raises(StoreError):
        await create(hasty, new_job(1))
    await until_there(hasty, "job_0001")
    reserved = await money(hasty)
    await psql.execute("DROP TRIGGER late ON jobs")

    answers = await tried(hasty, new_job(2), new_job(3), new_job(4))

    assert (0, PRICE, 0) == reserved
    assert ["budget_exceeded", "made", "made"] == sorted(answers)
    assert (0, 2 * PRICE, 0) == await money(hasty)
    assert 2 == len(await hasty.list(JobQuery()))


async def test_who_asks_again_reserves_once(hasty: Store, psql: Any) -> None:
    """A caller who repeats a creation whose commit was not confirmed holds its price once."""
    await made(hasty, new_key(max_budget_microusd=PRICE))
    await psql.execute(LATE_ANSWER)
    with pytest.raises(StoreError):
        await create(hasty, new_job(1))
    await until_there(hasty, "job_0001")
    await psql.execute("DROP TRIGGER late ON jobs")

    await create(hasty, new_job(1))

    assert (0, PRICE, 0) == await money(hasty)


async def test_an_unconfirmed_end_is_settled_once(hasty: Store, psql: Any) -> None:
    """A last step that was committed though nobody heard of it is not paid for twice when it is repeated."""
    await made(hasty, new_key())
    await create(hasty, job := new_job(1))
    *before, last = history(job, *LIFE)
    for each in before:
        await hasty.record(each)
    await psql.execute(LATE_ANSWER.replace("AFTER INSERT", "AFTER UPDATE"))
    with pytest.raises(StoreError):
        await hasty.record(last)
    async with psql.transaction():
        await psql.execute("LOCK TABLE jobs")  # until the commit has come about
        await psql.execute("DROP TRIGGER late ON jobs")

    await until_it_works(partial(hasty.record, last))

    assert (50_000, 0, 50_000) == await money(hasty)


async def test_a_bad_row_holds_nothing(store: Store) -> None:
    """A job that the database cannot hold is its caller's error; those beside it are made, and held for once."""
    await made(store, new_key())
    jobs = [new_job(1), new_job(2, model="a \0 in it"), new_job(3)]

    answers = await tried(store, *jobs)

    assert ["made", "internal_server_error", "made"] == answers
    assert (0, 2 * PRICE, 0) == await money(store)


async def test_a_crowd_of_keys_and_replicas(store: Store, another: Any) -> None:
    """Jobs of many keys that begin and end at two replicas at once leave every account exact."""
    rival = await another()
    keys = 7
    await made(store, *(new_key(number) for number in range(keys)))

    async def live(number: int) -> None:
        place = (store, rival)[number % 2]
        job = new_job(number)
        await until_it_works(partial(place.create, event(job), origin=origin(number % keys)))
        for each in history(job, *LIFE):
            await until_it_works(partial(place.record, each))

    async with asyncio.timeout(30):
        await asyncio.gather(*(live(number) for number in range(40 * keys)))

    assert [(40 * 50_000, 0, 40 * 50_000)] * keys == [
        await money(store, number) for number in range(keys)
    ]
