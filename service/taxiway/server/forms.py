"""A multipart form as the JSON body it stands for, and its files.

All fields of a form are text. One that JSON has as a number, a truth value or an object is read as such; whether
it fits is decided by the same model that reads JSON, in the same words.
"""

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from types import UnionType
from typing import IO, Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

import orjson
from aiohttp import ClientError, web
from aiohttp.http import HttpProcessingError

from taxiway.errors import BadRequestError
from taxiway.server.bodies import GenerationBody
from taxiway.server.json_bodies import (
    BODY_TIMEOUT_S,
    check_encoding,
    field_name,
    parse_object,
    too_large,
)

#: The fields that may be files, and may come more than once.
FILES = ("image", "mask")

#: What aiohttp raises for parts it cannot read: headers, encodings, a missing end.
_BROKEN = (
    *(ValueError, LookupError, RuntimeError),
    *(ClientError, HttpProcessingError, web.RequestPayloadError),
)

_NESTED = re.compile(r"(\w+)\[(\w+)\]", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form, read: its fields as JSON would have them, and its files by field, in their order."""

    document: dict[str, Any]
    files: tuple[tuple[str, IO[bytes]], ...]


async def read_form(request: web.Request) -> Form:
    """Return the form in a request's body. Large files lie on the disk until the request has ended.

    Raises `BadRequestError` that says what is wrong with it, `RequestTooLargeError` past the limit.
    """
    check_encoding(request)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            parts = await request.post()
    except web.HTTPRequestEntityTooLarge as error:
        if request.content.total_bytes <= request.client_max_size:
            # aiohttp refuses a form in more than a thousand parts with the same exception.
            raise _invalid("The form has far more parts than there are fields.") from error
        raise too_large(request) from error
    except TimeoutError as error:
        raise _invalid(f"The body did not arrive within {BODY_TIMEOUT_S:.0f} seconds.") from error
    except _BROKEN as error:
        raise _invalid("The body is not the multipart form that its headers promise.") from error
    fields: dict[str, Any] = {}
    files: list[tuple[str, IO[bytes]]] = []
    for name, part in parts.items():
        field = name.removesuffix("[]")
        if isinstance(part, str):
            _put(fields, name, part)
        elif field not in FILES:
            shown = field_name([name])
            raise BadRequestError(f"`{shown}` must be text, not a file.", param=shown)
        elif isinstance(part, web.FileField):
            files.append((field, part.file))
        else:  # bytes of an image without a file's name
            files.append((field, BytesIO(part)))
    # Once more through the reader of JSON, which knows what nobody behind could take.
    return Form(document=parse_object(orjson.dumps(fields)), files=tuple(files))


def _put(fields: dict[str, Any], name: str, text: str) -> None:
    """Put a field where JSON has it: `a[]` is one of a list, `a[b]` one of an object."""
    nested = _NESTED.fullmatch(name)
    field = nested[1] if nested else name.removesuffix("[]")
    there = fields.get(field)
    if nested and isinstance(there, dict | None) and nested[2] not in (there or {}):
        fields[field] = {**(there or {}), nested[2]: text}
    elif not nested and (field in FILES or name != field) and isinstance(there, list | None):
        fields[field] = [*(there or ()), text]
    elif there is None:
        fields[field] = _value(field, text)
    else:
        shown = field_name([field])
        raise BadRequestError(
            f"The form has `{shown}` twice; once is accepted.", code="invalid_body", param=shown
        )


def _value(field: str, text: str) -> object:
    """Return what a text stands for. One that does not fit its field stays text, and is refused as such."""
    known = field in GenerationBody.model_fields
    if field in _TYPED or (not known and text in ("true", "false")):
        with suppress(ValueError, RecursionError):
            return json.loads(text, parse_constant=_no_constant)
    return text


def _no_constant(word: str) -> NoReturn:
    raise ValueError(word)


def _takes_text(annotation: object) -> bool:
    if get_origin(annotation) is Literal:
        return all(isinstance(word, str) for word in get_args(annotation))
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return any(_takes_text(each) for each in get_args(annotation))
    return annotation is str


#: The fields that are no text in JSON.
_TYPED = frozenset(
    name for name, field in GenerationBody.model_fields.items() if not _takes_text(field.annotation)
)


def _invalid(message: str) -> BadRequestError:
    return BadRequestError(message, code="invalid_body")
