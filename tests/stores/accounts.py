"""Keys, their accounts, and the jobs they pay for."""

import asyncio

from tests.stores.histories import event

from taxiway.errors import TaxiwayError
from taxiway.jobs import Job
from taxiway.keys import Account, Key, opened
from taxiway.origins import Origin
from taxiway.store import Store

#: What one job of `new_job` costs by the price list.
PRICE = 80_000

#: Midnight of a Monday that begins a month: 1 January 2024.
MONDAY = 1_704_067_200.0


def new_key(number: int = 1, **fields: object) -> Key:
    """A key without limits, made at second `number`."""
    at = float(number)
    return Key(
        id=f"key_{number:04}",
        name=f"sk-...{number:04}",
        created_at=at,
        updated_at=at,
        **fields,  # type: ignore[arg-type]
    )


async def made(store: Store, *made_keys: Key, at: float = 0.0) -> None:
    """Keep keys, whose secrets have their ids for digests."""
    for key in made_keys:
        await store.add_key(opened(key, at=at), digest=key.id.encode())


async def account(store: Store, number: int = 1) -> Account:
    """A key's account."""
    found = await store.get_key(f"key_{number:04}")
    assert found is not None
    return found


async def money(store: Store, number: int = 1) -> tuple[int, int, int]:
    """What a key has spent, reserved, and spent altogether."""
    found = await account(store, number)
    return found.spent_microusd, found.reserved_microusd, found.total_microusd


def origin(number: int = 1, **fields: str) -> Origin:
    return Origin(scope=f"key_{number:04}", **fields)  # type: ignore[arg-type]


async def create(store: Store, *jobs: Job, number: int = 1) -> None:
    """Create jobs of a key."""
    for job in jobs:
        await store.create(event(job), origin=origin(number))


async def tried(store: Store, *jobs: Job) -> list[str]:
    """Create jobs of one key at once; return how it went with each."""
    answers = await asyncio.gather(
        *(store.create(event(job), origin=origin()) for job in jobs), return_exceptions=True
    )
    return [answer.code if isinstance(answer, TaxiwayError) else "made" for answer in answers]
