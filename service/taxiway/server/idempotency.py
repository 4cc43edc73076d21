"""How the same request is known when it is asked again: by its key, or by what it asks for.

OpenAI's SDKs repeat a POST whose answer they did not get, without saying that it is the same one. They count
their repeats, though, and a repeat asks for exactly what the first request asked for.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence

import orjson
from multidict import MultiMapping

from taxiway.errors import BadRequestError
from taxiway.jobs import GenerationRequest
from taxiway.origins import Caller, Origin

_NAME = "Idempotency-Key"
_KEY = re.compile(r"[ -~]{1,255}")
_UNSAID = b',"drop_params":null}'
_COUNT = re.compile(r"[0-9]{1,3}")


def read_origin(
    headers: MultiMapping[str], request: GenerationRequest, *, waits: bool, scope: str = ""
) -> Origin:
    """Return by what a request is known again. `waits`: its caller holds the connection for the image.

    Raises `BadRequestError` (`invalid_idempotency_key`) for a key that is none, and for two of them.
    """
    return Origin(
        scope=scope,
        key_hash=_key_hash(headers.getall(_NAME, ())),
        fingerprint=fingerprint(request),
        caller=Caller.WAITING if waits else Caller.ANSWERED,
    )


def read_retry_count(headers: Mapping[str, str]) -> int:
    """Return which repeat of a request this is by its SDK's own count, 0 for the first or an unknown client."""
    text = headers.get("x-stainless-retry-count", "")
    return int(text) if _COUNT.fullmatch(text) else 0


def fingerprint(request: GenerationRequest) -> str:
    """Return the digest of what is asked for: of its meaning, not of the bytes it came in."""
    document = orjson.dumps(request, option=orjson.OPT_SORT_KEYS)
    if document.endswith(_UNSAID):
        # Jobs that are stored already were made before there was this field.
        document = document[: -len(_UNSAID)] + b"}"
    return hashlib.sha256(document).hexdigest()


def _key_hash(keys: Sequence[str]) -> str | None:
    """Return the digest of the key; the standard's quoted form and the bare one are the same key."""
    if not keys:
        return None
    if len(keys) > 1:
        raise _refused("`Idempotency-Key` may be given once.")
    (key,) = keys
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise _refused("An Idempotency-Key has 1 to 255 printable ASCII characters.")
    return hashlib.sha256(key.encode()).hexdigest()


def _refused(why: str) -> BadRequestError:
    return BadRequestError(why, code="invalid_idempotency_key", param=_NAME)
