"""What the `/key` routes take and give."""

from collections.abc import Mapping
from types import MappingProxyType

from taxiway.server import key_routes
from taxiway.server.key_queries import ORDERS, SIZE_DEFAULT, SIZE_MAX, SORTABLE, STATUSES
from taxiway.server.middleware import Handler
from taxiway.server.openapi.parameters import Parameter, in_query
from taxiway.server.openapi.shapes import Answer, Operation, json_of
from taxiway.server.openapi.words import INTEGER, TEXT, one_of

#: The query of the list; its names are those of `key_queries.PARAMETERS`.
LIST: tuple[Parameter, ...] = (
    in_query("page", {**INTEGER, "minimum": 1, "maximum": 1_000_000, "default": 1}, "Which page."),
    in_query(
        "size",
        {**INTEGER, "minimum": 1, "maximum": SIZE_MAX, "default": SIZE_DEFAULT},
        "How many keys are on a page.",
    ),
    in_query("status", one_of(STATUSES), "Only such keys; deleted ones are listed only so."),
    in_query("key_hash", TEXT, "Only the key with this `token`."),
    in_query("key_alias", TEXT, "Only the key with this alias."),
    in_query("user_id", TEXT, "Only keys of this user."),
    in_query("team_id", TEXT, "Only keys of this team."),
    in_query("search", TEXT, "Only keys with this in their alias or their name."),
    in_query("sort_by", one_of(SORTABLE), "What decides the order."),
    in_query("sort_order", one_of(ORDERS), "Downwards, or upwards."),
    in_query("return_full_object", one_of(("true", "false")), "Whether all of each key is sent."),
)

_KEY = in_query("key", TEXT, "A key, or its `token`; without it the caller's own.")


def _operation(says: str, answer: str, body: str | None = None, *errors: int) -> Operation:
    return Operation(
        tag="Keys",
        body=None if body is None else json_of(body),
        answers={200: Answer(says=says, content=json_of(answer))},
        errors=(403, *errors),
    )


KEYS: Mapping[Handler, Operation] = MappingProxyType(
    {
        key_routes.generate_key: _operation("The key.", "NewKey", "KeyGenerateBody", 413),
        key_routes.update_key: _operation(
            "The key as it is now.", "ChangedKey", "KeyUpdateBody", 404, 413
        ),
        key_routes.delete_keys: _operation(
            "What was deleted.", "DeletedKeys", "KeyDeleteBody", 404, 413
        ),
        key_routes.regenerate_key: _operation(
            "The key, with its new secret.", "NewKey", "KeyBody", 404, 413
        ),
        key_routes.block_key: _operation("The key.", "Key", "KeyBody", 404, 413),
        key_routes.unblock_key: _operation("The key.", "Key", "KeyBody", 404, 413),
        key_routes.get_key_info: Operation(
            tag="Keys",
            parameters=(_KEY,),
            answers={200: Answer(says="The key.", content=json_of("KeyInfo"))},
            errors=(403, 404),
        ),
        key_routes.list_keys: Operation(
            tag="Keys",
            parameters=LIST,
            answers={200: Answer(says="A page of keys.", content=json_of("KeyList"))},
            errors=(403,),
        ),
    }
)
