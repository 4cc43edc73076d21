"""Where lines go: to a reader who may be slow, or gone, and never at the event loop's expense."""

import asyncio
import io
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

import pytest

from taxiway.logs.sink import Sink

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

pytestmark = pytest.mark.looptime(False)

#: More than a pipe holds (64 KiB) and than the writer takes in one batch, by far.
MANY = 5_000
LINE = b"x" * 99 + b"\n"
CAPACITY = 100


class Writes(io.BytesIO):
    """A stream that counts how often it is written to."""

    count = 0

    def write(self, data: "ReadableBuffer") -> int:
        """Count, and write."""
        self.count += 1
        return super().write(data)


class Pipe:
    """A real pipe whose reader has not begun to read."""

    def __init__(self) -> None:
        self.reading, writing = os.pipe()
        self.stream: BinaryIO = os.fdopen(writing, "wb")
        self.open = True

    def read_all(self) -> bytes:
        """Read until every writer is gone."""
        self.stream.close()
        with os.fdopen(self.reading, "rb") as reader:
            self.open = False
            return reader.read()

    def hang_up(self) -> None:
        """Leave without having read."""
        os.close(self.reading)
        self.open = False


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe that nobody reads yet."""
    pipe = Pipe()
    yield pipe
    with suppress(OSError):
        pipe.stream.close()
    if pipe.open:
        pipe.hang_up()


def counting() -> tuple[list[int], Sink]:
    """A sink into memory, and the list its losses go to."""
    losses: list[int] = []
    return losses, Sink(io.BytesIO(), dropped=losses.append)


def reading(pipe: Pipe) -> tuple[threading.Thread, list[bytes]]:
    """Begin to read a pipe to its end."""
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(pipe.read_all()))
    thread.start()
    return thread, got


def test_lines_keep_their_order() -> None:
    """What is written first is read first, whatever its level."""
    stream = io.BytesIO()
    sink = Sink(stream, dropped=lambda _: None)
    for number in range(2_000):
        (sink.warning if number % 7 == 0 else sink.info)(b"%d\n" % number)
    complete = sink.close()

    assert complete
    assert stream.getvalue() == b"".join(b"%d\n" % number for number in range(2_000))


@pytest.mark.quiet
async def test_a_stalled_reader_does_not_stall_the_loop(pipe: Pipe) -> None:
    """While nobody reads the pipe, writing stays quick and the loop keeps its beat."""
    loop = asyncio.get_running_loop()
    sink = Sink(pipe.stream, dropped=lambda _: None, capacity=CAPACITY)
    slowest_s = 0.0
    for _ in range(MANY // 100):
        began_s = loop.time()
        for _ in range(100):
            sink.info(LINE)
        await asyncio.sleep(0)
        slowest_s = max(slowest_s, loop.time() - began_s)
    thread, _ = reading(pipe)
    sink.close()
    thread.join()

    assert slowest_s < 1.0  # who waited for the reader would wait for ever


def test_what_is_given_up_is_counted(pipe: Pipe) -> None:
    """With a stalled reader every line is either read later or counted as dropped."""
    losses: list[int] = []
    sink = Sink(pipe.stream, dropped=losses.append, capacity=CAPACITY)
    for _ in range(MANY):
        sink.info(LINE)
    thread, got = reading(pipe)
    complete = sink.close(timeout_s=10)
    thread.join()

    assert complete
    assert sum(losses) > 0
    assert len(got[0].splitlines()) + sum(losses) == MANY


def test_warnings_and_errors_are_never_given_up(pipe: Pipe) -> None:
    """A full queue takes warnings and errors all the same, and debug and info no longer."""
    sink = Sink(pipe.stream, dropped=lambda _: None, capacity=CAPACITY)
    for _ in range(MANY):
        sink.info(LINE)
    for number in range(MANY):
        (sink.warning if number % 2 else sink.error)(b"important %d\n" % number)
    thread, got = reading(pipe)
    sink.close(timeout_s=10)
    thread.join()
    important = [line for line in got[0].splitlines() if line.startswith(b"important")]

    assert important == [b"important %d" % number for number in range(MANY)]


def test_closing_does_not_wait_for_a_reader_who_never_comes(pipe: Pipe) -> None:
    """A process can end while nobody reads; `close` says that not all was written."""
    sink = Sink(pipe.stream, dropped=lambda _: None)
    for _ in range(MANY):
        sink.warning(LINE)
    complete = sink.close(timeout_s=0.1)
    pipe.hang_up()  # lets the writer go, whose pipe is broken now

    assert not complete
    assert sink.close(timeout_s=10)


def test_a_reader_who_left_costs_lines_only(pipe: Pipe) -> None:
    """Lines for a broken pipe are counted as dropped, and nothing is raised at whoever writes."""
    losses: list[int] = []
    sink = Sink(pipe.stream, dropped=losses.append)
    pipe.hang_up()
    for _ in range(10):
        sink.error(LINE)
    sink.close()

    assert sum(losses) == 10


def test_a_pipe_that_somebody_made_non_blocking(pipe: Pipe) -> None:
    """A full pipe that answers at once instead of blocking is waited for, and nothing is lost."""
    os.set_blocking(pipe.stream.fileno(), False)
    sink = Sink(pipe.stream, dropped=lambda _: None)
    for _ in range(MANY):
        sink.warning(LINE)
    full = not sink.close(timeout_s=0.1)
    thread, got = reading(pipe)
    complete = sink.close(timeout_s=10)
    thread.join()

    assert full
    assert complete
    assert got == [LINE * MANY]


def test_a_closed_sink_counts_what_comes_too_late() -> None:
    """Lines after the close are counted, not kept for nobody. Closing twice is fine."""
    losses, sink = counting()
    sink.close()
    sink.info(LINE)
    sink.error(LINE)

    assert losses == [1, 1]
    assert sink.close()


def test_the_stream_stays_its_owner_s(pipe: Pipe) -> None:
    """Closing the sink leaves the stream open, and a closed stream does not misdirect the sink."""
    sink = Sink(pipe.stream, dropped=lambda _: None)
    sink.warning(b"before\n")
    pipe.stream.close()
    sink.warning(b"after\n")
    sink.close()
    with os.fdopen(pipe.reading, "rb") as reader:
        pipe.open = False

        assert reader.read() == b"before\nafter\n"


def test_lines_that_come_in_quick_succession_are_written_together() -> None:
    """Two hundred lines, one every half a millisecond, take a few writes: some twenty a second."""
    stream = Writes()
    sink = Sink(stream, dropped=lambda _: None)
    began_s = time.perf_counter()
    for _ in range(200):
        sink.info(LINE)
        time.sleep(0.0005)
    sink.close()
    took_s = time.perf_counter() - began_s

    assert stream.getvalue() == LINE * 200
    assert stream.count < 10 + 20 * took_s
