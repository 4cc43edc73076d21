"""Tokens for browsers: an `EventSource` sends no header, and a key in an address ends up in logs and histories.

A token is good for minutes, for reading, and for the events of the jobs it was made for. It proves all that by
itself: every replica with the same master key knows it, and nothing is stored.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from taxiway.errors import AuthenticationError
from taxiway.settings import Secret

#: What the key of tokens is derived for: a token must prove nothing anywhere else.
_PURPOSE = b"taxiway stream tokens 1"

#: A token outlives the deadline of its jobs by this: their ends are to be seen.
SLACK_S = 60.0

#: However long a job may take, a token that somebody finds should not be worth much.
LIFETIME_MAX_S = 3_600.0

#: Before the jobs: until when it is good, in whole Unix seconds.
_HEAD = struct.Struct(">Q")

#: A hundred ids would not fit into an address twice, so a token names its jobs by so many bytes of a digest.
_NAME_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token allows: the events of some jobs, for a while."""

    expires_at: int
    """In Unix seconds."""
    names: frozenset[bytes]

    def check(self, job_ids: Iterable[str]) -> None:
        """Raise `AuthenticationError` (`invalid_token`) for a job that the token was not made for."""
        for job_id in job_ids:
            if _name(job_id) not in self.names:
                raise AuthenticationError(
                    f"The token was not made for the job {job_id}.", code="invalid_token"
                )


class Tokens:
    """Makes tokens, and knows its own.

    Without a master key everybody is served, whatever they show; then the tokens are of this process only.
    """

    def __init__(self, *, master_key: Secret | None, now: Callable[[], float]) -> None:
        self._now = now
        self._key = secrets.token_bytes(32) if master_key is None else _derived(master_key)

    def expiry(self, deadlines: Iterable[float]) -> int:
        """Return until when a token for jobs with these deadlines is to be good, in whole Unix seconds."""
        now = self._now()
        last = max((now, *deadlines))
        return int(min(last + SLACK_S, now + LIFETIME_MAX_S))

    def mint(self, job_ids: Iterable[str], *, expires_at: int) -> str:
        """Return a token for the events of some jobs."""
        claims = _HEAD.pack(expires_at) + b"".join(map(_name, job_ids))
        return f"{_text(claims)}.{_text(self._signature(claims))}"

    def read(self, token: str) -> Grant:
        """Return what a token allows. Raises `AuthenticationError`: `invalid_token`, `expired_token`."""
        claims_text, _, signature_text = token.partition(".")
        claims, signature = _bytes(claims_text), _bytes(signature_text)
        if not hmac.compare_digest(self._signature(claims), signature):
            raise AuthenticationError("The token is not one of this service.", code="invalid_token")
        (expires_at,) = _HEAD.unpack_from(claims)
        if self._now() >= expires_at:
            raise AuthenticationError(
                "The token has expired; POST /v1/jobs/{id}/token gives a new one.",
                code="expired_token",
            )
        names = claims[_HEAD.size :]
        return Grant(
            expires_at=expires_at,
            names=frozenset(
                names[start : start + _NAME_BYTES] for start in range(0, len(names), _NAME_BYTES)
            ),
        )

    def _signature(self, claims: bytes) -> bytes:
        return hmac.digest(self._key, claims, hashlib.sha256)


def _derived(master_key: Secret) -> bytes:
    secret = master_key.reveal().encode("utf-8", "surrogateescape")
    return hmac.digest(secret, _PURPOSE, hashlib.sha256)


def _name(job_id: str) -> bytes:
    return hashlib.sha256(job_id.encode()).digest()[:_NAME_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Return the bytes of a part of a token; none for a text that is no such part."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return b""
