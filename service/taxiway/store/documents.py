"""A job as the bytes that are stored, and back.

A document may come from an older or a newer release: keys unknown here are passed over, absent ones take the
field's default. So a new field needs a default, and a new word of an enum must be readable one release before
it is written.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import orjson

from taxiway.errors import StoreError, cut
from taxiway.jobs import (
    Asset,
    Attempt,
    AttemptStatus,
    CreditsSource,
    GenerationRequest,
    Image,
    Job,
    JobError,
    JobStatus,
    Moment,
    Part,
    Phase,
    Policy,
    Reference,
    Tokens,
    Webhook,
)

_T = TypeVar("_T")


def dump(job: Job) -> bytes:
    """Return a job as JSON."""
    try:
        return orjson.dumps(job, default=_plain)
    except TypeError:
        # Half a surrogate pair in foreign text, say. A paid job is worth more than that character.
        text = json.dumps(_plain(job), ensure_ascii=False, default=_plain)
        return text.encode("utf-8", "replace")


def load(document: bytes) -> Job:
    """Return the job in a document. Raises `StoreError` where this release cannot make one of it."""
    try:
        return _job(orjson.loads(document))
    except (TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"A stored job cannot be read: {cut(str(error))}") from error


class _Reader(Generic[_T]):
    """Makes one kind of dataclass out of a JSON object. Fields that are not plain JSON name their reader."""

    def __init__(self, kind: type[_T], **readers: Callable[[Any], object]) -> None:
        self._kind = kind
        self._names = frozenset(field.name for field in dataclasses.fields(kind))  # type: ignore[arg-type]
        self._readers = tuple(readers.items())

    def __call__(self, raw: dict[str, Any]) -> _T:
        if not self._names.issuperset(raw):
            raw = {name: value for name, value in raw.items() if name in self._names}
        for name, read in self._readers:
            if (value := raw.get(name)) is not None:
                raw[name] = read(value)
        return self._kind(**raw)


def _many(read: Callable[[Any], _T]) -> Callable[[Any], tuple[_T, ...]]:
    return lambda items: tuple(map(read, items))


_error = _Reader(JobError)
_attempt = _Reader(
    Attempt,
    status=AttemptStatus,
    phase=Phase,
    credits_source=CreditsSource,
    error=_error,
    tokens=_Reader(Tokens),
)
_reference = _Reader(Reference, asset=_Reader(Asset))
_job = _Reader(
    Job,
    status=JobStatus,
    phase=Phase,
    request=_Reader(GenerationRequest, references=_many(_reference), mask=_reference),
    parts=_many(_Reader(Part, error=_error)),
    attempts=_many(_attempt),
    images=_many(_Reader(Image)),
    error=_error,
    timeline=_many(_Reader(Moment, status=JobStatus, phase=Phase)),
    dropped=tuple,
    policy=_Reader(Policy, fallbacks=tuple, tags=tuple, webhook=_Reader(Webhook)),
)


def _plain(value: object) -> object:
    """Return what JSON has for a value that orjson does not know."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
