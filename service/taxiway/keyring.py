"""The virtual keys as this process knows them: read from the store once, then remembered for some seconds.

A secret is known by its HMAC. The HMAC's own key is drawn once for each database and stays in it, so neither a
restart nor another master key makes the keys that were given out worthless.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Iterable
from contextlib import suppress

from taxiway import budgets
from taxiway.cadence import every
from taxiway.errors import AuthenticationError, StoreError
from taxiway.key_store import KeyStore
from taxiway.keys import PREFIX, Account, Key

#: How long a key is taken to be as it was read. Changes are told at once; this is for those that were not heard.
FRESH_S = 10.0

#: How long a store that did not answer is left alone.
AGAIN_S = 1.0

#: Keys remembered at once.
_REMEMBERED_MAX = 10_000

#: What the HMAC's key is drawn for.
_PURPOSE = "virtual keys 1"


class KeyRing:
    """One per process. `changed` is called when a limit may have changed that somebody waits for."""

    def __init__(self, store: KeyStore, *, now: Callable[[], float]) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._store = store
        self._now = now
        self._hmac_key: bytes | None = None
        self._remembered: dict[bytes, tuple[Key | None, float]] = {}
        """Keys by digest, None for one that nobody has, and until when on the loop's clock that is believed."""
        self._changes = 0
        """How often this process has heard that a key was changed."""
        self._limits: dict[str, int] = {}
        """Keys whose jobs wait for each other, and how many of them go at once."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def find(self, secret: str) -> Key:
        """Return the key with a secret. Raises `AuthenticationError` for one that is unknown or opens nothing."""
        if not secret.startswith(PREFIX):
            raise AuthenticationError("The API key is not valid here.")
        digest = await self.digest(secret)
        key, until_s = self._remembered.get(digest, (None, 0.0))
        if asyncio.get_running_loop().time() >= until_s:
            changes = self._changes
            account = await self._store.key_of(digest)
            key = None if account is None else account.key
            if changes == self._changes:  # else it was read before a change, perhaps
                self._remember(digest, key)
        if key is None:
            raise AuthenticationError("The API key is not valid here.")
        budgets.check_open(key, at=self._now())
        return key

    async def digest(self, secret: str) -> bytes:
        """Return what a secret is stored as."""
        if self._hmac_key is None:
            self._hmac_key = await self._store.seed(_PURPOSE)
        # Headers may hold bytes that are not UTF-8; aiohttp keeps them as surrogates.
        text = secret.encode("utf-8", "surrogateescape")
        return hmac.digest(self._hmac_key, text, hashlib.sha256)

    def limit(self, scope: str) -> int | None:
        """Return how many jobs of a key may be under way at once; None: any number, or nobody knows yet."""
        return self._limits.get(scope)

    def learn(self, account: Account) -> None:
        """Take in that a key is now like this: this process has changed it."""
        self._forget(account.key.id)
        self._note_limit(account.key)

    async def know(self, scopes: Iterable[str]) -> None:
        """Read the limits of keys whose jobs were taken over; those that cannot be read now, soon."""
        wanted = set(scopes) - {""}
        try:
            await self._read_limits(wanted)
        except StoreError:
            # The jobs are taken over already, and go on whatever the store does.
            self._soon(wanted)

    def hear(self, key_id: str | None) -> None:
        """Take in that another process has changed a key; None: perhaps any of them."""
        self._forget(key_id)
        known = list(self._limits) if key_id is None else [key_id]
        if known:
            self._soon(known)

    async def close(self) -> None:
        """Stop reading."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _soon(self, key_ids: Iterable[str]) -> None:
        task = asyncio.create_task(self._read_patiently(tuple(key_ids)), name="keys:limits")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_patiently(self, key_ids: Iterable[str]) -> None:
        async for _ in every(AGAIN_S, first_s=0.0):
            with suppress(StoreError):
                await self._read_limits(key_ids)
                return

    async def _read_limits(self, key_ids: Iterable[str]) -> None:
        for key_id in key_ids:
            account = await self._store.get_key(key_id)
            if account is not None:
                self._note_limit(account.key)

    def _remember(self, digest: bytes, key: Key | None) -> None:
        self._remembered.pop(digest, None)
        self._remembered[digest] = key, asyncio.get_running_loop().time() + FRESH_S
        if len(self._remembered) > _REMEMBERED_MAX:
            del self._remembered[next(iter(self._remembered))]
        if key is not None:
            self._note_limit(key)

    def _forget(self, key_id: str | None) -> None:
        self._changes += 1
        self._remembered = {
            digest: found
            for digest, found in self._remembered.items()
            # What nobody had may be somebody's now.
            if key_id is not None and found[0] is not None and found[0].id != key_id
        }

    def _note_limit(self, key: Key) -> None:
        before = self._limits.pop(key.id, None)
        if key.max_parallel_requests is not None:
            self._limits[key.id] = key.max_parallel_requests
        if before != key.max_parallel_requests:
            self.changed()
