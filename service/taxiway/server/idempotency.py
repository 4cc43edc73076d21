"""How the same request is known when it is asked again: by its key, or by what it asks for.

OpenAI's SDKs repeat a POST whose answer they did not get, without saying that it is the same one. They count
their repeats, though, and a repeat asks for exactly what the first request asked for.
"""

import hashlib
import re
from collections.abc import Mapping

import orjson

from taxiway.errors import BadRequestError
from taxiway.jobs import GenerationRequest
from taxiway.protocols import Caller, Origin

_KEY = re.compile(r"[ -~]{1,255}")
_COUNT = re.compile(r"[0-9]{1,3}")


def read_origin(
    headers: Mapping[str, str], request: GenerationRequest, *, waits: bool, scope: str = ""
) -> Origin:
    """Return by what a request is known again. `waits`: its caller holds the connection for the image.

    Raises `BadRequestError` (`invalid_idempotency_key`) for a key that is none.
    """
    return Origin(
        scope=scope,
        key_hash=_key_hash(headers.get("Idempotency-Key")),
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
    return hashlib.sha256(document).hexdigest()


def _key_hash(key: str | None) -> str | None:
    """Return the digest of a key; the standard's quoted form and the bare one are the same key."""
    if key is None:
        return None
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise BadRequestError(
            "An Idempotency-Key has 1 to 255 printable ASCII characters.",
            code="invalid_idempotency_key",
            param="Idempotency-Key",
        )
    return hashlib.sha256(key.encode()).hexdigest()
