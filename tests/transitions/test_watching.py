"""What is seen of a task, and how long it will take."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.transitions.facts import (
    BOUGHT,
    RUNNING,
    TWO,
    accepted,
    after,
    delivered,
    failed,
    seen,
    submitted,
    submitting,
)

from taxiway.events import Event, EventName
from taxiway.facts import (
    CancelRequested,
    Fact,
    Seen,
)
from taxiway.jobs import (
    JobStatus,
    Phase,
)
from taxiway.transitions import advance


class TestWatching:
    """Polls find the task alive."""

    @pytest.mark.parametrize(
        "phase",
        [
            pytest.param(Phase.THROTTLED, id="throttled"),
            pytest.param(Phase.RUNNING, id="running"),
            pytest.param(Phase.STORING, id="storing"),
        ],
    )
    def test_a_new_phase_is_a_revision(self, phase: Phase) -> None:
        """The job takes the phase of its task, as a revision of its own."""
        job = after(accepted(), *BOUGHT, seen(phase=phase))

        assert (4, JobStatus.IN_PROGRESS, phase) == (job.revision, job.status, job.phase)

    def test_progress_alone_is_a_tick(self) -> None:
        """A percentage that moves within a phase changes the job but not its revision."""
        before = after(accepted(), *RUNNING)
        job = after(before, seen(0.5), at=110.0)

        assert (before.revision, 50) == (job.revision, job.progress)
        assert EventName.PROGRESS is Event(job=job, before=before, at=110.0).name

    def test_a_new_phase_is_told_by_its_status(self) -> None:
        """An event that is stored bears the name of the job's status."""
        before = after(accepted(), *BOUGHT)
        job = after(before, seen(0.1), at=110.0)

        assert EventName.IN_PROGRESS is Event(job=job, before=before, at=110.0).name

    @pytest.mark.parametrize(
        "fact",
        [
            pytest.param(seen(0.25), id="the same progress"),
            pytest.param(seen(0.1), id="less progress"),
            pytest.param(seen(-3.0), id="less than none"),
            pytest.param(seen(None), id="no progress given"),
        ],
    )
    def test_no_news_changes_nothing(self, fact: Seen) -> None:
        """A poll that shows nothing new returns the very same job."""
        job = after(accepted(), *RUNNING)

        assert job is advance(job, fact, at=110.0)

    def test_progress_survives_a_step_back(self) -> None:
        """A task that is throttled again keeps the progress that was shown."""
        job = after(accepted(), *RUNNING, seen(0.0, phase=Phase.THROTTLED))

        assert (Phase.THROTTLED, 25) == (job.phase, job.progress)

    @pytest.mark.parametrize(
        ("share", "percent"),
        [
            pytest.param(0.29, 29, id="not 28, whatever binary makes of it"),
            pytest.param(0.009, 0, id="begun percents do not count"),
            pytest.param(0.999, 99, id="almost"),
            pytest.param(1.0, 99, id="done, but not delivered"),
            pytest.param(7.0, 99, id="more than all"),
        ],
    )
    def test_progress_is_whole_percents_below_a_hundred(self, share: float, percent: int) -> None:
        """The job's progress is whole percents, and 100 is kept for the end."""
        job = after(accepted(), *BOUGHT, seen(share))

        assert percent == job.progress

    @settings(deadline=None)
    @given(shares=st.lists(st.floats(allow_nan=True, allow_infinity=True)))
    def test_progress_never_falls(self, shares: list[float]) -> None:
        """Whatever the provider's figures do, the job's progress does not fall and stays within bounds."""
        job, shown = after(accepted(), *BOUGHT), [0]
        for share in shares:
            job = after(job, seen(share))
            shown.append(job.progress)

        assert sorted(shown) == shown
        assert shown[-1] <= 99


class TestEtas:
    """How long it will still take."""

    def test_a_pace_gives_a_time(self) -> None:
        """A task that made a quarter in its first five seconds has fifteen to go."""
        job = after(accepted(), *BOUGHT, seen(0.0), seen(0.05))
        job = after(job, seen(0.25), at=108.0)

        assert 15.0 == job.eta_s

    @pytest.mark.parametrize(
        "facts",
        [
            pytest.param((), id="queued"),
            pytest.param(BOUGHT, id="in the provider's queue"),
            pytest.param((*BOUGHT, seen()), id="running, nothing shown"),
            pytest.param(RUNNING, id="seen once: a place, not a pace"),
            pytest.param((*RUNNING, seen(1.0)), id="all shown, nothing delivered"),
            pytest.param((*RUNNING, seen(0.5), delivered()), id="delivered"),
            pytest.param((*RUNNING, seen(0.5), failed(again=True)), id="to be attempted again"),
        ],
    )
    def test_without_a_pace_there_is_none(self, facts: tuple[Fact, ...]) -> None:
        """The time to go is None before there is a pace, and after there is a need."""
        assert after(accepted(), *facts).eta_s is None

    def test_the_slowest_part_decides(self) -> None:
        """A job of several parts takes as long as the slowest of them."""
        job = after(accepted(TWO), *BOUGHT, submitting(1), submitted(1))
        job = after(job, seen(0.0), seen(0.0, attempt=1), at=110.0)
        job = after(job, seen(0.5), seen(0.25, attempt=1), at=120.0)

        assert 30.0 == job.eta_s

    def test_a_finished_part_needs_no_time(self) -> None:
        """Parts that are done do not delay the estimate."""
        job = after(accepted(TWO), *BOUGHT, submitting(1), submitted(1), delivered(), at=100.0)
        job = after(job, seen(0.0, attempt=1), at=110.0)
        job = after(job, seen(0.5, attempt=1), at=120.0)

        assert 10.0 == job.eta_s

    def test_a_part_that_has_not_begun_leaves_it_open(self) -> None:
        """While one part has shown no pace, nobody can tell about the whole."""
        job = after(accepted(TWO), *BOUGHT, seen(0.0))
        job = after(job, seen(0.5), at=120.0)

        assert job.eta_s is None


class TestTimelines:
    """A job carries its own history."""

    def test_every_change_of_phase_is_kept(self) -> None:
        """The timeline has every change of status or phase, and nothing else."""
        job = after(
            accepted(),
            *(submitting(), submitted(), seen(phase=Phase.THROTTLED), seen(0.2), seen(0.7)),
            *(CancelRequested(), delivered()),
        )

        expected = [
            (100.0, "queued", "queued"),
            (101.0, "in_progress", "submitting"),
            (102.0, "in_progress", "provider_queue"),
            (103.0, "in_progress", "throttled"),
            (104.0, "in_progress", "running"),
            (107.0, "completed", None),
        ]
        assert expected == [(m.at, m.status, m.phase) for m in job.timeline]

    def test_revisions_without_a_change_of_phase_leave_it_alone(self) -> None:
        """A second attempt that is submitting beside a first is a revision, not a moment."""
        job = after(accepted(TWO), submitting(0), submitting(1))

        assert (3, 2) == (job.revision, len(job.timeline))
