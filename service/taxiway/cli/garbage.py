"""The garbage collector, told what kind of program it works for.

A service loads a few hundred thousand objects once and keeps them; every job then adds some hundreds that live as
long as it does. Collecting at the interpreter's usual pace costs a tenth of the service's time and finds next to
nothing, since what a job leaves behind is freed without it.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Objects made and not yet freed before the youngest are looked at; that often before the next, and the whole.
_PACE = (10_000, 20, 50)


def make_room() -> None:
    """Free what imports have left behind, for what comes next: a megabyte, for some milliseconds."""
    gc.collect()


@contextmanager
def rarely_collecting() -> Iterator[Callable[[], None]]:
    """Collect nothing until the yielded function is called, which says that all is loaded; then, rarely."""
    before = gc.get_threshold()
    gc.disable()

    def loaded() -> None:
        gc.freeze()
        gc.set_threshold(*_PACE)
        gc.enable()

    try:
        yield loaded
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
        gc.enable()
