"""What stands in a stream: frames, cursors and base64, as bytes and without a server."""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import ImageEditCompletedEvent, ImageGenCompletedEvent

from taxiway.errors import ContentPolicyViolationError
from taxiway.events import Event, EventName
from taxiway.facts import Delivered, Fact, Output, Seen, Submitted, Submitting
from taxiway.jobs import GenerationRequest, Job, Part, Phase, Plan
from taxiway.server import frames
from taxiway.server.base64_images import PIECE_BYTES, base64_length, base64_pieces
from taxiway.server.cursors import UNREADABLE, Start, start_of
from taxiway.server.documents import job_document
from taxiway.server.frames import Operation
from taxiway.topics import Topic
from taxiway.transitions import accept, advance

LIFE: tuple[Fact, ...] = (
    Submitting(attempt=0, part=0, deployment="d-1", provider="runwayml", model="gen4_image"),
    Submitted(attempt=0, upstream_id="runway-task", credits=8),
    Seen(attempt=0, phase=Phase.RUNNING, progress=0.42),
    Delivered(
        attempt=0,
        outputs=tuple(
            Output(url=f"https://images.example/{n}", size=None, content_type="image/png")
            for n in range(2)
        ),
        credits=16,
    ),
)


def job_at(revision: int, **asked: Any) -> Job:
    """Return a job for two images that has come to this revision; at 5 it is completed."""
    job = accept(
        GenerationRequest(**{"model": "gpt", "prompt": "a red\nfox: 狐", "n": 2, **asked}),
        Plan(size="1920x1080", parts=(Part(images=2, credits=16),)),
        id="job_1",
        at=1_000.5,
        deadline_at=1_600.5,
    )
    for fact in LIFE[: revision - 1]:
        job = advance(job, fact, at=1_001.5)
    return job


def parsed(frame: bytes) -> tuple[str, Any]:
    """Return the name and the data of a frame without an id."""
    event, data, *blank = frame.decode().split("\n")
    assert blank == ["", ""]
    return event.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))


def test_a_recorded_change_bears_its_revision() -> None:
    """Four lines: the name after the status, the revision as id, the job on one line, and a blank one."""
    job = job_at(4)

    frame = frames.recorded(job)

    data = orjson.dumps(job_document(job))
    assert b"event: job.in_progress\nid: 4\ndata: " + data + b"\n\n" == frame


def test_a_tick_bears_no_id() -> None:
    """What no store knows cannot be resumed from."""
    job = job_at(4)

    frame = frames.tick(job)

    assert b"event: job.progress\ndata: " + orjson.dumps(job_document(job)) + b"\n\n" == frame


def test_a_prompt_cannot_break_a_frame() -> None:
    """A newline in a prompt is escaped by JSON, so a frame has the lines it should have."""
    frame = frames.recorded(job_at(1, prompt="a\n\r\n\u2028\nid: 9\n\ndata: {}"))

    assert 5 == frame.count(b"\n") + frame.count(b"\r") + 1 == len(frame.split(b"\n"))


def test_retry_stands_inside_the_first_frame() -> None:
    """A block of `retry` alone would be an event without data to the official SDK."""
    assert b"retry: 2137\nevent: x\ndata: {}\n\n" == frames.with_retry(
        b"event: x\ndata: {}\n\n", retry_ms=2137
    )


def test_a_heartbeat_ends_no_block() -> None:
    """One comment line of two bytes, without the blank line that would dispatch an event."""
    assert b":\n" == frames.HEARTBEAT


def test_an_event_is_encoded_once_for_all_viewers() -> None:
    """A topic makes the bytes of its newest event when the first viewer asks, and hands the same to all."""
    encoded = []

    def encode(job: Job) -> bytes:
        encoded.append(job.revision)
        return b"%d" % job.revision

    topic = Topic(job_at(1), at=0)
    topic.tell(Event(job=job_at(2), before=job_at(1), at=0))
    first = [topic.encoded(encode) for _ in range(3)]
    topic.tell(Event(job=job_at(3), before=job_at(2), at=0))
    second = [topic.encoded(encode) for _ in range(3)]

    assert ([2, 3], 3 * [b"2"], 3 * [b"3"]) == (encoded, first, second)
    assert first[0] is first[2]


# Cursors


@pytest.mark.parametrize(
    ("revision", "cursor", "expected"),
    [
        pytest.param(4, None, Start(), id="unfinished, none"),
        pytest.param(4, 0, Start(resume="replayed"), id="unfinished, before the first"),
        pytest.param(4, 3, Start(resume="replayed"), id="unfinished, older"),
        pytest.param(4, 4, Start(seen=4, resume="current"), id="unfinished, current"),
        pytest.param(4, 5, Start(resume="gap"), id="unfinished, beyond"),
        pytest.param(4, UNREADABLE, Start(resume="gap"), id="unfinished, unreadable"),
        pytest.param(5, None, Start(), id="finished, none"),
        pytest.param(5, 4, Start(resume="replayed"), id="finished, older"),
        pytest.param(
            5, 5, Start(seen=5, resume="current", nothing_left=True), id="finished, current"
        ),
        pytest.param(5, 6, Start(resume="gap"), id="finished, beyond"),
        pytest.param(5, UNREADABLE, Start(resume="gap"), id="finished, unreadable"),
    ],
)
def test_where_a_stream_begins(revision: int, cursor: int | None, expected: Start) -> None:
    """Only a viewer who has the present revision is spared it; one who has the end is sent nothing."""
    assert expected == start_of(job_at(revision), cursor)


# Image streams


