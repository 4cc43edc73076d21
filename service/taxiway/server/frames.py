"""Server-Sent Events as bytes: what a frame looks like, and nothing about when it is sent.

Two choices follow from what official clients do with a block that has no data: the OpenAI SDK and httpx-sse
dispatch it as an event once an id, or a `retry`, is known, and the SDK then fails on its empty JSON. So
`retry:` stands inside a real frame, and a heartbeat is a comment line without the blank line that would end
a block. An image stream bears neither ids nor `retry`: OpenAI's has none, and it cannot be resumed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import orjson

from taxiway.errors import TaxiwayError
from taxiway.events import EventName, name_of
from taxiway.jobs import Image, Job
from taxiway.server.documents import (
    Address,
    cost_document,
    error_body,
    job_document,
    provider_address,
    tokens_document,
)

#: A comment: a byte for every proxy on the way, nothing for any client, and no end of a block.
HEARTBEAT = b":\n"

#: What ends a completed image's frame after its base64.
IMAGE_END = b'"}\n\n'

_FORMATS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/webp": "webp",
    "image/svg+xml": "svg",
}
_QUALITIES = frozenset({"low", "medium", "high", "xhigh", "max", "auto"})
_BACKGROUNDS = frozenset({"transparent", "opaque", "auto"})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFrames:
    """The frames of a job, with the addresses of one service: made once, so that viewers share their bytes."""

    recorded: Callable[[Job], bytes]
    unnumbered: Callable[[Job], bytes]
    tick: Callable[[Job], bytes]


class Operation(StrEnum):
    """Which of OpenAI's two image calls is streamed; its events are named after it."""

    GENERATION = "image_generation"
    EDIT = "image_edit"


def recorded(job: Job, *, address: Address = provider_address) -> bytes:
    """Return the frame of a job's revision. Its id is what a client resumes from."""
    return b"event: %b\nid: %d\ndata: %b\n\n" % (
        name_of(job).encode(),
        job.revision,
        orjson.dumps(job_document(job, address=address)),
    )


def unnumbered(job: Job, *, address: Address = provider_address) -> bytes:
    """Return the frame of a job's revision without its id: a stream of several jobs has ids of its own."""
    return _frame(name_of(job), job_document(job, address=address))


def tick(job: Job, *, address: Address = provider_address) -> bytes:
    """Return the frame of a job whose revision the viewer has. Without an id: no store knows this point."""
    return _frame(EventName.PROGRESS, job_document(job, address=address))


def job_frames(address: Address) -> JobFrames:
    """Return the frames of jobs whose images are found at these addresses."""
    return JobFrames(
        recorded=partial(recorded, address=address),
        unnumbered=partial(unnumbered, address=address),
        tick=partial(tick, address=address),
    )


def with_id(frame: bytes, *, positions: Iterable[int]) -> bytes:
    """Return the frame of one of several jobs, with the revisions of all that the viewer has after it."""
    return b"id: %b\n%b" % (".".join(map(str, positions)).encode(), frame)


def with_retry(frame: bytes, *, retry_ms: int) -> bytes:
    """Return a connection's first frame: it tells the client when to come back after the connection ends."""
    return b"retry: %d\n%b" % (retry_ms, frame)


def generation_progress(job: Job) -> bytes:
    """Return the progress frame of an image stream."""
    return _image_progress(job, Operation.GENERATION)


def edit_progress(job: Job) -> bytes:
    """Return the progress frame of the stream of an edit."""
    return _image_progress(job, Operation.EDIT)


def image_completed(
    job: Job,
    image: Image,
    *,
    operation: Operation,
    content_type: str | None = None,
    address: Address = provider_address,
) -> bytes:
    """Return the frame of a finished image without its bytes: `b64_json` is null, `url` says where they are."""
    document = _completed_document(
        job, image, operation=operation, content_type=content_type, address=address
    )
    return _frame(document["type"], document | {"b64_json": None})


def image_begin(
    job: Job,
    image: Image,
    *,
    operation: Operation,
    content_type: str | None = None,
    address: Address = provider_address,
) -> bytes:
    """Return the frame of a finished image up to its base64, which `IMAGE_END` follows."""
    document = _completed_document(
        job, image, operation=operation, content_type=content_type, address=address
    )
    return b"event: %b\ndata: %b" % (document["type"].encode(), open_object(document, "b64_json"))


def error(problem: TaxiwayError) -> bytes:
    """Return the frame that ends an image stream without an image; official SDKs raise it as an `APIError`."""
    return _frame("error", {"type": "error", **error_body(problem)})


def open_object(fields: Mapping[str, Any], last: str) -> bytes:
    """Return a JSON object up to the opening quote of the text under its last key. `"}` closes it."""
    head = orjson.dumps(fields)[:-1]
    comma = b"," if fields else b""
    return b'%b%b"%b":"' % (head, comma, last.encode())


def _frame(name: str, document: Mapping[str, Any]) -> bytes:
    # JSON has no raw newline, and every name is ours: one data line, and nothing to escape.
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(document))


def _image_progress(job: Job, operation: Operation) -> bytes:
    name = f"{operation}.progress"
    return _frame(
        name,
        {
            "type": name,
            "job_id": job.id,
            "status": job.status,
            "phase": job.phase,
            "progress": job.progress,
            "queue_position": job.queue_position,
            "created_at": int(job.created_at),
        },
    )


def _completed_document(
    job: Job, image: Image, *, operation: Operation, content_type: str | None, address: Address
) -> dict[str, Any]:
    """Return all of OpenAI's fields but `b64_json`, and ours. What a job does not know is `auto`."""
    request = job.request
    document: dict[str, Any] = {
        "type": f"{operation}.completed",
        "created_at": int(job.finished_at or job.created_at),
        "size": image.size or job.size or "auto",
        "quality": request.quality if request.quality in _QUALITIES else "auto",
        "background": request.background if request.background in _BACKGROUNDS else "auto",
        "output_format": _FORMATS.get(content_type or "", _FORMATS.get(image.content_type, "png")),
        "usage": tokens_document(job),
        "job_id": job.id,
        "image_index": image.index,
        "url": address(job, image),
    }
    if image is job.images[-1]:
        document["cost"] = cost_document(job, final=job.cost_final)
        document["cost_credits"] = job.credits
        document["cost_microusd"] = job.microusd
    return document
