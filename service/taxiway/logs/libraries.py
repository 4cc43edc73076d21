"""Lines of the libraries, which speak through the standard `logging`, turned into ours."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from taxiway.logs.names import Level, Name

#: Takes a line: its name, its level, its fields.
Write = Callable[[Name, Level, dict[str, object]], None]


class _Bridge(logging.Handler):
    def __init__(self, write: Write) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        level = Level.ERROR if record.levelno >= logging.ERROR else Level.WARNING
        fields: dict[str, object] = {
            "logger": record.name,
            "message": record.getMessage(),
            "exc_info": record.exc_info,
        }
        self._write(Name.LIBRARY_MESSAGE, level, fields)


@contextmanager
def captured(write: Write) -> Iterator[None]:
    """Hand the root logger's lines from warning upwards to `write` while the context lasts.

    Never those below: at info, SQLAlchemy shows statements with their parameters, and aiohttp every request.
    """
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = [_Bridge(write)]
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
