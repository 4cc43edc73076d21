"""Virtual keys: how they are made, changed and deleted, and what they open."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.holders import MASTER_KEY, Holder

from taxiway.sandbox import Sandbox
from taxiway.server.keys import RUNNER, STORE
from taxiway.server.reloading import reload
from taxiway.settings import KeyParams, Secret, Settings
from taxiway.store.memory import MemoryStore

#: What a key without limits looks like, but for what is its own.
PLAIN = {
    "key_alias": None,
    "status": "active",
    "models": [],
    "max_budget": None,
    "budget_duration": None,
    "budget_reset_at": None,
    "spend": 0.0,
    "reserved": 0.0,
    "total_spend": 0.0,
    "rpm_limit": None,
    "max_parallel_requests": None,
    "expires": None,
    "blocked": False,
    "metadata": {},
    "tags": [],
    "user_id": None,
    "team_id": None,
    "last_active": None,
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A service with a master key."""
    return replace(settings, master_key=Secret(MASTER_KEY))


@pytest.fixture
def master(client: aiohttp.ClientSession) -> Holder:
    """Whoever has the master key."""
    return Holder(client, MASTER_KEY)


async def info(master: Holder, holder: Holder) -> dict[str, Any]:
    """A key as the master sees it."""
    status, document = await master.get(f"/key/info?key={holder.id}")
    assert status == 200
    found: dict[str, Any] = document["info"]
    return found


