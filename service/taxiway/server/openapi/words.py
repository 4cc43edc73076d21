"""The few shapes that the schemas of this API are put together from."""

from collections.abc import Iterable, Mapping
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
DATE: Schema = {"type": "number", "description": "In Unix seconds."}
JOB_ID: Schema = {"type": "string", "pattern": "^job_[0-9A-Za-z]+$"}


def said(schema: Schema, description: str) -> Schema:
    """Return a schema with its sentence."""
    return {**schema, "description": description}


def or_null(schema: Schema) -> Schema:
    """Return a schema that takes null too, which stands for what is not known or not there yet."""
    kind = schema.get("type")
    if isinstance(kind, str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    description = {"description": schema["description"]} if "description" in schema else {}
    inner = {name: value for name, value in schema.items() if name != "description"}
    return {"anyOf": [inner, {"type": "null"}], **description}


def one_of(words: Iterable[str]) -> Schema:
    """Return the schema of a closed set of words."""
    return {"type": "string", "enum": [str(word) for word in words]}


def only(word: str) -> Schema:
    """Return the schema of a word that is always the same."""
    return {"type": "string", "const": word}


def list_of(items: Schema, **limits: int) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items, **limits}


def record(fields: Mapping[str, Schema], *, optional: Iterable[str] = ()) -> Schema:
    """Return the schema of an object. Every field is there, but for those that are `optional`."""
    absent = set(optional)
    return {
        "type": "object",
        "properties": dict(fields),
        "required": [name for name in fields if name not in absent],
    }


def ref(name: str) -> Schema:
    """Return the schema that is kept under a name."""
    return {"$ref": f"#/components/schemas/{name}"}
