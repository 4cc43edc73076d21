"""The queue among virtual keys: they take turns, and a key's own limit makes its jobs wait for each other."""

import asyncio
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from tests.holders import MASTER_KEY, Holder, two_replicas
from tests.processes import until

from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.settings import Secret, Settings

MODEL = "runwayml/gen4_image"

#: Slots of the only deployment.
SLOTS = 5

#: Jobs of each of two keys.
MANY = 100


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A service with a master key, whose only deployment takes five tasks at once."""
    first = replace(settings.deployments[0], max_parallel_requests=SLOTS)
    return replace(
        settings, deployments=(first,), job_timeout_s=900.0, master_key=Secret(MASTER_KEY)
    )


@pytest.fixture
def master(client: aiohttp.ClientSession) -> Holder:
    """Whoever has the master key."""
    return Holder(client, MASTER_KEY)


async def asked(holder: Holder, count: int, *, name: str) -> list[str]:
    """Ask for images at once; return the ids of the jobs in the order in which they were asked for."""
    ids = []
    for number in range(count):
        status, job = await holder.ask(model=MODEL, prompt=f"{name} {number}")
        assert 202 == status
        ids.append(job["id"])
    return ids


async def life(holder: Holder, job_id: str) -> list[dict[str, Any]]:
    """Every state of a job that its stream shows, to its end."""
    shown = {"Authorization": f"Bearer {holder.key}"}
    path, patient = f"/v1/jobs/{job_id}/events", aiohttp.ClientTimeout(total=None)
    async with holder.client.get(path, headers=shown, timeout=patient) as response:
        return [orjson.loads(line[6:]) async for line in response.content if line[:6] == b"data: "]


def most_at_once(sandbox: Sandbox, *, name: str = "") -> int:
    """How many tasks, with this word in their prompt, were active at Runway at once."""
    tasks = [task for task in sandbox.tasks.values() if name in task.prompt]
    return max(
        sum(task.created_at <= at < task.ends_at for task in tasks)
        for at in [task.created_at for task in tasks]
    )


def turns(sandbox: Sandbox) -> list[str]:
    """Whose task was created, one after the other."""
    return [task.prompt.split()[0] for task in sandbox.tasks.values()]


# Two hundred tasks are many steps of virtual time, and idle rounds most of the work.
@pytest.mark.looptime(noop_cycles=6)
async def test_two_hundred_jobs_of_two_keys(master: Holder, sandbox: Sandbox) -> None:
    """The later key's jobs take every second turn; places only fall; five are in flight, never six."""
    asyncio.get_running_loop().set_debug(False)
    ann, bob = await master.holder(key_alias="ann"), await master.holder(key_alias="bob")
    anns = await asked(ann, MANY, name="ann")
    bobs = await asked(bob, MANY, name="bob")

    lives = await asyncio.gather(
        *(life(ann, job_id) for job_id in anns), *(life(bob, job_id) for job_id in bobs)
    )

    order = turns(sandbox)
    assert ["completed"] * 2 * MANY == [states[-1]["status"] for states in lives]
    assert SLOTS == most_at_once(sandbox)
    # Those that leave at one moment may arrive in any order.
    assert ["ann"] * SLOTS == order[:SLOTS]
    assert all(
        abs(Counter(order[SLOTS:n])["ann"] - (n - SLOTS) / 2) <= 3 for n in range(SLOTS, 195)
    )
    for states in lives:
        places = [state["queue_position"] for state in states if state["queue_position"]]
        assert sorted(places, reverse=True) == places
        assert [] == [state for state in states if state["queue_position"] == 0]
    waited = [states for states in lives if any(state["queue_position"] for state in states)]
    assert len(waited) >= 2 * MANY - 2 * SLOTS
    for mine in (lives[:MANY], lives[MANY:]):
        started = [states[-1]["started_at"] for states in mine]
        assert sorted(started) == started