class TestGenerate:
    """`POST /key/generate`."""

    async def test_a_key_is_shown_once(self, master: Holder, store: MemoryStore) -> None:
        """The answer has the key; nothing that is stored, and no later answer, does."""
        status, row = await master.post("/key/generate")

        secret = row["key"]
        assert (200, []) == (status, row["warnings"])
        assert secret.startswith("sk-")
        assert len(secret) >= 35
        assert f"sk-...{secret[-4:]}" == row["key_name"]
        assert row["token"] == row["token_id"]
        assert PLAIN == {name: row[name] for name in PLAIN}
        assert secret not in repr(vars(store._shelf))
        for path in (f"/key/info?key={secret}", "/key/list?return_full_object=true"):
            status, document = await master.get(path)
            assert (200, False) == (status, secret in str(document))

    async def test_it_opens_the_door(self, master: Holder) -> None:
        """With the key, images can be asked for."""
        holder = await master.holder()

        status, document = await holder.wait()

        assert (200, 1) == (status, len(document["data"]))

    async def test_two_keys_are_two(self, master: Holder) -> None:
        """No key comes twice."""
        keys = [(await master.holder()).key for _ in range(20)]

        assert 20 == len(set(keys))

    async def test_with_all_that_it_may_do(self, master: Holder) -> None:
        """Every field is kept and shown, in LiteLLM's words."""
        fields = {
            "key_alias": "ann",
            "models": ["gen4"],
            "max_budget": 1.5,
            "budget_duration": "2d",
            "rpm_limit": 3,
            "max_parallel_requests": 2,
            "metadata": {"team": "blue", "n": 1},
            "tags": ["a"],
            "user_id": "u",
            "team_id": "t",
        }
        _, row = await master.post("/key/generate", duration="1d", **fields)

        assert fields == {name: row[name] for name in fields}
        assert ("active", False) == (row["status"], row["blocked"])
        assert row["created_at"] < row["expires"] < row["budget_reset_at"]

    async def test_a_key_of_ones_own(self, master: Holder) -> None:
        """Whoever has a key already keeps it; it can be used once."""
        own = "sk-my-very-own-key"

        holder = await master.holder(key=own)

        assert own == holder.key
        assert (200, None) == await holder.code("GET", "/v1/models")
        assert (400, "invalid_value") == await master.code("POST", "/key/generate", key=own)

    async def test_null_is_absent(self, master: Holder) -> None:
        """LiteLLM's clients send null for what they do not mean."""
        status, row = await master.post(
            "/key/generate",
            **dict.fromkeys(("key", "key_alias", "models", "max_budget", "duration", "metadata")),
        )

        assert (200, PLAIN) == (status, {name: row[name] for name in PLAIN})

    @pytest.mark.parametrize(
        ("fields", "code", "param"),
        [
            ({"max_budget": -1}, "invalid_value", "max_budget"),
            ({"max_budget": "1"}, "invalid_type", "max_budget"),
            ({"max_budget": True}, "invalid_type", "max_budget"),
            ({"max_budget": 1e10}, "invalid_value", "max_budget"),
            ({"budget_duration": "1y"}, "invalid_value", "budget_duration"),
            ({"budget_duration": "99999999w"}, "invalid_value", "budget_duration"),
            ({"duration": "soon"}, "invalid_value", "duration"),
            ({"duration": "1201mo"}, "invalid_value", "duration"),
            ({"rpm_limit": 0}, "invalid_value", "rpm_limit"),
            ({"rpm_limit": 1.5}, "invalid_type", "rpm_limit"),
            ({"max_parallel_requests": 0}, "invalid_value", "max_parallel_requests"),
            ({"models": "gen4"}, "invalid_type", "models"),
            ({"models": ["gen4", 1]}, "invalid_type", "models[1]"),
            ({"key_alias": " "}, "invalid_value", "key_alias"),
            ({"metadata": {"a": {"b": 1}}}, "invalid_value", "metadata.a"),
            ({"blocked": "no"}, "invalid_type", "blocked"),
            ({"key": "sk-short"}, "invalid_value", "key"),
            ({"key": "not-a-key-at-all-here"}, "invalid_value", "key"),
            ({"key": MASTER_KEY}, "invalid_value", "key"),
            ({"guardrails": ["pii"]}, "unsupported_parameter", "guardrails"),
            ({"key_type": "read_only"}, "unsupported_parameter", "key_type"),
            ({"model_max_budget": {"gen4": 1}}, "unsupported_parameter", "model_max_budget"),
            ({"temp_budget_increase": 5}, "unsupported_parameter", "temp_budget_increase"),
        ],
    )
    async def test_what_is_no_key(
        self, master: Holder, fields: dict[str, Any], code: str, param: str
    ) -> None:
        """A wrong field is named, with what it accepts, and no key is made."""
        status, document = await master.post("/key/generate", **fields)

        error = document["error"]
        assert (400, code, param) == (status, error["code"], error["param"])
        assert "must be" in error["message"] or "not supported" in error["message"]
        assert 0 == (await master.get("/key/list"))[1]["total_count"]

    async def test_a_slip_is_named(self, master: Holder) -> None:
        """A misspelt field is refused with the nearest known one, and with all there are."""
        _, document = await master.post("/key/generate", max_budgt=1)

        message = document["error"]["message"]
        assert "`max_budgt` is not a field here; did you mean `max_budget`?" in message
        assert "max_parallel_requests" in message

    async def test_what_has_no_effect_is_said(self, master: Holder) -> None:
        """Fields of LiteLLM that nothing here needs are taken, and the answer says that they do nothing."""
        status, row = await master.post(
            "/key/generate",
            tpm_limit=100,
            soft_budget=1.0,
            key_type="llm_api",
            guardrails=[],
            permissions={},
            models=["gpt-4o"],
        )

        assert 200 == status
        assert [
            "`tpm_limit` has no effect here.",
            "`soft_budget` has no effect here.",
            "`models` names 'gpt-4o', which is not on offer at the moment.",
        ] == row["warnings"]

    async def test_a_group_of_models_is_on_offer(
        self, app: web.Application, master: Holder
    ) -> None:
        """A name in `access_groups` of an entry is one that a key's models may have."""
        settings = app[RUNNER].settings
        grouped = replace(settings.deployments[0], access_groups=("pictures",))
        reload(app, replace(settings, deployments=(grouped,)))

        _, row = await master.post("/key/generate", models=["pictures"])

        assert [] == row["warnings"]

    async def test_an_alias_is_taken_once(self, master: Holder) -> None:
        """Two keys cannot have one label."""
        await master.holder(key_alias="ann")

        assert (400, "invalid_value") == await master.code("POST", "/key/generate", key_alias="ann")


