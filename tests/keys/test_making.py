"""Virtual keys: how they are made, and within which limits."""

from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from tests.holders import MASTER_KEY, Holder
from tests.keys.rows import PLAIN

from taxiway.server.keys import RUNNER
from taxiway.server.reloading import reload
from taxiway.settings import KeyParams, Settings
from taxiway.store.memory import MemoryStore


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
