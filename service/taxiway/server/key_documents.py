"""A virtual key, as the `/key` routes show it: LiteLLM's names, dates in ISO 8601, money in US dollars."""

from datetime import UTC, datetime
from typing import Any

from taxiway.keys import Account


def key_document(account: Account, *, now: float) -> dict[str, Any]:
    """Return a key and what it has spent, without its secret: nobody has that but its holder."""
    account = account.at(now)
    key = account.key
    return {
        "token": key.id,
        "key_name": key.name,
        "key_alias": key.alias,
        "status": key.status(now),
        "models": key.models,
        "max_budget": None if key.max_budget_microusd is None else usd(key.max_budget_microusd),
        "budget_duration": key.budget_duration,
        "budget_reset_at": _date(account.resets_at),
        "spend": usd(account.spent_microusd),
        "reserved": usd(account.reserved_microusd),
        "total_spend": usd(account.total_microusd),
        "rpm_limit": key.rpm_limit,
        "max_parallel_requests": key.max_parallel_requests,
        "expires": _date(key.expires_at),
        "blocked": key.blocked,
        "metadata": key.metadata,
        "tags": key.tags,
        "user_id": key.user_id,
        "team_id": key.team_id,
        "created_at": _date(key.created_at),
        "updated_at": _date(key.updated_at),
        "last_active": _date(account.last_active_at),
    }


def usd(microusd: int) -> float:
    """Return an amount in US dollars."""
    return microusd / 1_000_000


def _date(at: float | None) -> str | None:
    if at is None:
        return None
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
