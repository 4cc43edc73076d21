"""Vendor adapters, a file or a family of files per vendor. `open_provider` finds the one a deployment names."""

from collections.abc import Callable
from functools import cache
from importlib import import_module

import aiohttp

from taxiway.artifacts import OpenAsset
from taxiway.errors import ConfigError
from taxiway.protocols import Instruments, Note, Provider
from taxiway.providers.calls import Connector
from taxiway.settings import Deployment
from taxiway.vendors import VENDORS

#: Connections opened at once to one host. A look at a task takes some 50 ms, so this carries thousands of
#: tasks; beyond it calls wait for each other, which costs less than a storm of sockets. Images come from another
#: host than tasks, so slow downloads keep no poll waiting.
CONNECTIONS_MAX = 256


def open_session() -> aiohttp.ClientSession:
    """Return the one session for every call to every provider. The caller closes it.

    It keeps no cookies and sets no time limit of its own: each call sets the limit that fits it.
    """
    return aiohttp.ClientSession(
        connector=Connector(limit=0, limit_per_host=CONNECTIONS_MAX, ttl_dns_cache=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    )


def open_provider(
    deployment: Deployment,
    *,
    session: aiohttp.ClientSession,
    instruments: Instruments,
    note: Note,
    open_asset: OpenAsset | None = None,
) -> Provider:
    """Return the provider of a deployment. `open_asset` opens the files that came with requests.

    Raises `ConfigError` for a vendor that nobody wrote an adapter for.
    """
    if deployment.provider not in VENDORS:
        raise ConfigError(
            f"The provider {deployment.provider!r} is not known; known are {', '.join(VENDORS)}."
        )
    return _adapter(deployment.provider)(
        deployment, session=session, instruments=instruments, note=note, open_asset=open_asset
    )


@cache
def _adapter(vendor: str) -> Callable[..., Provider]:
    """Return a vendor's adapter, loaded when the first deployment asks for it."""
    module, _, name = VENDORS[vendor].adapter.partition(":")
    adapter: Callable[..., Provider] = getattr(import_module(module), name)
    return adapter