class TestInfo:
    """`GET /key/info`."""

    async def test_a_key_sees_itself(self, master: Holder) -> None:
        """A key learns what it may do and what it has spent, by itself, its id or nothing at all."""
        holder = await master.holder(key_alias="ann")

        answers = [
            await holder.get(path)
            for path in ("/key/info", f"/key/info?key={holder.id}", f"/key/info?key={holder.key}")
        ]

        assert [(200, "ann")] * 3 == [
            (status, document["info"]["key_alias"]) for status, document in answers
        ]
        assert [holder.id, holder.id, f"sk-...{holder.key[-4:]}"] == [
            document["key"] for _, document in answers
        ]

    async def test_and_no_other(self, master: Holder) -> None:
        """For a key there is no other key; for the master key there are those there are."""
        holder, other = await master.holder(), await master.holder()

        assert (404, "key_not_found") == await holder.code("GET", f"/key/info?key={other.id}")
        assert (404, "key_not_found") == await master.code("GET", "/key/info?key=vk_1")
        assert (404, "key_not_found") == await master.code("GET", "/key/info?key=sk-no")
        assert (400, "missing_required_parameter") == await master.code("GET", "/key/info")

    async def test_what_was_spent(self, master: Holder) -> None:
        """What a job may cost is reserved while it runs, and spent when it has ended."""
        holder = await master.holder()
        _, job = await holder.ask()

        before = await info(master, holder)
        await holder.wait()
        async with holder.client.get(
            f"/v1/jobs/{job['id']}/events", headers={"Authorization": f"Bearer {holder.key}"}
        ) as stream:
            await stream.read()
        after = await info(master, holder)

        assert [(0.0, 0.08, 0.0), (0.16, 0.0, 0.16)] == [
            (each["spend"], each["reserved"], each["total_spend"]) for each in (before, after)
        ]
        assert before["last_active"] is not None


class TestUpdate:
    """`POST /key/update`."""

    async def test_absent_stays_and_null_clears(self, master: Holder) -> None:
        """What is not named stays as it is; null takes a limit away; metadata is replaced as a whole."""
        holder = await master.holder(
            key_alias="ann", max_budget=1, rpm_limit=5, metadata={"a": 1}, duration="1d"
        )

        status, row = await master.post(
            "/key/update", key=holder.key, max_budget=None, metadata={"b": 2}, duration="-1"
        )

        assert (200, f"sk-...{holder.key[-4:]}") == (status, row["key"])
        assert ("ann", None, 5, {"b": 2}, None) == (
            row["key_alias"],
            row["max_budget"],
            row["rpm_limit"],
            row["metadata"],
            row["expires"],
        )
        assert row["updated_at"] >= row["created_at"]

    async def test_it_holds_at_once(self, master: Holder) -> None:
        """A change counts for the very next request."""
        holder = await master.holder()
        assert (200, None) == await holder.code("GET", "/v1/models")

        await master.post("/key/update", key=holder.id, blocked=True)
        blocked = await holder.code("GET", "/v1/models")
        await master.post("/key/update", key=holder.id, blocked=False)

        assert ((401, "key_blocked"), (200, None)) == (
            blocked,
            await holder.code("GET", "/v1/models"),
        )

    async def test_by_its_alias(self, master: Holder) -> None:
        """Without `key`, `key_alias` says which key is meant; with it, it is the new label."""
        holder = await master.holder(key_alias="ann")

        await master.post("/key/update", key_alias="ann", rpm_limit=5)
        await master.post("/key/update", key=holder.id, key_alias="bob")

        found = await info(master, holder)
        assert ("bob", 5) == (found["key_alias"], found["rpm_limit"])

    async def test_a_correction_of_what_was_spent(self, master: Holder) -> None:
        """`spend` sets what counts against the budget; the total stays what it was."""
        holder = await master.holder()
        await holder.wait()

        await master.post("/key/update", key=holder.id, spend=0.0)

        found = await info(master, holder)
        assert (0.0, 0.08) == (found["spend"], found["total_spend"])

    async def test_what_cannot_be_changed(self, master: Holder) -> None:
        """Without a key, with an unknown one, or with another's alias nothing changes."""
        await master.holder(key_alias="ann")
        bob = await master.holder(key_alias="bob")

        assert [
            (400, "missing_required_parameter"),
            (404, "key_not_found"),
            (404, "key_not_found"),
            (400, "invalid_value"),
            (400, "unsupported_parameter"),
        ] == [
            await master.code("POST", "/key/update", **body)
            for body in (
                {"rpm_limit": 1},
                {"key": "vk_1", "rpm_limit": 1},
                {"key_alias": "eve", "rpm_limit": 1},
                {"key": bob.id, "key_alias": "ann"},
                {"key": bob.id, "rpm": 1},
            )
        ]


