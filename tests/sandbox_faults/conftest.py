"""A sandbox that can be told to fail."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from tests.sandbox_faults.callers import Caller, Start

from taxiway.sandbox import Sandbox, SandboxSettings


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start sandboxes with given settings; they stop with the test."""
    started: list[Sandbox] = []
    async with aiohttp.ClientSession() as session:

        async def begin(**settings: Any) -> tuple[Sandbox, Caller]:
            sandbox = Sandbox(SandboxSettings(pictures="plain", **settings))
            await sandbox.start()
            started.append(sandbox)
            return sandbox, Caller(session, sandbox.url)

        yield begin
    for sandbox in started:
        await sandbox.stop()
