"""The caller's own notes on a job: kept with it, shown with it, and understood by nobody here."""

from collections.abc import Mapping
from typing import Any

import orjson

from taxiway.errors import BadRequestError
from taxiway.server.json_bodies import field_name

#: OpenAI takes 16 entries; LiteLLM's clients bring theirs along.
ENTRIES_MAX = 64
KEY_CHARS_MAX = 64

#: It travels with every event of the job, to every viewer.
BYTES_MAX = 8_192

ACCEPTED = "a flat object of texts, numbers, booleans and lists of texts"


def check_metadata(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metadata. Raises `BadRequestError` naming the entry that is not flat, or the limit."""
    if len(metadata) > ENTRIES_MAX:
        raise _refused("metadata", f"may have at most {ENTRIES_MAX} entries")
    for key, value in metadata.items():
        if len(key) > KEY_CHARS_MAX:
            raise _refused("metadata", f"may have keys of at most {KEY_CHARS_MAX} characters")
        if not _is_flat(value):
            raise _refused(
                field_name(["metadata", key]),
                "must be a text, a number, a boolean or a list of texts",
            )
    if len(orjson.dumps(metadata)) > BYTES_MAX:
        raise _refused("metadata", f"may take at most {BYTES_MAX} bytes as JSON")
    return metadata


def _is_flat(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    return value is None or isinstance(value, str | int | float | bool)


def _refused(name: str, what: str) -> BadRequestError:
    return BadRequestError(f"`{name}` {what}.", param=name)
