"""How a stream ends before its job does: the viewer leaves, grows old, or the service stops."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from tests.progress.wire import DELIVERED, Frame, Wire, job_at

from taxiway.journal import Journal
from taxiway.metrics import Metrics
from taxiway.server.keys import SWEEP
from taxiway.settings import Settings


class TestOldStreams:
    """With a `sse_max_age_s` of half a minute."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """A stream may live for thirty seconds."""
        return replace(settings, sse_max_age_s=30)

    async def test_an_old_stream_ends_between_two_frames(
        self,
        journal: Journal,
        watch: Callable[..., Any],
        counted: Callable[[str], dict[str, float]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A stream lives two thirds to all of its age, so that viewers spread; its client comes back."""
        monkeypatch.setattr("random.uniform", random.Random(1).uniform)
        job = await job_at(journal, 4)
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        wires = [await watch(job) for _ in range(20)]

        async def see_out(wire: Wire) -> float:
            _, *beats = await wire.rest()
            assert {b":\n"} == set(beats)
            return loop.time() - began_at

        ages = await asyncio.gather(*map(see_out, wires))

        assert 20 <= min(ages) < max(ages) <= 31
        assert {"max_age": 20} == counted("streams_closed_total")


async def test_a_viewer_who_leaves_is_noticed_within_a_second(
    journal: Journal,
    watch: Callable[..., Any],
    app: web.Application,
    counted: Callable[[str], dict[str, float]],
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """Nothing but the viewer is gone: the job goes on, and no log line is above info."""
    job = await job_at(journal, 4)
    wire, stays = await watch(job), await watch(job)
    await asyncio.sleep(0.5)

    wire.leave()
    await asyncio.sleep(1.1)
    viewers = app[SWEEP].viewers
    await journal.record(job.id, DELIVERED)
    await stays.rest()

    await asyncio.sleep(0.1)
    assert 1 == viewers
    assert {"client_gone": 1, "completed": 1} == counted("streams_closed_total")
    assert {} == counted("streams_open")
    assert {"info", "debug"} == {line["level"] for line in log_lines()}


class TestCancelOnDisconnect:
    """With `on_disconnect: cancel`."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """A job is stopped when the caller who waits for it hangs up."""
        return replace(settings, on_disconnect="cancel")

    async def test_leaving_a_stream_of_events_never_stops_the_job(
        self, journal: Journal, watch: Callable[..., Any]
    ) -> None:
        """A viewer only watches, whatever is to happen when a waiting caller hangs up."""
        job = await job_at(journal, 4)
        wire = await watch(job)
        await wire.frame()

        wire.leave()
        await asyncio.sleep(3)

        assert None is (await journal.get(job.id)).cancel_requested_at


async def test_a_hundred_streams_end_at_once_when_the_service_stops(
    journal: Journal,
    watch: Callable[..., Any],
    app: web.Application,
    counted: Callable[[str], dict[str, float]],
) -> None:
    """A stop ends every stream between two frames, with nothing but the clean end of the answer."""
    job = await job_at(journal, 4)
    loop = asyncio.get_running_loop()
    wires = [await watch(job) for _ in range(100)]
    for wire in wires:
        await wire.frame()

    told_at = loop.time()
    await app.shutdown()
    rests = await asyncio.gather(*(wire.rest() for wire in wires))

    assert 100 * [[]] == rests
    assert loop.time() - told_at < 2
    assert {"draining": 100} == counted("streams_closed_total")


class TestOneViewerAtMost:
    """With `sse_max_streams` streams open already."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """One viewer is the most."""
        return replace(settings, sse_max_streams=1)

    async def test_a_new_viewer_is_refused(
        self, journal: Journal, watch: Callable[..., Any], metrics: Metrics
    ) -> None:
        """A viewer without a cursor gets a 429 that says when to try again, and is counted."""
        job = await job_at(journal, 4)
        await watch(job)

        wire = await watch(job)

        counted = b'taxiway_http_rejections_total{reason="streams_full"} 1.0\n'
        assert (429, "true") == (wire.status, wire.headers["x-should-retry"])
        assert 1 <= int(wire.headers["Retry-After"]) <= 60
        assert counted in metrics.render(None)[0]

    async def test_a_returning_viewer_is_told_to_come_back_later(
        self, journal: Journal, watch: Callable[..., Any]
    ) -> None:
        """An `EventSource` would give up for good at any error: it gets one frame, and a longer `retry`."""
        job = await job_at(journal, 4)
        await watch(job)

        wire = await watch(job, last_event_id="2")
        frame, end = await wire.frame(), await wire.chunk()

        assert (200, "job.in_progress", "4", b"") == (wire.status, frame.name, frame.id, end)
        assert 5_000 <= frame.retry_ms <= 15_000

    async def test_a_finished_job_is_shown_all_the_same(
        self, journal: Journal, watch: Callable[..., Any]
    ) -> None:
        """One frame and an end take no place."""
        await watch(await job_at(journal, 4))

        wire = await watch(await job_at(journal, 5))

        assert ["job.completed"] == [Frame.of(chunk).name for chunk in await wire.rest()]

    async def test_whoever_leaves_makes_room(
        self, journal: Journal, watch: Callable[..., Any]
    ) -> None:
        """The place of a viewer who left is free within a second."""
        job = await job_at(journal, 4)
        (await watch(job)).leave()
        await asyncio.sleep(1.1)

        assert 200 == (await watch(job)).status


async def test_a_stopping_service_takes_no_viewer(
    journal: Journal, watch: Callable[..., Any], app: web.Application
) -> None:
    """While the service stops, a new viewer gets a 503, and a returning one its frame and a longer `retry`."""
    job = await job_at(journal, 4)
    app[SWEEP].drain()

    new, back = await watch(job), await watch(job, last_event_id="4")
    frame, end = await back.frame(), await back.chunk()

    assert (503, 200, "job.progress", b"") == (new.status, back.status, frame.name, end)
    assert 5_000 <= frame.retry_ms <= 15_000
