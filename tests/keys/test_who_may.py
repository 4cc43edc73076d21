"""Virtual keys: what they open, and who makes them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.holders import MASTER_KEY, Holder
from tests.keys.rows import info

from taxiway.sandbox import Sandbox
from taxiway.server.keys import STORE
from taxiway.settings import Secret, Settings
from taxiway.store.memory import MemoryStore

#: Every route about keys, with a body where it takes one.
ROUTES = [
    ("POST", "/key/generate", {}),
    ("POST", "/key/update", {"key": "vk_1"}),
    ("POST", "/key/delete", {"keys": ["vk_1"]}),
    ("POST", "/key/block", {"key": "vk_1"}),
    ("POST", "/key/regenerate", {"key": "vk_1"}),
    ("POST", "/key/unblock", {"key": "vk_1"}),
    ("GET", "/key/list", None),
]


class TestWhoMay:
    """Keys are the master's business."""

    @pytest.mark.parametrize(("method", "path", "body"), ROUTES)
    async def test_a_virtual_key_may_not(
        self, master: Holder, method: str, path: str, body: dict[str, Any] | None
    ) -> None:
        """A virtual key makes, changes and lists no keys."""
        holder = await master.holder()

        status, document = await holder.call(method, path, body)

        assert (403, "permission_denied") == (status, document["error"]["code"])

    async def test_expiry(self, master: Holder, app: web.Application) -> None:
        """From its last moment on, a key is 401 `expired_key`."""
        holder = await master.holder(duration="30s")
        assert (200, None) == await holder.code("GET", "/v1/models")

        await asyncio.sleep(29)
        before = await holder.code("GET", "/v1/models")
        await asyncio.sleep(1.5)

        assert ((200, None), (401, "expired_key")) == (
            before,
            await holder.code("GET", "/v1/models"),
        )
        assert "expired" == (await info(master, holder))["status"]

    @pytest.mark.parametrize("key", ["sk-nobody-has-this-one", "sk-", "no", "vk_1"])
    async def test_an_unknown_key(self, client: aiohttp.ClientSession, key: str) -> None:
        """A key that was never made is 401 `invalid_api_key`, and so is the id of one."""
        assert (401, "invalid_api_key") == await Holder(client, key).code("GET", "/v1/models")

    async def test_an_id_is_no_key(self, master: Holder) -> None:
        """What names a key opens nothing."""
        holder = await master.holder()

        assert (401, "invalid_api_key") == await Holder(master.client, holder.id).code(
            "GET", "/v1/models"
        )

    async def test_another_master_key_leaves_them_alone(
        self, settings: Settings, store: MemoryStore, master: Holder
    ) -> None:
        """Who changes the master key does not have to hand out new virtual ones."""
        from taxiway.server import create_app
        from taxiway.server.running import listening

        holder = await master.holder()
        moved = replace(settings, master_key=Secret("sk-another-master"))
        app = create_app(moved, store=store)
        async with (
            listening(app, host="127.0.0.1", port=0) as url,
            aiohttp.ClientSession(url) as client,
        ):
            assert (200, None) == await Holder(client, holder.key).code("GET", "/v1/models")
            assert (401, "invalid_api_key") == await Holder(client, MASTER_KEY).code(
                "GET", "/v1/models"
            )

    async def test_keys_are_remembered(self, master: Holder, app: web.Application) -> None:
        """A key that was read a moment ago is not read again."""
        operations: list[str] = []
        store = app[STORE]
        assert isinstance(store, MemoryStore)
        holder = await master.holder()
        store._observe = lambda name, _: operations.append(name)

        for _ in range(5):
            await holder.get("/v1/models")
        await asyncio.sleep(11)
        await holder.get("/v1/models")

        assert 2 == operations.count("key_of")

    async def test_an_unknown_key_is_remembered_too(
        self, master: Holder, app: web.Application
    ) -> None:
        """Whoever tries the same wrong key again and again does not get through to the store; made, it opens."""
        operations: list[str] = []
        store, own = app[STORE], "sk-a-key-of-my-own"
        assert isinstance(store, MemoryStore)
        store._observe = lambda name, _: operations.append(name)

        refused = [await Holder(master.client, own).code("GET", "/v1/models") for _ in range(5)]
        holder = await master.holder(key=own)

        assert [(401, "invalid_api_key")] * 5 == refused
        assert 1 == operations.count("key_of")
        assert (200, None) == await holder.code("GET", "/v1/models")

    async def test_without_the_store_nobody_is_known(
        self, master: Holder, store: MemoryStore
    ) -> None:
        """A key that cannot be looked up is 503, which is worth repeating, and not 401."""
        holder = await master.holder()
        await store.close()

        assert (503, "store_unavailable") == await holder.code("GET", "/v1/models")
        assert "true" == holder.headers["x-should-retry"]
        assert (200, None) == await master.code("GET", "/v1/models")

    async def test_no_key_is_logged(
        self, master: Holder, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        """A key is in no line of the log; its id is in those of its requests."""
        holder = await master.holder()
        await holder.get("/v1/models")

        lines = log_lines()

        assert holder.key not in str(lines)
        assert ["key.created", "http.request.completed"] == [
            line["event"] for line in lines if line.get("key_id") == holder.id
        ]


class TestWithoutAMasterKey:
    """Where nobody needs a key, there are none."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """A service for this machine alone."""
        return replace(settings, master_key=None)

    @pytest.mark.parametrize(
        ("method", "path", "body"), [*ROUTES, ("GET", "/key/info?key=vk_1", None)]
    )
    async def test_keys_need_one(
        self,
        client: aiohttp.ClientSession,
        sandbox: Sandbox,
        method: str,
        path: str,
        body: dict[str, Any] | None,
    ) -> None:
        """The refusal says what has to be set."""
        status, document = await Holder(client, "any").call(method, path, body)

        assert (403, "master_key_required") == (status, document["error"]["code"])
        assert "TAXIWAY_MASTER_KEY" in document["error"]["message"]
