"""What every store promises of virtual keys: how they are kept, found, changed and listed."""

import asyncio
from dataclasses import replace

import pytest
from tests.stores.accounts import MONDAY, PRICE, account, create, made, new_key
from tests.stores.histories import LIFE, Opener, history, new_job, recorded, shared

from taxiway.errors import BadRequestError, StoreError
from taxiway.key_store import KeyQuery
from taxiway.keys import Account, KeyStatus, changed, opened
from taxiway.signals import KeyChanged, Signal
from taxiway.store import Store

pytestmark = pytest.mark.looptime(False)


class TestKeys:
    """Keeping, finding, changing and listing keys."""

    async def test_a_key_is_found_by_its_secret(self, store: Store) -> None:
        """The digest of a secret leads to the key, whole, with everything it may do."""
        key = new_key(
            alias="ann",
            models=("gen4", "runwayml/*"),
            max_budget_microusd=1_000_000,
            budget_duration="1d",
            rpm_limit=3,
            max_parallel_requests=2,
            expires_at=5e9,
            metadata={"team": {"name": "blue"}},
            tags=("a", "b"),
            user_id="u",
            team_id="t",
        )
        await store.add_key(opened(key, at=MONDAY), digest=b"1")

        assert Account(key=key, resets_at=MONDAY + 86_400) == await store.key_of(b"1")

    async def test_another_secret_finds_nothing(self, store: Store) -> None:
        """A digest that no key has leads nowhere; nor does an id that none has."""
        await made(store, new_key())

        assert (None, None) == (await store.key_of(b"2"), await store.get_key("key_2"))

    async def test_a_secret_is_used_once(self, store: Store) -> None:
        """Two keys cannot have one secret."""
        await store.add_key(opened(new_key(1), at=0), digest=b"1")

        with pytest.raises(BadRequestError, match="`key` must be one that was never used here"):
            await store.add_key(opened(new_key(2), at=0), digest=b"1")
        assert await store.get_key("key_0002") is None

    async def test_an_alias_is_used_once(self, store: Store) -> None:
        """Two keys cannot have one label, whether it is given at the beginning or later."""
        await made(store, new_key(1, alias="ann"), new_key(2, alias="bob"))

        with pytest.raises(BadRequestError, match="'ann' is taken") as refused:
            await made(store, new_key(3, alias="ann"))
        with pytest.raises(BadRequestError, match="'ann' is taken"):
            await store.change_key(
                "key_0002", lambda a: replace(a, key=replace(a.key, alias="ann"))
            )
        assert "key_alias" == refused.value.param
        assert "bob" == (await account(store, 2)).key.alias

    async def test_the_alias_of_a_deleted_key_is_free(self, store: Store) -> None:
        """A deleted key stays, and its label is given to the next one."""
        await made(store, new_key(1, alias="ann"))
        await store.change_key("key_0001", lambda a: replace(a, key=replace(a.key, deleted_at=5.0)))

        await made(store, new_key(2, alias="ann"))

        assert ("ann", "ann") == tuple(
            [(await account(store, number)).key.alias for number in (1, 2)]
        )

    async def test_a_change_keeps_what_is_spent(self, store: Store) -> None:
        """A change of a key leaves alone what its jobs do meanwhile."""
        await made(store, new_key())
        await create(store, new_job(1))

        after = await store.change_key(
            "key_0001", lambda a: changed(a, replace(a.key, blocked=True), at=9.0)
        )

        assert after == await account(store)
        assert (True, PRICE) == (after.key.blocked, after.reserved_microusd)

    async def test_a_refused_change_changes_nothing(self, store: Store) -> None:
        """What the change itself raises comes out, and the key is as it was."""
        await made(store, new_key())

        def refuse(_: Account) -> Account:
            raise BadRequestError("No.")

        with pytest.raises(BadRequestError, match=r"^No\.$"):
            await store.change_key("key_0001", refuse)
        assert new_key() == (await account(store)).key

    async def test_no_key_no_change(self, store: Store) -> None:
        """Changing a key that is not there is None."""
        assert await store.change_key("key_0001", lambda a: a) is None

    @shared
    async def test_the_others_hear_of_a_change(self, store: Store, another: Opener) -> None:
        """Every other replica hears which key was changed."""
        rival = await another()
        heard: asyncio.Queue[Signal] = asyncio.Queue()
        rival.signals(heard.put_nowait)
        await made(store, new_key())
        async with asyncio.timeout(20):
            await heard.get()  # Resync
            await store.change_key("key_0001", lambda a: a)

            assert KeyChanged(key_id="key_0001") == await heard.get()

    async def test_a_seed_never_changes(self, store: Store, another: Opener) -> None:
        """Random bytes are drawn once for a name, whoever asks for them."""
        rival = await another()

        seeds = await asyncio.gather(store.seed("a"), rival.seed("a"), store.seed("b"))

        assert (32, seeds[0]) == (len(seeds[0]), seeds[1])
        assert seeds[0] != seeds[2]

    async def test_a_closed_store_keeps_no_keys(self, store: Store) -> None:
        """After the end every call is refused."""
        await store.close()

        with pytest.raises(StoreError):
            await store.get_key("key_0001")


