"""Virtual keys: how they are shown, listed, changed and deleted."""

import asyncio
from typing import Any

import pytest
from tests.holders import Holder
from tests.keys.rows import info


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
