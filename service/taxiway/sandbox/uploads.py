"""Files that callers upload in order to refer to them: a placeholder first, then the bytes."""

import re
import secrets
from dataclasses import dataclass, field

from taxiway.sandbox.zod import (
    UNDEFINED,
    Issue,
    not_listed,
    too_big,
    too_small,
    wrong_format,
    wrong_type,
)

_LIFE_S = 86_400.0
SMALLEST_BYTES, LARGEST_BYTES = 512, 200_000_000
_NAME_MIN, _NAME_MAX = 3, 255
_MEDIA = re.compile(r".+\.(jpe?g|png|webp|gif|mp4|mov|webm|mkv|avi|mp3|wav|flac|m4a|aac|ogg)", re.I)


@dataclass(slots=True, kw_only=True)
class Upload:
    """One placeholder, and its bytes once they have come."""

    id: str
    filename: str
    expires_at: float
    """In the vendor's seconds."""
    fields: dict[str, str]
    content: bytes | None = field(default=None, repr=False)

    @property
    def uri(self) -> str:
        """What a create body calls it."""
        return f"runway://{self.id}"


class Uploads:
    """The placeholders that were given out."""

    def __init__(self) -> None:
        self._by_id: dict[str, Upload] = {}

    def open(self, filename: str, *, now: float) -> Upload:
        """Give out a placeholder, good for a day."""
        token = secrets.token_urlsafe(24)
        fields = {
            "key": f"ephemeral/{token}/{filename}",
            "policy": secrets.token_urlsafe(32),
            "x-amz-signature": secrets.token_hex(32),
        }
        upload = Upload(id=token, filename=filename, expires_at=now + _LIFE_S, fields=fields)
        self._by_id[token] = upload
        return upload

    def find(self, token: str, *, now: float) -> Upload | None:
        """Return a placeholder that has not expired."""
        upload = self._by_id.get(token)
        return upload if upload is not None and now < upload.expires_at else None


def upload_issues(body: object) -> list[Issue]:
    """Return what is wrong with the body that asks for a placeholder."""
    if not isinstance(body, dict):
        return [wrong_type("object", body, path=())]
    issues = _name_issues(body.get("filename", UNDEFINED))
    if body.get("type") != "ephemeral":
        issues.append(not_listed(("ephemeral",), path=("type",)))
    return issues


def _name_issues(name: object) -> list[Issue]:
    path = ("filename",)
    if not isinstance(name, str):
        return [wrong_type("string", name, path=path)]
    if len(name) < _NAME_MIN:
        return [too_small("string", _NAME_MIN, path=path)]
    if len(name) > _NAME_MAX:
        return [too_big("string", _NAME_MAX, path=path)]
    return [] if _MEDIA.fullmatch(name) else [wrong_format(f"/^{_MEDIA.pattern}$/i", path=path)]
