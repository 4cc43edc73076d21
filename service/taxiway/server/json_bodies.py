"""JSON from strangers: read in full, or refused with the reason.

The parser is the standard library's, since it can be told to refuse what others let pass: a key given twice,
`NaN`, a number no computer word holds. What comes out can be stored and printed by everything behind.
"""

import asyncio
import json
import math
from collections.abc import Sequence
from typing import Any, NoReturn

from aiohttp import ClientError, web

from taxiway.errors import BadRequestError, RequestTooLargeError

#: 20 MB at 1.5 Mbit/s. Nobody is kept waiting by a slow sender but the sender.
BODY_TIMEOUT_S = 120.0

#: How a body may be packed.
ENCODINGS = ("identity", "gzip", "deflate")

#: The deepest a body may be nested; what the routes take is three levels deep.
DEPTH_MAX = 16

#: Names of fields are cut to this many characters where they are told back.
NAME_MAX = 64

_INT64 = range(-(2**63), 2**63)


async def read_object(request: web.Request, *, or_form: bool = False) -> dict[str, Any]:
    """Return the JSON object in a request's body. `or_form` says that the address takes a form as well.

    Raises `BadRequestError` that says what is wrong with it, `RequestTooLargeError` past the limit.
    """
    if request.content_type != "application/json":
        # Not a formality: a web page can send any other type here without asking the browser's leave.
        form = "a form, with the header `Content-Type: multipart/form-data`, or " if or_form else ""
        raise BadRequestError(
            f"The body must be {form}JSON, with the header `Content-Type: application/json`.",
            code="unsupported_content_type",
        )
    check_encoding(request)
    return parse_object(await _read(request))


def check_encoding(request: web.Request) -> None:
    """Raise `BadRequestError` for a body that is packed in a way that nobody here unpacks."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ENCODINGS:
        raise BadRequestError(
            f"`Content-Encoding` must be {' or '.join(ENCODINGS)}.",
            code="invalid_body",
            param="Content-Encoding",
        )


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that some bytes hold. Raises `BadRequestError`."""
    if not raw.strip():
        raise _invalid("The body is empty; a JSON object is expected.")
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise _invalid("The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise _invalid(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError as error:
        raise _invalid("The body is nested too deeply.") from error
    except ValueError as error:
        raise _invalid("The body holds a number with thousands of digits.") from error
    if not isinstance(value, dict):
        raise _invalid("The body must be a JSON object.")
    _check(value, ())
    return value


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise too_large(request) from error
    except TimeoutError as error:
        raise BadRequestError(
            f"The body did not arrive within {BODY_TIMEOUT_S:.0f} seconds.", code="invalid_body"
        ) from error
    except (web.RequestPayloadError, ClientError) as error:
        raise BadRequestError(
            "The body does not decode as its headers say.", code="invalid_body"
        ) from error


def too_large(request: web.Request) -> RequestTooLargeError:
    """Return the refusal of a body over the limit, which it names."""
    return RequestTooLargeError(
        f"The body is larger than {request.client_max_size} bytes, the most that is taken."
    )


def field_name(path: Sequence[str | int]) -> str:
    """Return a field's place as `reference_images[0].uri`, safe to print and to send back."""
    name = ""
    for step in path:
        if isinstance(step, int):
            name += f"[{step}]"
            continue
        text = step[:NAME_MAX].encode("utf-8", "replace").decode().replace("\0", "?")
        name += f".{text}" if name else text
    return name


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        name = field_name([twice])
        raise BadRequestError(
            f"The body has `{name}` twice; once is accepted.", code="invalid_json", param=name
        )
    return found


def _refuse_constant(word: str) -> NoReturn:
    raise _invalid(f"The body holds {word}, which is not JSON.")


def _check(value: Any, path: tuple[str | int, ...]) -> None:
    """Refuse what a store or an encoder behind could not take. Large bodies are long strings, not many."""
    if len(path) > DEPTH_MAX:
        raise _refused(path[:1], f"may be nested at most {DEPTH_MAX} levels deep")
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int | float):
        _check_number(value, path)
    elif isinstance(value, dict):
        for key, each in value.items():
            _check_text(key, (*path, key))
            _check(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _check(each, (*path, index))


def _check_number(number: float, path: tuple[str | int, ...]) -> None:
    # What overflows a float has become an infinity.
    if abs(number) == math.inf or (isinstance(number, int) and number not in _INT64):
        raise _refused(path, "must be a number of at most 64 bits")


def _check_text(text: str, path: tuple[str | int, ...]) -> None:
    if "\0" in text:
        raise _refused(path, "must be text without the character U+0000")
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _refused(path, "must be text: it holds half of a surrogate pair") from error


def _refused(path: tuple[str | int, ...], what: str) -> BadRequestError:
    name = field_name(path)
    return BadRequestError(f"`{name}` {what}.", code="invalid_value", param=name)


def _invalid(message: str) -> BadRequestError:
    return BadRequestError(message, code="invalid_json")
