"""The query of the list of keys: each parameter is understood, or refused by name."""

from dataclasses import dataclass

from multidict import MultiMapping

from taxiway.key_store import KeyQuery
from taxiway.keys import KeyStatus
from taxiway.server.queries import check_names, refused

PARAMETERS = (
    *("page", "size", "status", "key_hash", "key_alias", "user_id", "team_id", "search"),
    *("sort_by", "sort_order", "return_full_object"),
)

SIZE_DEFAULT = 10
SIZE_MAX = 100
PAGE_MAX = 1_000_000
SORTABLE = ("created_at", "key_alias", "spend")
ORDERS = ("desc", "asc")

#: LiteLLM's word for a key that opens nothing until somebody lets it.
_REVOKED = "revoked"
STATUSES = (*KeyStatus, _REVOKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which page is asked for, and whether with all that is known of each key."""

    query: KeyQuery
    page: int
    full: bool


def read_key_query(query: MultiMapping[str]) -> Asked:
    """Return which keys are asked for. Raises `BadRequestError` naming the parameter and what it accepts."""
    check_names(query, PARAMETERS)
    page = _number(query, "page", default=1, most=PAGE_MAX)
    size = _number(query, "size", default=SIZE_DEFAULT, most=SIZE_MAX)
    status = _status(query)
    return Asked(
        page=page,
        full=_word(query, "return_full_object", ("true", "false")) == "true",
        query=KeyQuery(
            status=status,
            id=query.get("key_hash") or None,
            alias=query.get("key_alias") or None,
            user_id=query.get("user_id") or None,
            team_id=query.get("team_id") or None,
            search=query.get("search") or None,
            sort_by=_word(query, "sort_by", SORTABLE) or SORTABLE[0],
            descending=_word(query, "sort_order", ORDERS) != "asc",
            limit=size,
            offset=(page - 1) * size,
        ),
    )


def _status(query: MultiMapping[str]) -> KeyStatus | None:
    word = _word(query, "status", STATUSES)
    if word is None:
        return None
    return KeyStatus.BLOCKED if word == _REVOKED else KeyStatus(word)


def _number(query: MultiMapping[str], name: str, *, default: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= most:
        return int(text)
    raise refused(name, f"must be an integer from 1 to {most}")


def _word(query: MultiMapping[str], name: str, words: tuple[str, ...]) -> str | None:
    text = query.get(name)
    if text is not None and text not in words:
        raise refused(name, f"must be one of {', '.join(words)}")
    return text
