"""What a request for a file asks for: whether it has changed, or a part of it (RFC 9110, sections 13 and 14).

One range is served; several at once are answered with the whole, as the RFC allows.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """By what a client recognises a file that it has already."""

    etag: str
    """With its quotes."""
    modified_at: float
    """In Unix seconds."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that tell a client."""
        date = datetime.fromtimestamp(int(self.modified_at), UTC)
        return {"ETag": self.etag, "Last-Modified": format_datetime(date, usegmt=True)}

    def known(self, headers: Mapping[str, str]) -> bool:
        """Return whether a client says that it has this very version."""
        tags = headers.get("If-None-Match")
        if tags is not None:
            known = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
            return "*" in known or self.etag in known
        since = _date(headers.get("If-Modified-Since"))
        return since is not None and int(self.modified_at) <= since

    def meant(self, headers: Mapping[str, str]) -> bool:
        """Return whether a range is meant of this version: `If-Range` guards against pieces of two files."""
        guard = headers.get("If-Range")
        if guard is None or guard == self.etag:
            return True
        return _date(guard) == int(self.modified_at)


def read_range(value: str | None, length: int) -> range | None:
    """Return the bytes that a `Range` asks for of a file of some length, None where it asks for the whole.

    A part that lies behind the end is an empty range.
    """
    found = _RANGE.fullmatch(value.strip()) if value else None
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        return range(max(0, length - int(found[2])), length)
    start, stop = int(found[1]), int(found[2]) + 1 if found[2] else length
    if stop <= start < length:
        return None  # ends before it begins: no range at all
    return range(start, min(stop, length))


def _date(text: str | None) -> int | None:
    try:
        return None if text is None else int(parsedate_to_datetime(text).timestamp())
    except ValueError:
        return None