class TestALimitOfOnesOwn:
    """`max_parallel_requests` of a key."""

    async def test_the_key_waits_for_itself(self, master: Holder, sandbox: Sandbox) -> None:
        """Two of its jobs go at once; the others wait with a place, and hold nobody else up."""
        ann = await master.holder(max_parallel_requests=2)
        bob = await master.holder()
        anns = await asked(ann, 6, name="ann")
        bobs = await asked(bob, 3, name="bob")

        lives = await asyncio.gather(
            *(life(ann, job_id) for job_id in anns), *(life(bob, job_id) for job_id in bobs)
        )

        assert ["completed"] * 9 == [states[-1]["status"] for states in lives]
        assert (2, 3) == (most_at_once(sandbox, name="ann"), most_at_once(sandbox, name="bob"))
        assert Counter(ann=2, bob=3) == Counter(turns(sandbox)[:5])
        assert {1, 2, 3, 4} >= {state["queue_position"] for state in lives[5]} - {None} > set()

    async def test_a_limit_that_is_raised_lets_more_go(
        self, master: Holder, sandbox: Sandbox
    ) -> None:
        """Who waits hears of a change of the limit at once; one that is lowered stops nobody."""
        ann = await master.holder(max_parallel_requests=1)
        ids = await asked(ann, 6, name="ann")
        await asyncio.sleep(1)
        alone = len(sandbox.tasks)

        await master.post("/key/update", key=ann.id, max_parallel_requests=4)
        await asyncio.sleep(1)
        raised = len(sandbox.tasks)
        await master.post("/key/update", key=ann.id, max_parallel_requests=1)
        lives = await asyncio.gather(*(life(ann, job_id) for job_id in ids))

        assert (1, 4) == (alone, raised)
        assert ["completed"] * 6 == [states[-1]["status"] for states in lives]
        last = sorted(sandbox.tasks.values(), key=lambda task: task.created_at)[-1]
        assert 1 == sum(task.ends_at > last.created_at for task in sandbox.tasks.values())

    async def test_nobody_is_refused(self, master: Holder, sandbox: Sandbox) -> None:
        """It is a queue, and no 429: whoever waits for an image gets it later."""
        ann = await master.holder(max_parallel_requests=1)

        answers = await asyncio.gather(*(ann.wait(model=MODEL) for _ in range(4)))

        assert [200] * 4 == [status for status, _ in answers]
        assert 1 == most_at_once(sandbox)


@pytest.mark.looptime(False)
class TestOnReplicas:
    """The same limit for two processes on one PostgreSQL."""

    @pytest.fixture
    def sandbox_settings(self) -> SandboxSettings:
        """A Runway that needs a second."""
        return SandboxSettings(duration_s=0.8, queue_s=0.2, pictures="plain")

    async def test_they_count_together(
        self, sandbox: Sandbox, tmp_path: Path, postgres: str
    ) -> None:
        """Of a key's jobs at both, three go at once; who waits has a place, and follows when one has ended."""
        async with two_replicas(tmp_path, postgres, sandbox) as (_, masters):
            holder = await masters[0].holder(max_parallel_requests=3)
            holders = [Holder(master.client, holder.key) for master in masters]
            async with asyncio.timeout(30):
                answers = await asyncio.gather(
                    *(holders[number % 2].wait(model=MODEL) for number in range(12))
                )

        assert [200] * 12 == [status for status, _ in answers]
        assert (12, 3) == (len(sandbox.tasks), most_at_once(sandbox))

    async def test_a_killed_one_does_not_free_its_seats(
        self, sandbox: Sandbox, tmp_path: Path, postgres: str
    ) -> None:
        """The tasks of a dead process go on at Runway, and count until somebody has seen them end."""
        sandbox.change(duration_s=3.0)
        async with two_replicas(tmp_path, postgres, sandbox) as (services, masters):
            holder = await masters[0].holder(max_parallel_requests=2)
            other = Holder(masters[1].client, holder.key)
            for _ in range(2):
                assert 202 == (await holder.ask(model=MODEL))[0]
            await until(lambda: 2 == sum(task.polls > 0 for task in sandbox.tasks.values()))
            ids = [(await other.ask(model=MODEL))[1]["id"] for _ in range(2)]
            await services[0].kill(signal.SIGKILL)
            async with asyncio.timeout(40):
                lives = await asyncio.gather(*(life(other, job_id) for job_id in ids))

        assert ["completed"] * 2 == [states[-1]["status"] for states in lives]
        assert (4, 2) == (len(sandbox.tasks), most_at_once(sandbox))
