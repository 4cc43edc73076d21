"""Load over several deployments, through the front door: shares that hold, and a slow one that holds nobody up."""

import asyncio
import random
import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web

from taxiway.jobs import GenerationRequest, JobStatus
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server import create_app
from taxiway.server.keys import JOURNAL, RUNNER
from taxiway.server.running import listening
from taxiway.settings import Deployment, Routing, Secret, Settings, Strategy

JOBS = 300


@asynccontextmanager
async def accounts(*durations_s: float) -> AsyncIterator[list[Sandbox]]:
    """A sandbox for each account, with tasks that take so long there."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                Sandbox(SandboxSettings(pictures="plain", duration_s=each))
            )
            for each in durations_s
        ]


def deployments(sandboxes: list[Sandbox], weights: list[float | None]) -> tuple[Deployment, ...]:
    """A deployment of `image` at each account."""
    return tuple(
        Deployment(
            id=f"account-{number}",
            model_name="image",
            provider="runwayml",
            model="gen4_image",
            api_key=Secret(f"key_{number}"),
            api_base=sandbox.url,
            weight=weight,
        )
        for number, (sandbox, weight) in enumerate(zip(sandboxes, weights, strict=True))
    )


async def waits_s(app: web.Application, *, every_s: float) -> list[float]:
    """Ask for so many images, one after the other comes, and return how long each took; all must come."""
    runner, journal = app[RUNNER], app[JOURNAL]
    asked = []
    for number in range(JOBS):
        request = GenerationRequest(model="image", prompt=f"fox {number}")
        asked.append((await runner.submit(request)).job.id)
        if every_s:
            await asyncio.sleep(every_s)
    jobs = await asyncio.gather(*map(journal.ended, asked))
    assert {JobStatus.COMPLETED} == {job.status for job in jobs}
    return [(job.finished_at or 0.0) - job.created_at for job in jobs]


@pytest.fixture(autouse=True)
def chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let chance be the same in every run: what it has one time in twenty thousand, it had one day."""
    same = SimpleNamespace(Random=lambda: random.Random(7))
    monkeypatch.setattr("taxiway.routing.dispatcher.random", same)


@pytest.fixture
def quiet(settings: Settings) -> Settings:
    """A service of its own for each measurement, that logs little."""
    return replace(settings, log_level="error", aliases={}, artifacts_url="none")


@pytest.mark.looptime(noop_cycles=6)
async def test_weights_are_kept(quiet: Settings, client: aiohttp.ClientSession) -> None:
    """Three hundred jobs over weights 1:2:3: a worse deal than this chance has one time in twenty thousand."""
    del client  # virtual time begins where that service stands
    asyncio.get_running_loop().set_debug(False)
    async with accounts(6.0, 6.0, 6.0) as sandboxes:
        settings = replace(
            quiet,
            deployments=deployments(sandboxes, [1, 2, 3]),
            routing=Routing(strategy=Strategy.SIMPLE_SHUFFLE),
        )
        app = create_app(settings)
        async with listening(app, host="127.0.0.1", port=0):
            await waits_s(app, every_s=0.0)
        bought = [len(sandbox.tasks) for sandbox in sandboxes]

    wanted = [JOBS * weight / 6 for weight in (1, 2, 3)]
    chi_squared = sum((got - want) ** 2 / want for got, want in zip(bought, wanted, strict=True))
    assert JOBS == sum(bought)
    assert chi_squared < 19.8, bought


@pytest.mark.looptime(noop_cycles=6)
async def test_least_busy_beats_a_shuffle_where_one_is_slow(
    quiet: Settings, client: aiohttp.ClientSession
) -> None:
    """Four jobs in three seconds, one account of three hardly moves: nineteen of twenty callers do not notice it.

    Shuffled, every third one does: side by side, at the 95th percentile.
    """
    del client
    asyncio.get_running_loop().set_debug(False)
    late: dict[Strategy, float] = {}
    for strategy in (Strategy.SIMPLE_SHUFFLE, Strategy.LEAST_BUSY):
        async with accounts(6.0, 6.0, 240.0) as sandboxes:
            settings = replace(
                quiet,
                deployments=deployments(sandboxes, [None] * 3),
                routing=Routing(strategy=strategy),
            )
            app = create_app(settings)
            async with listening(app, host="127.0.0.1", port=0):
                took_s = await waits_s(app, every_s=0.75)
        late[strategy] = statistics.quantiles(took_s, n=20)[-1]

    assert late[Strategy.LEAST_BUSY] < 12 < 200 < late[Strategy.SIMPLE_SHUFFLE]