class TestDelete:
    """`POST /key/delete`."""

    async def test_a_deleted_key_opens_nothing(self, master: Holder) -> None:
        """It is refused at once; what it has asked for goes on."""
        holder = await master.holder(key_alias="ann")
        _, job = await holder.ask()

        status, document = await master.post("/key/delete", keys=[holder.key])

        assert (200, {"deleted_keys": [holder.id]}) == (status, document)
        assert (401, "invalid_api_key") == await holder.code("GET", "/v1/models")
        async with asyncio.timeout(60):
            while (found := (await master.get(f"/v1/jobs/{job['id']}"))[1])[
                "status"
            ] != "completed":
                assert found["status"] in ("queued", "in_progress")
                await asyncio.sleep(1)
        assert 0 == (await master.get("/key/list"))[1]["total_count"]
        assert [holder.id] == (await master.get("/key/list?status=deleted"))[1]["keys"]

    async def test_what_was_deleted_is_said(self, master: Holder) -> None:
        """The answer names the keys that were there, by id or alias; 404 where none was."""
        await master.holder(key_alias="ann")

        first = await master.post("/key/delete", key_aliases=["ann", "bob"])
        again = await master.code("POST", "/key/delete", key_aliases=["ann", "bob"])

        assert (200, {"deleted_keys": ["ann"]}) == first
        assert (404, "key_not_found") == again

    @pytest.mark.parametrize(
        "body", [{}, {"keys": []}, {"keys": ["a"], "key_aliases": ["b"]}, {"keys": [1]}]
    )
    async def test_one_of_two_lists(self, master: Holder, body: dict[str, Any]) -> None:
        """Keys or aliases, and at least one of them."""
        status, document = await master.call("POST", "/key/delete", body)

        assert (400, "keys") == (status, document["error"]["param"][:4])


class TestBlock:
    """`POST /key/block` and `/key/unblock`."""

    async def test_there_and_back(self, master: Holder) -> None:
        """A blocked key is 401 `key_blocked`, and says so of itself; unblocked, it is as before."""
        holder = await master.holder()

        _, blocked = await master.post("/key/block", key=holder.id)
        refused = await holder.code("GET", "/v1/models")
        _, back = await master.post("/key/unblock", key=holder.id)

        assert (401, "key_blocked") == refused
        assert [("blocked", True), ("active", False)] == [
            (row["status"], row["blocked"]) for row in (blocked, back)
        ]
        assert (200, None) == await holder.code("GET", "/v1/models")


class TestRegenerate:
    """`POST /key/regenerate`."""

    async def test_another_secret(self, master: Holder) -> None:
        """The new secret opens what the old one did, at once and alone; what was spent stays."""
        holder = await master.holder(key_alias="ann", max_budget=1)
        await holder.wait()

        _, row = await master.post("/key/regenerate", key=holder.key)
        again = Holder(master.client, row["key"])

        assert holder.id == row["token"]
        assert f"sk-...{again.key[-4:]}" == row["key_name"]
        assert (401, "invalid_api_key") == await holder.code("GET", "/v1/models")
        assert 0.08 == (await again.get("/key/info"))[1]["info"]["spend"]
        assert 1 == len((await again.get("/v1/jobs"))[1]["data"])


