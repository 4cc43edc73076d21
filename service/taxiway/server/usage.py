"""What was spent: the ledger, added up by what the caller wants to see apart."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web
from multidict import MultiMapping

from taxiway.ledger import Grouping, Usage
from taxiway.server.access import identity_of
from taxiway.server.answers import NO_STORE, json_answer
from taxiway.server.documents import usd
from taxiway.server.keys import STORE
from taxiway.server.queries import check_names, read_date, refused

PARAMETERS = ("by", "since", "until")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """Which entries to add up, and by what. `since` is in it, `until` is not; both in Unix seconds."""

    by: tuple[Grouping, ...] = ()
    since: float | None = None
    until: float | None = None


async def get_usage(request: web.Request) -> web.Response:
    """Answer with what was spent, by model, key, day, or several of them; an entry counts when it was booked."""
    query = read_usage_query(request.query)
    store = request.app[STORE]
    what = partial(
        store.usage, since=query.since, until=query.until, scope=identity_of(request).sight
    )
    rows = await what(query.by)
    (total,) = await what(()) if query.by else rows
    return json_answer(
        {
            "object": "usage",
            "by": query.by,
            "since": query.since,
            "until": query.until,
            "data": [usage_document(row, query.by) for row in rows] if query.by else [],
            "total": usage_document(total, ()),
        },
        headers=NO_STORE,
    )


def read_usage_query(query: MultiMapping[str]) -> UsageQuery:
    """Return what is asked for. Raises `BadRequestError` naming the parameter and what it accepts."""
    check_names(query, PARAMETERS)
    words = [word.strip() for word in query.get("by", "").split(",") if word.strip()]
    if not set(words) <= set(Grouping) or len(set(words)) < len(words):
        raise refused("by", f"must be a list of {', '.join(Grouping)}, each once, with commas")
    since, until = (read_date(name, query.get(name)) for name in ("since", "until"))
    if since is not None and until is not None and until <= since:
        raise refused("until", "must be later than `since`")
    return UsageQuery(by=tuple(map(Grouping, words)), since=since, until=until)


def usage_document(row: Usage, by: tuple[Grouping, ...]) -> dict[str, Any]:
    """Return a row: what it is of, how much there was of it, and what it cost.

    `cost.final` says that the provider has named every charge. What attempts under way may still cost is beside
    it, under `reserved`.
    """
    exact = not row.estimated_microusd and not row.unknown
    return {
        **{each.value: value for each, value in zip(by, row.group, strict=True)},
        "jobs": row.jobs,
        "attempts": row.attempts,
        "tasks": row.tasks,
        "cost": {
            "usd": usd(row.spent_microusd),
            "credits": row.charged_credits + row.estimated_credits,
            "final": exact,
            "charged_credits": row.charged_credits,
            "estimated_credits": row.estimated_credits,
            "charged_usd": usd(row.charged_microusd),
            "estimated_usd": usd(row.estimated_microusd),
            "unknown_charges": row.unknown,
        },
        "reserved": {"usd": usd(row.reserved_microusd), "credits": row.reserved_credits},
    }
