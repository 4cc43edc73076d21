"""What an operation is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from taxiway.server.openapi import parameters as p
from taxiway.server.openapi.words import Schema, ref

Content = Mapping[str, Schema]


def json_of(name: str) -> Content:
    """Return JSON of the shape that is kept under a name."""
    return {"application/json": {"schema": ref(name)}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One way in which a route answers well."""

    says: str
    content: Content = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a route takes and gives."""

    tag: str
    answers: Mapping[int, Answer]
    parameters: tuple[p.Parameter, ...] = ()
    body: Content | None = None
    errors: tuple[int, ...] = ()
    """Statuses of refusals, beside those of every route."""
    open: bool = False
    """Whether it needs no key."""
