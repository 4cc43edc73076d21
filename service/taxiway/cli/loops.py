"""The loop for what runs long, and the signals that end it."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_fast(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on uvloop, or on the standard loop where there is none (Windows)."""
    with asyncio.Runner(loop_factory=_fast_loop) as runner:
        return runner.run(work)


async def until_told(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine until it ends or a signal asks to stop; a stop that was asked for is no failure."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    told = False

    def stop() -> None:
        nonlocal told
        told = True
        task.cancel()

    for number in _SIGNALS:
        with suppress(NotImplementedError):  # Windows: Ctrl-C ends the loop by itself
            loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not told:
            raise
    finally:
        for number in _SIGNALS:
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)


def _fast_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
