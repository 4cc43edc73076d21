"""What the connections of a store do at one moment, for whoever asked to know."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """How many connections of the pool are lent, how many lie idle, and how many calls wait for one.

    What has a connection of its own, the writer or a lease, is not among them: it never waits for one.
    """

    used: int = 0
    idle: int = 0
    waiting: int = 0
