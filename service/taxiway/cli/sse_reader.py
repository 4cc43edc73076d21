"""Server-sent events out of bytes, by the rules of the HTML standard, section 9.2.6.

Bytes come in chunks that end anywhere: in a line, in a character, between a CR and its LF.
"""

import re
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One event. `event` is `message` where the stream gave no name."""

    event: str
    data: str


class SSEReader:
    """Reads one stream; a new connection takes a new reader."""

    def __init__(self, *, last_id: str | None = None) -> None:
        self.last_id = last_id
        """What to send as `Last-Event-ID`: it stays until the stream gives another."""
        self.retry_s: float | None = None
        """How long the stream asks to wait before a new connection, in seconds."""
        self._rest = b""
        self._after_cr = False
        self._first_line = True
        self._event = ""
        self._data: list[str] = []
        self._id = last_id

    def feed(self, chunk: bytes) -> list[Frame]:
        """Take the next bytes and return the events they complete. An unfinished event waits for more."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        *lines, self._rest = _LINE_END.split(self._rest + chunk)
        return [frame for line in lines if (frame := self._take(line)) is not None]

    def _take(self, line: bytes) -> Frame | None:
        if self._first_line:
            line = line.removeprefix(_BOM)
            self._first_line = False
        if not line:
            return self._dispatch()
        name, _, value = line.decode("utf-8", errors="replace").partition(":")
        self._field(name, value.removeprefix(" "))
        return None

    def _field(self, name: str, value: str) -> None:
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_s = int(value) / 1000

    def _dispatch(self) -> Frame | None:
        self.last_id = self._id
        event, data = self._event or "message", self._data
        self._event, self._data = "", []
        return Frame(event=event, data="\n".join(data)) if data else None
