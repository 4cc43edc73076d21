"""A key as the service shows it."""

from typing import Any

from tests.holders import Holder

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


async def info(master: Holder, holder: Holder) -> dict[str, Any]:
    """A key as the master sees it."""
    status, document = await master.get(f"/key/info?key={holder.id}")
    assert status == 200
    found: dict[str, Any] = document["info"]
    return found