class TestList:
    """`GET /key/list`."""

    async def test_page_by_page(self, master: Holder) -> None:
        """Newest first; a page says which one it is and how many there are."""
        holders = []
        for _ in range(5):
            holders.append(await master.holder())
            await asyncio.sleep(1)

        _, document = await master.get("/key/list?page=2&size=2")

        assert {
            "keys": [holders[2].id, holders[1].id],
            "total_count": 5,
            "current_page": 2,
            "total_pages": 3,
        } == document

    async def test_with_everything(self, master: Holder) -> None:
        """`return_full_object` has each key as `/key/info` shows it."""
        holder = await master.holder(key_alias="ann", user_id="u")
        await master.holder()

        _, document = await master.get("/key/list?user_id=u&return_full_object=true")

        assert [await info(master, holder)] == document["keys"]

    @pytest.mark.parametrize(
        "query",
        ["page=0", "size=101", "status=gone", "sort_by=name", "sort_order=up", "colour=red"],
    )
    async def test_what_is_no_list(self, master: Holder, query: str) -> None:
        """A wrong parameter is named, with what it accepts."""
        status, document = await master.get(f"/key/list?{query}")

        assert (400, query.partition("=")[0]) == (status, document["error"]["param"])

    async def test_litellms_word_for_blocked(self, master: Holder) -> None:
        """`revoked` are those that somebody has blocked."""
        holder = await master.holder(blocked=True)

        assert [holder.id] == (await master.get("/key/list?status=revoked"))[1]["keys"]


class TestConfiguredLimits:
    """`default_key_generate_params` and `upperbound_key_generate_params` of `litellm_settings`."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """A service where keys are good for gen4 by default, and for two dollars a month at the most."""
        return replace(
            settings,
            key_defaults=KeyParams(
                models=("gen4",), rpm_limit=5, duration="1d", team_id="core", metadata={"a": 1}
            ),
            key_bounds=KeyParams(
                max_budget_microusd=2_000_000,
                budget_duration="1mo",
                rpm_limit=10,
                duration="30d",
            ),
        )

    async def test_what_is_not_said_is_the_default(self, master: Holder) -> None:
        """Who makes a key without saying more gets the defaults, and for the rest the most."""
        _, row = await master.post("/key/generate")

        assert ("core", {"a": 1}) == (row["team_id"], row["metadata"])
        assert (["gen4"], 5, 2.0, "1mo") == (
            row["models"],
            row["rpm_limit"],
            row["max_budget"],
            row["budget_duration"],
        )
        assert row["expires"] is not None

    async def test_what_is_said_counts(self, master: Holder) -> None:
        """Whoever says less, or other models, gets that."""
        _, row = await master.post(
            "/key/generate", models=[], rpm_limit=10, max_budget=1, budget_duration="1w"
        )

        assert ([], 10, 1.0, "1w") == (
            row["models"],
            row["rpm_limit"],
            row["max_budget"],
            row["budget_duration"],
        )

    @pytest.mark.parametrize(
        ("field", "value", "most"),
        [
            ("max_budget", 2.01, "$2.00"),
            ("rpm_limit", 11, "10"),
            ("duration", "31d", "30d"),
            ("budget_duration", "2mo", "1mo"),
        ],
    )
    async def test_more_is_refused(
        self, master: Holder, field: str, value: object, most: str
    ) -> None:
        """The refusal names the field and the most, for a new key and for an old one."""
        holder = await master.holder()

        made = await master.post("/key/generate", **{field: value})
        updated = await master.post("/key/update", key=holder.id, **{field: value})

        assert [(400, field, f"`{field}` must be at most {most} here.")] * 2 == [
            (status, document["error"]["param"], document["error"]["message"])
            for status, document in (made, updated)
        ]

    async def test_for_ever_is_the_most(self, master: Holder) -> None:
        """Taking a limit away leaves the most."""
        holder = await master.holder(max_budget=1)

        _, row = await master.post("/key/update", key=holder.id, max_budget=None, duration="-1")

        assert 2.0 == row["max_budget"]
        assert row["expires"] is not None


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
