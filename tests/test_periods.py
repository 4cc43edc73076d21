"""Lengths of time as LiteLLM writes them, and when budgets begin anew."""

from datetime import UTC, datetime

import pytest

from taxiway.periods import read_period


def at(text: str) -> float:
    """A date in UTC as Unix seconds."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def reset(length: str, now: str, *, last: str | None = None) -> str:
    """When a budget of this length begins anew."""
    period = read_period(length)
    assert period is not None
    date = period.next_reset(at(now), last=None if last is None else at(last))
    return datetime.fromtimestamp(date, UTC).isoformat(sep=" ", timespec="seconds")[:19]


def later(length: str, now: str) -> str:
    """The date this long after another one."""
    period = read_period(length)
    assert period is not None
    return datetime.fromtimestamp(period.after(at(now)), UTC).isoformat(sep=" ")[:19]


class TestLengths:
    """What a length means."""

    @pytest.mark.parametrize(
        ("length", "date"),
        [
            ("30s", "2024-01-31 12:00:30"),
            ("30m", "2024-01-31 12:30:00"),
            ("12h", "2024-02-01 00:00:00"),
            ("30d", "2024-03-01 12:00:00"),
            ("1w", "2024-02-07 12:00:00"),
            ("1mo", "2024-02-29 12:00:00"),
            ("11mo", "2024-12-31 12:00:00"),
            ("13mo", "2025-02-28 12:00:00"),
        ],
    )
    def test_added_to_a_date(self, length: str, date: str) -> None:
        """A month is a calendar's month, and ends with a shorter one."""
        assert date == later(length, "2024-01-31 12:00:00")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "0d",
            "d",
            "1",
            "1.5h",
            "-1d",
            "1D",
            "1y",
            "1 d",
            "1d ",
            "999999999w",
            "1201mo",
            "\u0661d",
        ],
    )
    def test_what_is_no_length(self, text: str) -> None:
        """Zero, fractions, unknown units and centuries are no lengths."""
        assert read_period(text) is None


class TestResets:
    """When a budget begins anew."""

    @pytest.mark.parametrize(
        ("length", "now", "date"),
        [
            pytest.param("1h", "2024-05-15 10:20:30", "2024-05-15 11:00:00", id="on the hour"),
            pytest.param("1d", "2024-05-15 10:20:30", "2024-05-16 00:00:00", id="at midnight"),
            pytest.param("24h", "2024-05-15 10:20:30", "2024-05-16 00:00:00", id="a day in hours"),
            pytest.param("1d", "2024-05-16 00:00:00", "2024-05-17 00:00:00", id="not at once"),
            pytest.param("7d", "2024-05-15 10:20:30", "2024-05-20 00:00:00", id="on Monday"),
            pytest.param("1w", "2024-05-20 00:00:00", "2024-05-27 00:00:00", id="the next Monday"),
            pytest.param("30d", "2024-05-15 10:20:30", "2024-06-01 00:00:00", id="on the first"),
            pytest.param("1mo", "2024-12-31 23:59:59", "2025-01-01 00:00:00", id="on New Year's"),
            pytest.param("3mo", "2024-11-15 10:20:30", "2025-02-01 00:00:00", id="a quarter on"),
            pytest.param("2d", "2024-05-15 10:20:30", "2024-05-17 10:20:30", id="two days on"),
            pytest.param("90s", "2024-05-15 10:20:30", "2024-05-15 10:22:00", id="seconds on"),
        ],
    )
    def test_the_first_one(self, length: str, now: str, date: str) -> None:
        """Hours, days, weeks and months begin where the calendar has them, other lengths now."""
        assert date == reset(length, now)

    def test_other_lengths_do_not_drift(self) -> None:
        """A length of its own goes on from its last beginning, however late somebody looks."""
        assert "2024-05-19 10:00:00" == reset(
            "2d", "2024-05-17 22:00:00", last="2024-05-15 10:00:00"
        )
