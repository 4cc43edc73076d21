"""What a process knows of virtual keys, and what it does while the store does not answer."""

import asyncio
from dataclasses import replace

import pytest
from tests.stores.accounts import made, new_key

from taxiway.errors import AuthenticationError, StoreError
from taxiway.keyring import KeyRing
from taxiway.keys import Account, opened
from taxiway.store.memory import MemoryStore


class Moody(MemoryStore):
    """A store that does not answer the first questions about a key."""

    silent = 3

    async def get_key(self, key_id: str) -> Account | None:
        """Return a key's account, once it is in the mood."""
        self.silent -= 1
        if self.silent >= 0:
            raise StoreError("The store could not be read.")
        return await super().get_key(key_id)


async def test_limits_of_jobs_that_were_taken_over_are_learnt_in_the_end() -> None:
    """A store that is away stops nobody from taking jobs over: their keys are read when it is back."""
    store = Moody()
    await made(store, new_key(1, max_parallel_requests=2), new_key(2))
    ring = KeyRing(store, now=lambda: 1.0)
    changes: list[int | None] = []
    ring.changed = lambda: changes.append(ring.limit("key_0001"))

    await ring.know(["key_0001", "", "key_0001", "key_0002"])
    before = ring.limit("key_0001")
    await asyncio.sleep(5)
    await ring.close()
    await store.close()

    assert (None, 2, None) == (before, ring.limit("key_0001"), ring.limit("key_0002"))
    assert [2] == changes


class Slow(MemoryStore):
    """A store whose answers about secrets are a second on their way."""

    async def key_of(self, digest: bytes) -> Account | None:
        """Return the account as it is when it is asked for."""
        found = await super().key_of(digest)
        await asyncio.sleep(1)
        return found


async def test_what_was_read_before_a_change_is_not_remembered() -> None:
    """A key that is blocked while somebody reads it opens once at most: what was read is not kept."""
    store, secret = Slow(), "sk-a-key-of-my-own"
    ring = KeyRing(store, now=lambda: 1.0)
    await store.add_key(opened(new_key(), at=0.0), digest=await ring.digest(secret))

    reading = asyncio.create_task(ring.find(secret))
    await asyncio.sleep(0.5)
    blocked = await store.change_key(
        "key_0001", lambda account: replace(account, key=replace(account.key, blocked=True))
    )
    assert blocked is not None
    ring.learn(blocked)
    first = await reading
    with pytest.raises(AuthenticationError, match="blocked"):
        await ring.find(secret)
    await ring.close()
    await store.close()

    assert not first.blocked
