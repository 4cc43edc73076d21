"""Values that change by being copied."""

import dataclasses

import pytest

from taxiway.frozen import replace
from taxiway.jobs import Attempt, JobError, Phase

ATTEMPT = Attempt(
    index=0, part=0, images=1, deployment="d", provider="runwayml", model="gen4_image"
)


def test_a_copy_differs_in_what_was_asked_for() -> None:
    """A copy has the new values in the fields that were named, and the old ones in all others."""
    copy = replace(ATTEMPT, phase=Phase.RUNNING, progress=0.5)

    assert dataclasses.replace(ATTEMPT, phase=Phase.RUNNING, progress=0.5) == copy
    assert Phase.SUBMITTING is ATTEMPT.phase


def test_a_copy_is_frozen_too() -> None:
    """A copy is a value like the one it was made from."""
    copy = replace(JobError(code="job_timeout", message="Too late."), message="Later.")

    with pytest.raises(dataclasses.FrozenInstanceError):
        copy.code = "job_cancelled"  # type: ignore[misc]


def test_a_field_that_is_none_is_refused() -> None:
    """An unknown field is an error, and not an attribute more."""
    with pytest.raises(AttributeError):
        replace(ATTEMPT, percent=50)  # type: ignore[call-arg]
