"""Group commit: who is committed with whom, and who hears of it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from taxiway.errors import NotFoundError, StoreError, TaxiwayError
from taxiway.store.commits import GROUP_MAX, GroupCommit
from taxiway.store.writes import Mark, Outcome, Sign, Write


class Database:
    """Takes a second for every commit and remembers the groups; writes named in `errors` are refused."""

    def __init__(self) -> None:
        self.groups: list[str] = []
        self.errors: dict[str, TaxiwayError] = {}
        self.fault: Exception | None = None

    async def commit(self, group: Sequence[Write]) -> Sequence[Outcome]:
        await asyncio.sleep(1)
        if self.fault:
            raise self.fault
        names = [name_of(write) for write in group]
        self.groups.append("".join(names))
        return [self.errors.get(name) for name in names]


class Short(Database):
    """Answers for one write too few."""

    async def commit(self, group: Sequence[Write]) -> Sequence[Outcome]:
        return (await super().commit(group))[1:]


def submit(commits: GroupCommit, names: str) -> list[asyncio.Task[Any]]:
    """One waiting caller for every letter."""
    return [
        asyncio.create_task(commits.submit(Mark(job_id=name, sign=Sign.CANCEL)), name=name)
        for name in names
    ]


def name_of(write: Write) -> str:
    """The letter that a caller has given to the write."""
    assert isinstance(write, Mark)
    return write.job_id


async def outcomes(callers: list[asyncio.Task[Any]]) -> list[str]:
    """How the calls ended, in words."""
    ended = await asyncio.gather(*callers, return_exceptions=True)
    return ["done" if end is None else str(end) for end in ended]


async def test_what_waits_together_is_committed_together() -> None:
    """Everything asked for while a commit is under way goes into the next one."""
    database = Database()
    commits = GroupCommit(database.commit)
    first = submit(commits, "a")
    await asyncio.sleep(0.5)
    second = submit(commits, "bcd")
    await asyncio.sleep(0.2)
    third = submit(commits, "ef")

    assert ["done"] * 6 == await outcomes(first + second + third)
    await commits.close()
    assert ["a", "bcdef"] == database.groups


async def test_a_caller_alone_is_not_held_up() -> None:
    """One write after another costs a commit each, and no pause between them."""
    database = Database()
    commits = GroupCommit(database.commit)
    loop = asyncio.get_running_loop()
    began = loop.time()

    for name in "abc":
        await asyncio.gather(*submit(commits, name))

    assert 3.0 == pytest.approx(loop.time() - began)
    await commits.close()


async def test_after_a_crowd_the_next_group_gathers() -> None:
    """After a group of several, the writer pauses for some milliseconds, so that a crowd stays one."""
    database = Database()
    commits = GroupCommit(database.commit)
    await asyncio.gather(*submit(commits, "ab"))

    late = submit(commits, "c")
    await asyncio.sleep(0.005)
    late += submit(commits, "d")

    assert ["done"] * 2 == await outcomes(late)
    await commits.close()
    assert ["ab", "cd"] == database.groups


async def test_a_large_crowd_is_a_group_at_once() -> None:
    """What is worth a commit of its own waits for nobody else."""
    database = Database()
    commits = GroupCommit(database.commit)
    loop = asyncio.get_running_loop()
    await asyncio.gather(*submit(commits, "ab"))
    began = loop.time()

    few = submit(commits, "cd")
    await asyncio.sleep(0.01)
    many = submit(commits, "e" * 100)

    assert ["done"] * 102 == await outcomes(few + many)
    assert 1.01 == pytest.approx(loop.time() - began)
    await commits.close()
    assert ["ab", "cd" + "e" * 100] == database.groups


async def test_a_transaction_has_a_bound() -> None:
    """A crowd beyond the largest group is committed in several, in the order of the calls."""
    database = Database()
    commits = GroupCommit(database.commit)
    crowd = "a" * GROUP_MAX + "b" * 3

    assert ["done"] * len(crowd) == await outcomes(submit(commits, crowd))
    await commits.close()
    assert ["a" * GROUP_MAX, "bbb"] == database.groups


async def test_a_failed_transaction_is_everybodys() -> None:
    """Each caller of a group that failed gets an error of its own, with the cause behind it."""
    database = Database()
    database.fault = OSError("the disk is full")
    commits = GroupCommit(database.commit)

    ended = await asyncio.gather(*submit(commits, "ab"), return_exceptions=True)

    await commits.close()
    assert ["The store did not take the write: the disk is full."] * 2 == [str(e) for e in ended]
    assert [(StoreError, database.fault)] * 2 == [(type(e), e.__cause__) for e in ended]
    assert ended[0] is not ended[1]


async def test_the_writer_goes_on_after_a_failure() -> None:
    """The next group is committed as if nothing had happened."""
    database = Database()
    database.fault = OSError("the disk is full")
    commits = GroupCommit(database.commit)
    await outcomes(submit(commits, "ab"))
    database.fault = None

    assert ["done"] * 2 == await outcomes(submit(commits, "ab"))
    await commits.close()
    assert ["ab"] == database.groups


async def test_a_refused_write_is_one_callers() -> None:
    """A write that the database answers with an error fails alone."""
    database = Database()
    database.errors["b"] = NotFoundError("There is no job b.")
    commits = GroupCommit(database.commit)

    assert ["done", "There is no job b.", "done"] == await outcomes(submit(commits, "abc"))
    await commits.close()


async def test_a_wrong_answer_leaves_nobody_hanging() -> None:
    """A database that answers for too few writes is a failure for all of them, and not the last group."""
    commits = GroupCommit(Short().commit)

    ended = await asyncio.gather(*submit(commits, "ab"), return_exceptions=True)
    again = await asyncio.gather(*submit(commits, "a"), return_exceptions=True)

    assert [StoreError] * 3 == [type(end) for end in (*ended, *again)]
    await commits.close()


async def test_a_caller_who_leaves_is_committed_all_the_same() -> None:
    """Cancelling a caller neither takes the write out of its group nor disturbs the others."""
    database = Database()
    commits = GroupCommit(database.commit)
    callers = submit(commits, "abc")
    await asyncio.sleep(0.5)
    callers[1].cancel()

    ended = await asyncio.gather(*callers, return_exceptions=True)

    await commits.close()
    assert ["abc"] == database.groups
    assert [type(None), asyncio.CancelledError, type(None)] == [type(end) for end in ended]


async def test_closing_commits_everything_first() -> None:
    """A close returns after all that waited is committed; later calls are refused."""
    database = Database()
    commits = GroupCommit(database.commit)
    callers = submit(commits, "a")
    await asyncio.sleep(0.5)
    callers += submit(commits, "bc")
    await asyncio.sleep(0)

    await commits.close()

    assert ["a", "bc"] == database.groups
    assert ["done"] * 3 == await outcomes(callers)
    assert ["The store is closed."] == await outcomes(submit(commits, "d"))


async def test_a_close_that_is_cut_short_leaves_nobody_hanging() -> None:
    """When there is no time to commit, every caller still hears of it."""
    commits = GroupCommit(Database().commit)
    callers = submit(commits, "a")
    await asyncio.sleep(0.5)
    callers += submit(commits, "b")
    await asyncio.sleep(0)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await commits.close()

    expected = "The store did not take the write: the store was stopped."
    assert [expected] * 2 == await outcomes(callers)
