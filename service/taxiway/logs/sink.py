"""Where lines go: a queue and a thread that writes, so that a reader who stalls never stalls the event loop."""

import os
import select
import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import BinaryIO

#: Lines in memory before unimportant ones are given up: some five megabytes.
CAPACITY = 10_000

#: Lines written in one call, at most.
_BATCH = 500

#: The pause after a batch. Waking the writer for a line costs more than making the line does; what comes meanwhile
#: goes out together. The first line after a silence goes out at once, and so do warnings and errors.
_PAUSE_S = 0.05

#: How long a stopping process waits for a reader to take the last lines.
CLOSE_TIMEOUT_S = 2.0


class Sink:
    """Takes finished lines from any thread, and never blocks.

    When `capacity` lines wait, further ones at debug and info are dropped, and counted by a call of `dropped`
    with their number, from whichever thread meets them. Warnings and errors are always kept.
    """

    def __init__(
        self, stream: BinaryIO, *, dropped: Callable[[int], None], capacity: int = CAPACITY
    ) -> None:
        self._dropped = dropped
        self._capacity = capacity
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._closed = False
        self._hurry = threading.Event()
        self._write, self._release = _writer(stream)
        # A daemon: a process must be able to end while nobody reads.
        self._thread = threading.Thread(target=self._run, name="taxiway-logs", daemon=True)
        self._thread.start()

    # The methods of a logger, as structlog calls it

    def info(self, line: bytes) -> None:
        """Take a line that may be dropped."""
        if self._closed or self._queue.qsize() >= self._capacity:
            self._dropped(1)
        else:
            self._queue.put(line)

    def warning(self, line: bytes) -> None:
        """Take a line that must be written."""
        if self._closed:
            self._dropped(1)
        else:
            self._queue.put(line)
            self._hurry.set()

    debug = info
    error = warning

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> bool:
        """Write what waits, for at most `timeout_s`, and stop. Returns whether all was written."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._hurry.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        more = True
        while more:
            lines, more = self._next()
            try:
                self._write(b"".join(lines))
            except (OSError, ValueError):  # the reader is gone; the service is not
                self._dropped(len(lines))
            if more and len(lines) < _BATCH:
                self._hurry.wait(_PAUSE_S)
            self._hurry.clear()
        self._release()

    def _next(self) -> tuple[list[bytes], bool]:
        lines: list[bytes] = []
        line = self._queue.get()
        while line is not None:
            lines.append(line)
            if len(lines) == _BATCH:
                return lines, True
            try:
                line = self._queue.get_nowait()
            except Empty:
                return lines, True
        return lines, False


def _writer(stream: BinaryIO) -> tuple[Callable[[bytes], object], Callable[[], None]]:
    """Return how to write to a stream, and how to let go of it.

    A real file is written through a descriptor of our own: the stream's lock could be held by this thread when
    the interpreter ends, and its number could by then belong to another file.
    """
    try:
        descriptor = os.dup(stream.fileno())
    except OSError:  # a stream in memory
        return stream.write, lambda: None
    return partial(_write_all, descriptor), partial(os.close, descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # somebody who shares the pipe has made it non-blocking
            select.select([], [descriptor], [])
