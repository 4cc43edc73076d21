"""What the `/key` routes answer with: `key_documents` writes it."""

from taxiway.keys import KeyStatus
from taxiway.server.openapi.words import (
    FLAG,
    INTEGER,
    NUMBER,
    TEXT,
    Schema,
    list_of,
    one_of,
    or_null,
    record,
    ref,
    said,
)

_DATE: Schema = {"type": "string", "format": "date-time"}
_USD = said(NUMBER, "In US dollars.")
_WARNINGS = said(list_of(TEXT), "What was sent and has no effect, or may be a slip.")

_ROW = {
    "token": said(TEXT, "The key's id: it names the key without opening anything."),
    "key_name": said(TEXT, "The end of the key, to recognise it by."),
    "key_alias": or_null(TEXT),
    "status": one_of(KeyStatus),
    "models": said(list_of(TEXT), "What it may ask for; empty: everything."),
    "max_budget": or_null(_USD),
    "budget_duration": or_null(TEXT),
    "budget_reset_at": or_null(_DATE),
    "spend": said(NUMBER, "What the ended jobs of this budget period have cost, in US dollars."),
    "reserved": said(NUMBER, "What its unfinished jobs may cost, in US dollars."),
    "total_spend": said(NUMBER, "What all of its ended jobs have cost, in US dollars."),
    "rpm_limit": or_null(INTEGER),
    "max_parallel_requests": or_null(INTEGER),
    "expires": or_null(_DATE),
    "blocked": FLAG,
    "metadata": {"type": "object"},
    "tags": list_of(TEXT),
    "user_id": or_null(TEXT),
    "team_id": or_null(TEXT),
    "created_at": _DATE,
    "updated_at": _DATE,
    "last_active": or_null(_DATE),
}


def key_schemas() -> dict[str, Schema]:
    """Return the schemas of answers by name."""
    shown = said(TEXT, "The key itself, which is shown this once.")
    given = said(TEXT, "What the request has named the key by; of a key itself, its end.")
    return {
        "Key": record(_ROW),
        "NewKey": record({"key": shown, **_ROW, "token_id": TEXT, "warnings": _WARNINGS}),
        "ChangedKey": record({"key": given, **_ROW, "warnings": _WARNINGS}),
        "KeyInfo": record({"key": given, "info": ref("Key")}),
        "DeletedKeys": record({"deleted_keys": list_of(TEXT)}),
        "KeyList": record(
            {
                "keys": list_of({"anyOf": [TEXT, ref("Key")]}),
                "total_count": INTEGER,
                "current_page": INTEGER,
                "total_pages": INTEGER,
            }
        ),
    }