class TestList:
    """The list of keys."""

    @pytest.fixture(autouse=True)
    async def population(self, store: Store) -> None:
        """Five keys, one in each state and one more."""
        await made(
            store,
            new_key(1, alias="Ann_1", user_id="u"),
            new_key(2, alias="bob", blocked=True, team_id="t"),
            new_key(3, expires_at=50.0),
            new_key(4, alias="ann%2", deleted_at=5.0),
            new_key(5, alias="annxy", user_id="u", expires_at=200.0),
        )

    @pytest.mark.parametrize(
        ("query", "numbers"),
        [
            pytest.param({}, [5, 3, 2, 1], id="newest first, without the deleted"),
            pytest.param({"descending": False}, [1, 2, 3, 5], id="oldest first"),
            pytest.param({"sort_by": "key_alias"}, [2, 5, 1, 3], id="by alias downwards"),
            pytest.param(
                {"sort_by": "key_alias", "descending": False}, [1, 5, 2, 3], id="by alias"
            ),
            pytest.param({"status": KeyStatus.ACTIVE}, [5, 1], id="active"),
            pytest.param({"status": KeyStatus.BLOCKED}, [2], id="blocked"),
            pytest.param({"status": KeyStatus.EXPIRED}, [3], id="expired"),
            pytest.param({"status": KeyStatus.DELETED}, [4], id="deleted"),
            pytest.param({"user_id": "u"}, [5, 1], id="a user's"),
            pytest.param({"team_id": "t"}, [2], id="a team's"),
            pytest.param({"alias": "bob"}, [2], id="an alias"),
            pytest.param({"id": "key_0003"}, [3], id="an id"),
            pytest.param({"search": "ANN"}, [5, 1], id="a part of the alias"),
            pytest.param({"search": "n_"}, [1], id="a part that SQL would take for a pattern"),
            pytest.param({"search": "0003"}, [3], id="a part of the name"),
        ],
    )
    async def test_who_is_on_it(
        self, store: Store, query: dict[str, object], numbers: list[int]
    ) -> None:
        """A list has the keys that are asked for, in the order that is asked for, and says how many they are."""
        found, total = await store.list_keys(KeyQuery(**query), now=100.0)  # type: ignore[arg-type]

        assert numbers == [int(each.key.id[4:]) for each in found]
        assert len(numbers) == total

    async def test_page_by_page(self, store: Store) -> None:
        """A page has so many keys from some place on, and the total counts all pages."""
        found, total = await store.list_keys(KeyQuery(limit=2, offset=1), now=100.0)

        assert (["key_0003", "key_0002"], 4) == ([each.key.id for each in found], total)

    async def test_by_what_was_spent(self, store: Store) -> None:
        """The dearest key comes first where the list is asked for by spend."""
        await create(store, job := new_job(1), number=1)
        await recorded(store, *history(job, *LIFE))

        found, _ = await store.list_keys(KeyQuery(sort_by="spend"), now=100.0)

        assert "key_0001" == found[0].key.id
