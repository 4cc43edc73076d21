"""Who may come in: the master key, or a virtual one, in whichever header the caller's program puts it.

The key is read here and goes nowhere else but to the key ring: not to the vendor, not into a log.
"""

import hmac

from multidict import CIMultiDictProxy

from taxiway.errors import AuthenticationError
from taxiway.keyring import KeyRing
from taxiway.server.identity import MASTER, Identity
from taxiway.settings import Secret, Settings

#: Where programs put a key without `Bearer`, the first one that is present counting.
BARE_HEADERS = ("api-key", "x-api-key", "x-goog-api-key", "Ocp-Apim-Subscription-Key")


async def identify(
    headers: CIMultiDictProxy[str], settings: Settings, keyring: KeyRing
) -> Identity:
    """Return who asks; without a master key, everybody may do everything.

    Raises `AuthenticationError`: `missing_api_key`, `invalid_api_key`, `expired_key`, `key_blocked`.
    """
    if settings.master_key is None:
        return MASTER
    key = _needed_key(headers, settings.key_header)
    if same_secret(key, settings.master_key):
        return MASTER
    return Identity(key=await keyring.find(key))


def check_master(headers: CIMultiDictProxy[str], settings: Settings) -> None:
    """Raise `AuthenticationError` for whoever does not show the master key; without one, nobody has to."""
    if settings.master_key is None:
        return
    if not same_secret(_needed_key(headers, settings.key_header), settings.master_key):
        raise AuthenticationError("This needs the master key.")


def shows_key(headers: CIMultiDictProxy[str], settings: Settings) -> bool:
    """Return whether a request shows a key at all. Raises `AuthenticationError` for an unreadable one."""
    return bool(_shown_key(headers, settings.key_header))


def same_secret(shown: str, secret: Secret) -> bool:
    """Return whether a text is a secret, in a time that does not depend on it."""
    return hmac.compare_digest(_bytes(shown), _bytes(secret.reveal()))


def _shown_key(headers: CIMultiDictProxy[str], key_header: str | None) -> str:
    """Return the key a request shows, by LiteLLM's precedence; a header that is empty counts as absent."""
    if key_header is not None:
        return _bearer(headers.get(key_header, "")) or ""
    bare = headers.get("x-litellm-api-key", "").strip()
    if key := (bare if (bearer := _bearer(bare)) is None else bearer):
        return key
    authorization = headers.get("Authorization", "").strip()
    if authorization and _bearer(authorization) is None:
        raise AuthenticationError("`Authorization` must be `Bearer <key>`.")
    bares = (headers.get(name, "").strip() for name in BARE_HEADERS)
    return _bearer(authorization) or next(filter(None, bares), "")


def _needed_key(headers: CIMultiDictProxy[str], key_header: str | None) -> str:
    key = _shown_key(headers, key_header)
    if not key:
        where = key_header or "Authorization"
        raise AuthenticationError(
            f"An API key is required, as `{where}: Bearer <key>`.", code="missing_api_key"
        )
    return key


def _bearer(value: str) -> str | None:
    """Return the key of `Bearer <key>`, None for a value of another form."""
    scheme, _, key = value.strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def _bytes(text: str) -> bytes:
    # Headers may hold bytes that are not UTF-8; aiohttp keeps them as surrogates.
    return text.encode("utf-8", "surrogateescape")
