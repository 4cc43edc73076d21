"""What was asked of the sandbox, for tests to look at."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

#: Strings beyond this, data URIs above all, are kept by their beginning and their length.
_LONGEST_STRING = 2_000

_SECRET_HEADERS = frozenset(("authorization", "cookie", "x-api-key", "api-key"))


@dataclass(slots=True, kw_only=True, eq=False)
class RequestRecord:
    """One request. `status` is None until it is answered, and stays so where the connection was cut."""

    method: str
    path: str
    at: float
    """The loop's seconds."""
    date: float
    """Unix seconds."""
    raw_headers: Mapping[str, str] = field(repr=False)
    body: Any = None
    status: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Its headers, names in lower case, without those that carry a key."""
        return {
            name.lower(): value
            for name, value in self.raw_headers.items()
            if name.lower() not in _SECRET_HEADERS
        }

    def as_json(self) -> dict[str, Any]:
        """Return it for the control route."""
        return {
            "method": self.method,
            "path": self.path,
            "at": self.at,
            "date": self.date,
            "headers": self.headers,
            "body": self.body,
            "status": self.status,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A key that was shown where it must not be."""

    path: str
    at: float


class RequestLog:
    """The latest requests, oldest first. A sequence, as far as tests need one."""

    def __init__(self, *, size: int) -> None:
        self._records: deque[RequestRecord] = deque(maxlen=size)
        self.total = 0

    def __iter__(self) -> Iterator[RequestRecord]:
        return iter(tuple(self._records))

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> RequestRecord:
        return self._records[index]

    def add(self, request: web.Request, *, at: float, date: float) -> RequestRecord:
        """Record a request that has just arrived."""
        record = RequestRecord(
            method=request.method,
            path=request.rel_url.path,
            at=at,
            date=date,
            raw_headers=request.headers,
        )
        self._records.append(record)
        self.total += 1
        return record


def shortened(value: Any) -> Any:
    """Return a decoded body without its longest strings."""
    if isinstance(value, str) and len(value) > _LONGEST_STRING:
        return f"{value[:64]}… ({len(value)} characters)"
    if isinstance(value, list):
        return [shortened(each) for each in value]
    if isinstance(value, dict):
        return {key: shortened(each) for key, each in value.items()}
    return value
