"""What requests carry, as the models say that check them.

Two things of a body are true that its model does not say: a field that is null counts as absent, and whatever
is not listed is asked of the model that makes the image.
"""

from typing import Any

from pydantic import BaseModel

from taxiway.server.bodies import GenerationBody, ReferenceBody
from taxiway.server.key_bodies import KeyBody, KeyDeleteBody, KeyGenerateBody, KeyUpdateBody
from taxiway.server.minting import TokenBody
from taxiway.server.openapi.words import Schema, list_of, or_null, said
from taxiway.server.webhooks.bodies import WebhookBody

#: The models whose fields may be null.
_FORGIVING = (GenerationBody,)


_KEY_BODIES = (KeyGenerateBody, KeyUpdateBody, KeyDeleteBody, KeyBody)


def body_schemas(examples: list[str]) -> dict[str, Schema]:
    """Return the schemas of bodies by name. `examples` are names of models that are on offer."""
    found: dict[str, Schema] = {}
    for model in (GenerationBody, ReferenceBody, WebhookBody, TokenBody, *_KEY_BODIES):
        found[model.__name__] = _schema_of(model)
    model_field = found["GenerationBody"]["properties"]["model"]
    if examples:
        model_field["examples"] = examples
    found["EditForm"] = _form(found["GenerationBody"])
    found["EditBody"] = _edit_body(found["GenerationBody"])
    return found


def _schema_of(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    schema["description"] = (model.__doc__ or "").strip()
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        field.pop("title", None)
        if model in _FORGIVING and name not in required:
            schema["properties"][name] = _absent_or(field)
    return schema


def _absent_or(field: Schema) -> Schema:
    if any(each == {"type": "null"} for each in field.get("anyOf", ())):
        return field
    return or_null(field)


def _form(body: Schema) -> Schema:
    """Return the form of an edit: files, and the fields of a generation, which a form has as text."""
    file: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
    fields: dict[str, Any] = {
        "image": said(file, "The image to begin with: PNG, JPEG or WebP. Several are `image[]`."),
        "mask": said(file, "Where the first image may be changed, for models that take one."),
        **body["properties"],
    }
    return {
        "type": "object",
        "description": "What `POST /v1/images/edits` takes as a form, with OpenAI's fields.",
        "properties": fields,
        "required": ["image", "model", "prompt"],
    }


def _edit_body(body: Schema) -> Schema:
    """Return the JSON of an edit: the images as addresses."""
    address: Schema = {"type": "string", "description": "https://…, runway://… or data:…"}
    entry: Schema = {
        "anyOf": [
            address,
            {
                "type": "object",
                "properties": {"image_url": address},
                "required": ["image_url"],
            },
        ]
    }
    fields = {"images": list_of(entry), "image": entry, "mask": entry, **body["properties"]}
    return {
        "type": "object",
        "description": "What `POST /v1/images/edits` takes as JSON: images by their addresses.",
        "properties": fields,
        "required": ["model", "prompt"],
    }
