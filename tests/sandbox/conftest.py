"""A sandbox, and somebody who calls it."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from tests.sandbox.callers import Caller, Start

from taxiway.sandbox import Sandbox, SandboxSettings


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def start(session: aiohttp.ClientSession) -> AsyncIterator[Start]:
    """Start sandboxes with given settings; they stop with the test."""
    started: list[Sandbox] = []

    async def begin(**settings: Any) -> tuple[Sandbox, Caller]:
        sandbox = Sandbox(SandboxSettings(**settings))
        await sandbox.start()
        started.append(sandbox)
        return sandbox, Caller(session, sandbox.url)

    yield begin
    for sandbox in started:
        await sandbox.stop()


@pytest.fixture
async def caller(start: Start) -> Caller:
    found: Caller = (await start())[1]
    return found
