"""What is expected of whoever keeps virtual keys. Every job store does: a job and its money are one write."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from taxiway.budgets import Standing
from taxiway.errors import BadRequestError, cut
from taxiway.keys import Account, KeyStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyQuery:
    """Which keys to list. Deleted ones are listed only where `status` asks for them."""

    status: KeyStatus | None = None
    id: str | None = None
    alias: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    search: str | None = None
    """A part of the alias or of the name, in any case."""
    sort_by: str = "created_at"
    """`created_at`, `key_alias` or `spend`: what it has cost altogether."""
    descending: bool = True
    limit: int = 10
    offset: int = 0


class KeyStore(Protocol):
    """Keys and their accounts. A call that returns has committed. Raises `StoreError` as `JobStore` does."""

    async def seed(self, name: str) -> bytes:
        """Return 32 random bytes that were drawn at the first call for a name, and never change."""
        ...

    async def add_key(self, account: Account, *, digest: bytes) -> None:
        """Keep a new key. Raises `BadRequestError` (`key_alias`, `key`) where its alias or its secret is taken."""
        ...

    async def key_of(self, digest: bytes) -> Account | None:
        """Return the account of the secret with this digest, or None."""
        ...

    async def get_key(self, key_id: str) -> Account | None:
        """Return a key's account, or None; deleted ones are there."""
        ...

    async def change_key(
        self, key_id: str, change: Callable[[Account], Account], *, digest: bytes | None = None
    ) -> Account | None:
        """Put what `change` makes of an account into its place, and tell the other replicas.

        With a `digest`, the key has another secret from then on.

        None where there is no such key. What `change` raises leaves everything as it was. Raises
        `BadRequestError` (`key_alias`) where the alias is taken.
        """
        ...

    async def list_keys(self, query: KeyQuery, *, now: float) -> tuple[Sequence[Account], int]:
        """Return a page of the list, and how many keys there are on all pages."""
        ...

    @property
    def shared(self) -> bool:
        """Whether several processes let jobs of one key go."""
        ...

    async def take_seat(self, job_id: str, *, scope: str, limit: int) -> bool:
        """Count a job of a key among those under way, until its end, if they are fewer than `limit` by now.

        Returns whether it counts among them; asking again is fine.
        """
        ...

    def standing(self, key_id: str) -> Standing | None:
        """Return where a key stood after the last step of its jobs in this process; None where there was none."""
        ...


def alias_taken(alias: str) -> BadRequestError:
    """Return the refusal of a label that another key has."""
    return BadRequestError(
        f"`key_alias` must be a label that no other key has; {cut(alias)!r} is taken.",
        param="key_alias",
    )


def secret_taken() -> BadRequestError:
    """Return the refusal of a secret that another key has, or had."""
    return BadRequestError("`key` must be one that was never used here.", param="key")
