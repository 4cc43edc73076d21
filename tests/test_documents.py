"""A job as the bytes that are stored, and back."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.errors import StoreError
from taxiway.jobs import (
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
    Reference,
)
from taxiway.store import documents

#: A document as the first release wrote it, without what had its default. It stays readable for ever.
FIRST_RELEASE = b"""{
  "id": "job_1", "revision": 4, "status": "completed", "phase": null,
  "request": {"model": "gen4-image", "prompt": "A lighthouse.", "n": 1, "size": "1920x1080",
              "references": [{"uri": "https://example.com/a.png", "tag": "a", "subject": null}]},
  "size": "1920x1080", "parts": [{"images": 1, "credits": 8}],
  "created_at": 100.0, "deadline_at": 700.0, "progress": 100, "started_at": 101.0,
  "finished_at": 110.0,
  "attempts": [{"index": 0, "part": 0, "images": 1, "deployment": "east",
                "provider": "runwayml", "model": "gen4_image", "status": "completed",
                "phase": "running", "progress": 1.0, "upstream_id": "task-0", "credits": 8,
                "credits_source": "charged"}],
  "images": [{"index": 0, "attempt": 0, "url": "https://cdn/0.png", "size": "1920x1080",
              "content_type": "image/png"}],
  "timeline": [{"at": 100.0, "status": "queued", "phase": "queued"},
               {"at": 110.0, "status": "completed", "phase": null}]
}"""

JOB = Job(
    id="job_1",
    revision=4,
    status=JobStatus.COMPLETED,
    phase=None,
    request=GenerationRequest(
        model="gen4-image",
        prompt="A lighthouse.",
        size="1920x1080",
        references=(Reference(uri="https://example.com/a.png", tag="a"),),
    ),
    size="1920x1080",
    parts=(Part(images=1, credits=8),),
    created_at=100.0,
    deadline_at=700.0,
    progress=100,
    started_at=101.0,
    finished_at=110.0,
    attempts=(
        Attempt(
            index=0,
            part=0,
            images=1,
            deployment="east",
            provider="runwayml",
            model="gen4_image",
            status=AttemptStatus.COMPLETED,
            phase=Phase.RUNNING,
            progress=1.0,
            upstream_id="task-0",
            credits=8,
            credits_source=CreditsSource.CHARGED,
        ),
    ),
    images=(
        Image(
            index=0,
            attempt=0,
            url="https://cdn/0.png",
            size="1920x1080",
            content_type="image/png",
        ),
    ),
    timeline=(
        Moment(at=100.0, status=JobStatus.QUEUED, phase=Phase.QUEUED),
        Moment(at=110.0, status=JobStatus.COMPLETED, phase=None),
    ),
)

TEXTS = st.text(max_size=20)
NUMBERS = st.integers(0, 2**53)
DATES = st.floats(0, 1e11)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)


def tuples(values: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(values, max_size=3).map(tuple)


ERRORS = st.builds(JobError, param=st.none() | TEXTS, failure_code=st.none() | TEXTS)
ATTEMPTS = st.builds(
    Attempt,
    index=NUMBERS,
    part=NUMBERS,
    images=NUMBERS,
    polls=NUMBERS,
    status=st.sampled_from(AttemptStatus),
    phase=st.sampled_from(Phase),
    progress=st.floats(0, 1),
    seen_at=st.none() | DATES,
    upstream_id=st.none() | TEXTS,
    refusals=NUMBERS,
    credits=st.none() | NUMBERS,
    credits_source=st.none() | st.sampled_from(CreditsSource),
    error=st.none() | ERRORS,
    failure=st.none() | TEXTS,
    again=st.booleans(),
)
JOBS = st.builds(
    Job,
    revision=NUMBERS,
    progress=NUMBERS,
    phase=st.none() | st.sampled_from(Phase),
    request=st.builds(
        GenerationRequest,
        n=NUMBERS,
        size=st.none() | TEXTS,
        seed=st.none() | NUMBERS,
        references=tuples(st.builds(Reference, tag=st.none() | TEXTS)),
        options=OBJECTS,
        metadata=OBJECTS,
    ),
    parts=tuples(st.builds(Part, images=NUMBERS, credits=st.none() | NUMBERS)),
    created_at=DATES,
    deadline_at=DATES,
    finished_at=st.none() | DATES,
    attempts=tuples(ATTEMPTS),
    images=tuples(st.builds(Image, index=NUMBERS, attempt=NUMBERS)),
    error=st.none() | ERRORS,
    timeline=tuples(st.builds(Moment, at=DATES)),
    dropped=tuples(TEXTS),
)


@settings(deadline=None)
@given(job=JOBS)
def test_what_is_stored_comes_back(job: Job) -> None:
    """Every job comes back from its document as it was, enums and tuples included."""
    loaded = documents.load(documents.dump(job))

    assert job == loaded
    assert repr(job) == repr(loaded)


def test_a_document_of_the_first_release_is_read() -> None:
    """What an older release has left out takes its default."""
    assert JOB == documents.load(FIRST_RELEASE)


def test_what_a_newer_release_has_added_is_passed_over() -> None:
    """Unknown keys do no harm, at any depth."""
    raw = orjson.loads(documents.dump(JOB))
    for place in (raw, raw["request"], raw["attempts"][0], raw["images"][0], raw["parts"][0]):
        place["colour"] = {"of": ["the", "future"]}

    assert JOB == documents.load(orjson.dumps(raw))


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="another shape"),
        pytest.param(b"{}", id="no fields"),
        pytest.param(FIRST_RELEASE.replace(b"charged", b"guessed"), id="a word nobody knows"),
        pytest.param(FIRST_RELEASE[:-20], id="cut off"),
    ],
)
def test_what_is_no_job_is_refused(document: bytes) -> None:
    """A document that this release cannot read is an error of the store, not a crash."""
    with pytest.raises(StoreError, match=r"^A stored job cannot be read: "):
        documents.load(document)


def test_half_a_character_does_not_lose_a_job() -> None:
    """Text that UTF-8 does not have, from a vendor, say, costs that character and nothing else."""
    foreign = replace(JOB, error=JobError(code="provider_failed", message="Bad \ud83d luck"))

    expected = replace(JOB, error=JobError(code="provider_failed", message="Bad ? luck"))
    assert expected == documents.load(documents.dump(foreign))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(MappingProxyType({"a": 1}), {"a": 1}, id="a read-only mapping"),
        pytest.param({"file": Path("a.png")}, {"file": "a.png"}, id="a value of Python's own"),
    ],
)
def test_what_json_has_not_is_stored_as_it_reads(
    options: Mapping[str, object], expected: Mapping[str, object]
) -> None:
    """A mapping of any kind is stored as an object, anything else as its text."""
    job = replace(JOB, request=replace(JOB.request, options=options))

    loaded = documents.load(documents.dump(job))

    assert expected == loaded.request.options
