"""How long the store's operations take, for whoever asked to know."""

import asyncio
from collections.abc import Callable
from types import TracebackType

#: Is told an operation, a method of `JobStore` or `commit`, and its duration in seconds.
Observe = Callable[[str, float], None]


class timed:  # noqa: N801 - it is used as the function that it would be, were generators as cheap
    """Report the time spent in the block, also when it raises."""

    __slots__ = ("_began_s", "_observe", "_operation")

    def __init__(self, observe: Observe | None, operation: str) -> None:
        self._observe = observe
        self._operation = operation
        self._began_s = 0.0

    def __enter__(self) -> None:
        self._began_s = asyncio.get_running_loop().time()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._observe is not None:
            self._observe(self._operation, asyncio.get_running_loop().time() - self._began_s)
