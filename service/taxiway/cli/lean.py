"""What a process that stays for months need not hold in memory."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast


@contextmanager
def without(name: str) -> Iterator[None]:
    """Let imports go without an optional module while the context lasts; one that is loaded already is used."""
    modules = cast("dict[str, Any]", sys.modules)
    if name in modules:
        yield
        return
    modules[name] = None  # the interpreter's own way to say that there is none
    try:
        yield
    finally:
        del modules[name]
