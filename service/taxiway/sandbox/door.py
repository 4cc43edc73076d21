"""Who may come in: the key, then the version, in the vendor's order."""

import re

from aiohttp import web

from taxiway.sandbox import answers
from taxiway.sandbox.answers import Answer
from taxiway.sandbox.settings import SandboxSettings

VERSION = "2024-11-06"
_STRICT_KEY = re.compile(r"key_[0-9a-f]{128}")


def refused(request: web.Request, *, settings: SandboxSettings) -> Answer | None:
    """Return why a request is turned away at the door, or None."""
    if not _key_accepted(request.headers.get("Authorization", ""), settings):
        return answers.unauthorized()
    version = request.headers.get("X-Runway-Version")
    if version is None:
        return answers.version_missing()
    return None if version == VERSION else answers.version_wrong()


def shows_key(request: web.Request) -> bool:
    """Return whether a request carries a key."""
    return "Authorization" in request.headers


def _key_accepted(header: str, settings: SandboxSettings) -> bool:
    scheme, _, key = header.partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        return False
    if settings.strict_keys and not _STRICT_KEY.fullmatch(key):
        return False
    return not settings.api_keys or key in settings.api_keys
