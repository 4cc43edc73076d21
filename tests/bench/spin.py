"""How fast a core is at the moment: a fixed piece of work, done twenty times a second, and the CPU it takes.

On a machine whose neighbours come and go, the same instructions cost half as much again a minute later, and no
clock of the kernel's says so. What is measured beside this is told at the median pace of the whole bench.

A process of its own, on the core of the program under test: 2 or 3 % of it. It keeps two numbers in a file that is
shared memory: how often it has done its work, and the CPU seconds that took. It ends with its standard input.
"""

import json
import mmap
import random
import select
import struct
import sys
import time
from pathlib import Path

#: Pieces of work, and their CPU seconds.
SHARED = struct.Struct("dd")

_PERIOD_S = 0.05

#: More than a core's own caches hold, since a program's objects are as well.
_OBJECTS = 100_000
_VISITED = 2_000

_DOCUMENT = {f"field_{number}": ["text", number, number / 7, None, True] for number in range(20)}


def work(objects: list[str], at: int) -> int:
    """Do one piece: some JSON, and a walk over objects that are not in the cache. Returns where the walk ended."""
    for _ in range(12):
        json.loads(json.dumps(_DOCUMENT))
    length = 0
    for position in range(at, at + _VISITED):
        length += len(objects[position % _OBJECTS])
    return (at + _VISITED) % _OBJECTS


def main(path: Path) -> None:
    """Work until standard input ends."""
    objects = [f"object {number}" for number in range(_OBJECTS)]
    random.Random(1).shuffle(objects)  # neighbours in the list are none in memory
    count = at = 0
    used_s = 0.0
    with path.open("r+b") as file, mmap.mmap(file.fileno(), SHARED.size) as shared:
        while not select.select([sys.stdin], [], [], _PERIOD_S)[0]:
            began_s = time.thread_time()
            at = work(objects, at)
            used_s += time.thread_time() - began_s
            count += 1
            SHARED.pack_into(shared, 0, count, used_s)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
