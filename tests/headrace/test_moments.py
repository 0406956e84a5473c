"""Times as people give them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headrace.moments import moment_of, span_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("-1d", -86400), ("+2h30m", 9000), ("90s", 90), ("1.5h", 5400), ("250ms", 0.25)],
)
def test_a_length_of_time_is_read(text: str, seconds: float) -> None:
    assert span_of(text).total_seconds() == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "-", "1d-2h", "soon"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no length of time"):
        span_of(text)


def test_a_time_is_read_or_is_ago() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert moment_of("1d", now) == (now - timedelta(days=1)).isoformat()
    assert moment_of("2026-01-01T12:00:00Z", now) == "2026-01-01T12:00:00+00:00"
    with pytest.raises(ValueError, match="no time"):
        moment_of("yesterday", now)
