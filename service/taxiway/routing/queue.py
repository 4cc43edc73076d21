"""Those who wait for a slot under one public name: keys take turns, and each key's jobs keep their order.

A key that asks for a thousand images holds up another key's first one by one turn, not by a thousand.
"""

from bisect import insort
from collections.abc import Hashable, Iterator
from operator import attrgetter
from typing import Generic, Protocol, TypeVar


class Waits(Protocol):
    """One that waits."""

    @property
    def scope(self) -> str:
        """The key whose turn it takes."""
        ...

    @property
    def place(self) -> tuple[float, int, int]:
        """Where it stands among those of its key: the lowest goes first."""
        ...

    @property
    def lane(self) -> Hashable:
        """What it may use: of two in one lane, either both can go or none."""
        ...


W = TypeVar("W", bound=Waits)

_place = attrgetter("place")


class FairQueue(Generic[W]):
    """Round robin among keys, first come first served within. Pure, and not bounded."""

    __slots__ = ("_length", "_scopes")

    def __init__(self) -> None:
        # In the order of their turns; of each key, those who wait by lane.
        self._scopes: dict[str, dict[Hashable, list[W]]] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[W]:
        """Yield everyone, key by key."""
        for lanes in self._scopes.values():
            for line in lanes.values():
                yield from line

    def add(self, waiter: W) -> None:
        """Let one wait. A key that has not been waiting gets the last turn."""
        line = self._scopes.setdefault(waiter.scope, {}).setdefault(waiter.lane, [])
        insort(line, waiter, key=_place)
        self._length += 1

    def remove(self, waiter: W) -> None:
        """Let one leave without its turn. One that is not here is none of our business."""
        lanes = self._scopes.get(waiter.scope, {})
        line = lanes.get(waiter.lane, [])
        if waiter not in line:
            return
        line.remove(waiter)
        self._length -= 1
        if not line:
            del lanes[waiter.lane]
        if not lanes:
            del self._scopes[waiter.scope]

    def take(self, waiter: W) -> None:
        """Let one go: its key's next turn comes after everybody else's."""
        self.remove(waiter)
        lanes = self._scopes.pop(waiter.scope, None)
        if lanes is not None:
            self._scopes[waiter.scope] = lanes

    def heads(self) -> Iterator[W]:
        """Yield who may go next: of each key in turn the first of each lane, the one in front first.

        The caller may take one and must not go on afterwards.
        """
        for lanes in self._scopes.values():
            if len(lanes) == 1:
                yield next(iter(lanes.values()))[0]
            else:
                yield from sorted((line[0] for line in lanes.values()), key=_place)

    def lanes(self) -> set[Hashable]:
        """Return the lanes in which somebody waits."""
        return {lane for lanes in self._scopes.values() for lane in lanes}

    def in_order(self) -> Iterator[W]:
        """Yield everyone in the order in which they would go if nobody else came."""
        turns = [self._in_line(lanes) for lanes in self._scopes.values()]
        while turns:
            left = []
            for line in turns:
                waiter = next(line, None)
                if waiter is not None:
                    yield waiter
                    left.append(line)
            turns = left

    def _in_line(self, lanes: dict[Hashable, list[W]]) -> Iterator[W]:
        if len(lanes) == 1:
            return iter(next(iter(lanes.values())))
        return iter(sorted((w for line in lanes.values() for w in line), key=_place))
