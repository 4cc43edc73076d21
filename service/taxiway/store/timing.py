"""How long the store's operations take, for whoever asked to know."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Is told an operation, a method of `JobStore` or `commit`, and its duration in seconds.
Observe = Callable[[str, float], None]


@contextmanager
def timed(observe: Observe | None, operation: str) -> Iterator[None]:
    """Report the time spent in the block, also when it raises."""
    if observe is None:
        yield
        return
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        yield
    finally:
        observe(operation, loop.time() - began)
