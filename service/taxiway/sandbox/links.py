"""Signed output URLs: a JSON Web Token in the query, as the vendor's storage wants it."""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Any

import orjson

_HEADER = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()


class Signer:
    """Signs paths for a time, with a key of its own that dies with it."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._signed = 0

    def sign(self, path: str, *, expires: float) -> str:
        """Return a token for a path until a date in Unix seconds; no two are alike."""
        self._signed += 1
        claims = {"path": path, "exp": expires, "jti": self._signed}
        payload = f"{_HEADER}.{_encode(orjson.dumps(claims))}"
        return f"{payload}.{self._signature(payload)}"

    def good(self, token: str, *, path: str, date: float) -> bool:
        """Return whether a token opens a path on a date in Unix seconds."""
        payload, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(payload).encode()):
            return False
        body = payload.partition(".")[2]
        claims: dict[str, Any] = orjson.loads(
            base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        )
        return bool(claims["path"] == path and date < claims["exp"])

    def _signature(self, payload: str) -> str:
        return _encode(hmac.digest(self._key, payload.encode(), hashlib.sha256))


def slug(prompt: str) -> str:
    """Return a prompt as the vendor puts it into a file's name."""
    words = re.sub(r"[^a-z0-9]+", "_", prompt.lower()).strip("_")
    return words[:40].rstrip("_") or "image"


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
