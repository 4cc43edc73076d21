"""Coming back: where a stream goes on for a viewer who has seen a part of it."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.progress.wire import DELIVERED, LIFE, job_at

from taxiway.journal import Journal


@pytest.mark.parametrize(
    ("revision", "cursor", "first", "resume"),
    [
        pytest.param(4, None, ("job.in_progress", "4"), {}, id="unfinished, none"),
        pytest.param(4, "2", ("job.in_progress", "4"), {"replayed": 1}, id="unfinished, older"),
        pytest.param(4, "0", ("job.in_progress", "4"), {"replayed": 1}, id="unfinished, zero"),
        pytest.param(4, "4", ("job.progress", None), {"current": 1}, id="unfinished, current"),
        pytest.param(4, "9", ("job.in_progress", "4"), {"gap": 1}, id="unfinished, beyond"),
        pytest.param(4, "x", ("job.in_progress", "4"), {"gap": 1}, id="unfinished, unreadable"),
        pytest.param(4, "-4", ("job.in_progress", "4"), {"gap": 1}, id="unfinished, negative"),
        pytest.param(5, None, ("job.completed", "5"), {}, id="finished, none"),
        pytest.param(5, "4", ("job.completed", "5"), {"replayed": 1}, id="finished, older"),
        pytest.param(5, "9", ("job.completed", "5"), {"gap": 1}, id="finished, beyond"),
        pytest.param(5, "4.5", ("job.completed", "5"), {"gap": 1}, id="finished, unreadable"),
    ],
)
async def test_a_cursor_decides_what_comes_first(
    journal: Journal,
    watch: Callable[..., Any],
    counted: Callable[[str], dict[str, float]],
    revision: int,
    cursor: str | None,
    first: tuple[str, str | None],
    resume: dict[str, float],
) -> None:
    """The first frame is the whole job in every case; with a new id, unless the viewer has that revision."""
    job = await job_at(journal, revision)

    wire = await watch(job, last_event_id=cursor)
    frame = await wire.frame()

    assert first == (frame.name, frame.id)
    assert revision == frame.job["revision"]
    assert resume == counted("resumes_total")
    if job.final:
        assert await wire.chunk() == b""


async def test_a_viewer_who_has_seen_the_end_is_told_to_stop(
    journal: Journal, watch: Callable[..., Any], counted: Callable[[str], dict[str, float]]
) -> None:
    """204, without a body, is the one answer after which an `EventSource` never asks again."""
    job = await job_at(journal, 5)

    wire = await watch(job, last_event_id="5")

    assert (204, job.id) == (wire.status, wire.headers["x-taxiway-job-id"])
    assert {"current": 1} == counted("resumes_total")
    assert {} == counted("streams_closed_total")


@pytest.mark.parametrize(
    ("query", "header", "expected"),
    [
        pytest.param("?starting_after=4", None, "job.progress", id="query alone"),
        pytest.param("?starting_after=2", "4", "job.progress", id="the header is ahead"),
        pytest.param("?starting_after=4", "2", "job.in_progress", id="the header is behind"),
        pytest.param("?starting_after=4", "x", "job.in_progress", id="the header is unreadable"),
    ],
)
async def test_the_header_wins_over_the_query(
    journal: Journal, watch: Callable[..., Any], query: str, header: str | None, expected: str
) -> None:
    """An `EventSource` repeats its first address for ever; what it has seen since is in the header."""
    job = await job_at(journal, 4)

    frame = await (await watch(job, query, last_event_id=header)).frame()

    assert expected == frame.name


async def test_a_viewer_who_was_current_is_told_what_comes_next(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """After the id-less first frame of a resumed stream, the next revision comes as to everybody."""
    job = await job_at(journal, 4)
    wire = await watch(job, last_event_id="4")
    first = await wire.frame()

    await journal.record(job.id, DELIVERED)

    assert [("job.progress", None), ("job.completed", "5")] == [
        (first.name, first.id),
        (frame := await wire.frame()).line[:2],
    ]
    assert frame.retry_ms is None


async def test_a_client_that_comes_back_with_its_last_id_misses_nothing(
    journal: Journal, watch: Callable[..., Any]
) -> None:
    """A connection that breaks costs a viewer nothing: the next one brings the state since."""
    job = await job_at(journal, 2)
    wire = await watch(job)
    seen = (await wire.frame()).id
    wire.leave()

    for fact in LIFE[1:]:
        await journal.record(job.id, fact)
    wire = await watch(job, last_event_id=seen)
    frame = await wire.frame()
    end = await wire.chunk()
    after = await watch(job, last_event_id=frame.id)

    assert ("2", "job.completed", "5") == (seen, frame.name, frame.id)
    assert (b"", 204) == (end, after.status)
