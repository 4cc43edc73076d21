"""Virtual keys: what one may do, and how far it has got with it.

All values are frozen. A key's secret is in none of them: the store knows a digest of it, and nobody the secret.
Times are Unix seconds, money is micro-USD.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from taxiway.ids import new_id
from taxiway.periods import Period, read_period

#: What every key begins with, here and at LiteLLM.
PREFIX = "sk-"

#: Random bytes in a generated key.
_RANDOM_BYTES = 24


class KeyStatus(StrEnum):
    """Whether a key opens anything."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a virtual key may do. A limit that is None is no limit."""

    id: str
    """`vk_` and a UUIDv7 in hex: the scope of its jobs and the name in the books."""
    name: str
    """`sk-...` and the last four characters: enough to recognise it by."""
    alias: str | None = None
    """A label that no other key has."""
    models: tuple[str, ...] = ()
    """Public names it may ask for, `*` standing for any characters; none given: all."""
    max_budget_microusd: int | None = None
    """What its jobs may cost, in each period of `budget_duration` or altogether."""
    budget_duration: str | None = None
    rpm_limit: int | None = None
    """Jobs in any 60 seconds; more are refused."""
    max_parallel_requests: int | None = None
    """Jobs under way at once; more wait."""
    expires_at: float | None = None
    blocked: bool = False
    metadata: Mapping[str, object] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    user_id: str | None = None
    team_id: str | None = None
    created_at: float = 0.0
    updated_at: float = 0.0
    deleted_at: float | None = None
    """A deleted key stays in the books, and its alias is free for another one."""

    @property
    def period(self) -> Period | None:
        """How long its budget lasts; None: for ever."""
        return None if self.budget_duration is None else read_period(self.budget_duration)

    def status(self, at: float) -> KeyStatus:
        """Return whether it opens anything at a date."""
        if self.deleted_at is not None:
            return KeyStatus.DELETED
        if self.blocked:
            return KeyStatus.BLOCKED
        if self.expires_at is not None and at >= self.expires_at:
            return KeyStatus.EXPIRED
        return KeyStatus.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A key, and what its jobs have cost. `spent` and `reserved` are those of the current period."""

    key: Key
    period: int = 0
    """The number of the current budget period."""
    resets_at: float | None = None
    """When the next period begins; None: never."""
    spent_microusd: int = 0
    """What the ended jobs that were accepted in this period have cost."""
    reserved_microusd: int = 0
    """What the unfinished ones may cost, or have cost so far."""
    total_microusd: int = 0
    """What all ended jobs have cost, since the key was made."""
    last_active_at: float | None = None
    """When it last made a job."""

    def at(self, now: float) -> "Account":
        """Return the account in the budget period of a date: a new period begins with nothing spent."""
        if self.resets_at is None or now < self.resets_at:
            return self
        period = self.key.period
        return replace(
            self,
            period=self.period + 1,
            resets_at=period.next_reset(now, last=self.resets_at) if period else None,
            spent_microusd=0,
            reserved_microusd=0,
        )


def new_key_id(now: float) -> str:
    """Return the id of a key that is made now."""
    return new_id("vk_", now)


def new_secret() -> str:
    """Return a key that nobody can guess: 192 bits."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def name_of(secret: str) -> str:
    """Return what may be shown of a key."""
    return f"{PREFIX}...{secret[-4:]}"


def opened(key: Key, *, at: float) -> Account:
    """Return the account of a new key."""
    period = key.period
    return Account(key=key, resets_at=period.next_reset(at) if period else None)


def changed(account: Account, key: Key, *, at: float) -> Account:
    """Return the account with its key changed. What is spent stays spent until the next reset."""
    if key.budget_duration == account.key.budget_duration:
        return replace(account, key=key)
    period = key.period
    return replace(account, key=key, resets_at=period.next_reset(at) if period else None)
