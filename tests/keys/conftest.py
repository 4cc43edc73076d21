"""A service with a master key, and whoever has it."""

from dataclasses import replace

import aiohttp
import pytest
from tests.holders import MASTER_KEY, Holder

from taxiway.settings import Secret, Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A service with a master key."""
    return replace(settings, master_key=Secret(MASTER_KEY))


@pytest.fixture
def master(client: aiohttp.ClientSession) -> Holder:
    """Whoever has the master key."""
    return Holder(client, MASTER_KEY)