@pytest.mark.parametrize("operation", list(Operation))
def test_progress_names_the_job(operation: Operation) -> None:
    """A frame of progress tells where the job is, in OpenAI's manner: its type is its name."""
    encode = {
        Operation.GENERATION: frames.generation_progress,
        Operation.EDIT: frames.edit_progress,
    }[operation]

    name, data = parsed(encode(job_at(4)))

    assert f"{operation}.progress" == name
    assert {
        "type": name,
        "job_id": "job_1",
        "status": "in_progress",
        "phase": "running",
        "progress": 42,
        "queue_position": None,
        "created_at": 1000,
    } == data


def test_a_finished_image_has_all_of_openais_fields() -> None:
    """The last image of a job also says what the job cost, and whether that is exact."""
    job = job_at(5, quality="high", background="opaque")

    name, data = parsed(frames.image_completed(job, job.images[1], operation=Operation.GENERATION))

    assert "image_generation.completed" == name
    assert data == {
        "type": "image_generation.completed",
        "created_at": 1001,
        "size": "1920x1080",
        "quality": "high",
        "background": "opaque",
        "output_format": "png",
        "usage": {
            "input_tokens": 0,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
            "total_tokens": 0,
        },
        "job_id": "job_1",
        "image_index": 1,
        "url": "https://images.example/1",
        "cost": {"usd": 0.16, "credits": 16, "final": True},
        "cost_credits": 16,
        "cost_microusd": 160_000,
        "b64_json": None,
    }


@pytest.mark.parametrize(
    ("asked", "content_type"),
    [
        pytest.param({}, "image/png", id="defaults"),
        pytest.param({"quality": "hd"}, "image/jpeg", id="another vendor's quality"),
        pytest.param({"quality": "medium", "background": "transparent"}, "image/webp", id="all"),
        pytest.param({"background": "plaid"}, "application/octet-stream", id="unknown words"),
    ],
)
@pytest.mark.parametrize("operation", list(Operation))
def test_a_finished_image_is_valid_for_the_official_types(
    asked: dict[str, Any], content_type: str, operation: Operation
) -> None:
    """Whatever was asked, the event passes the strict validation that official clients could do."""
    job = job_at(5, **asked)
    begin = frames.image_begin(job, job.images[0], operation=operation, content_type=content_type)

    _, data = parsed(begin + base64.b64encode(b"the image") + frames.IMAGE_END)

    official = {
        Operation.GENERATION: ImageGenCompletedEvent,
        Operation.EDIT: ImageEditCompletedEvent,
    }[operation].model_validate(data, strict=True)
    assert b"the image" == base64.b64decode(official.b64_json)


def test_the_format_is_that_of_the_bytes() -> None:
    """What the host says of the bytes stands over what was expected; without a word of it, that stands."""
    job = job_at(5)
    job = replace(job, images=(replace(job.images[0], content_type="image/svg+xml"),))
    formats = []

    for content_type in ("image/webp", "application/octet-stream", None):
        _, data = parsed(
            frames.image_completed(
                job, job.images[0], operation=Operation.EDIT, content_type=content_type
            )
        )
        formats.append(data["output_format"])

    assert ["webp", "svg", "svg"] == formats


def test_an_error_is_a_frame_that_official_clients_raise() -> None:
    """The error object stands under `error`, as in an answer; a flat one would be passed over."""
    error = ContentPolicyViolationError(
        "The prompt was refused.", job_id="job_1", failure_code="SAFETY.INPUT.TEXT"
    )

    name, data = parsed(frames.error(error))

    assert ("error", "error") == (name, data["type"])
    assert data["error"] == {
        "message": "The prompt was refused.",
        "type": "invalid_request_error",
        "param": None,
        "code": "content_policy_violation",
        "job_id": "job_1",
        "provider_specific_fields": {"failure_code": "SAFETY.INPUT.TEXT"},
    }


def test_the_names_of_events_are_six() -> None:
    """Six names, a closed set; none of them is `error`, which a browser takes for a broken connection."""
    assert {
        "job.queued",
        "job.in_progress",
        "job.progress",
        "job.completed",
        "job.failed",
        "job.cancelled",
    } == set(EventName)


# Base64


def pieces_of(data: bytes, sizes: list[int]) -> list[bytes]:
    """Return the pieces made of bytes that come in chunks of these sizes, and the rest."""

    async def chunks() -> AsyncIterator[bytes]:
        rest = data
        for size in sizes:
            yield rest[:size]
            rest = rest[size:]
        yield rest

    async def collect() -> list[bytes]:
        return [piece async for piece in base64_pieces(chunks())]

    # Nothing in it waits for anything but its turn, so it takes no event loop to run it.
    running = collect()
    while True:
        try:
            running.send(None)
        except StopIteration as done:
            return list(done.value)


@settings(max_examples=50)
@given(data=st.binary(max_size=400), sizes=st.lists(st.integers(0, 90), max_size=9))
def test_pieces_of_base64_make_the_whole(data: bytes, sizes: list[int]) -> None:
    """However the bytes come in, the pieces joined are their base64."""
    pieces = pieces_of(data, sizes)

    assert base64.b64encode(data) == b"".join(pieces)
    assert base64_length(len(data)) == sum(map(len, pieces))


@settings(max_examples=20)
@given(extra=st.integers(0, 5), step=st.integers(1_000, 200_000))
def test_no_piece_is_larger_than_64_kib(extra: int, step: int) -> None:
    """An image of any size is encoded 48 KiB at a time, and only the last piece is padded."""
    data = bytes(range(256)) * 800 + bytes(extra)

    pieces = pieces_of(data, [step] * (len(data) // step))

    assert base64.b64encode(data) == b"".join(pieces)
    assert {base64_length(PIECE_BYTES)} == set(map(len, pieces[:-1])) == {65_536}
