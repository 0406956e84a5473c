from __future__ import annotations

import pytest

from stream_processor.watermarks import SILENT_MS, Delay, Watermarks

NOW = 1_800_000_000_000.0


@pytest.fixture
def watermarks() -> Watermarks:
    made = Watermarks()
    made.tell(1, "s/a", NOW - 3000, NOW)
    made.tell(1, "s/b", NOW - 8000, NOW)
    made.tell(2, "s/c", NOW + 500, NOW)
    return made


def test_the_last_of_a_partitions_devices_is_told(watermarks: Watermarks) -> None:
    assert watermarks.delay(1, NOW) == Delay(2, 8.0, "s/b")
    assert watermarks.delay(1, NOW + 1000) == Delay(2, 9.0, "s/b")
    assert watermarks.delay(2, NOW) == Delay(1, 0.0, "s/c"), "nobody is ahead of time"
    assert watermarks.delay(3, NOW) == Delay(0, 0.0)


def test_who_is_away_or_silent_is_not_delayed(watermarks: Watermarks) -> None:
    watermarks.tell(1, "s/b", None, NOW)
    watermarks.tell(1, "s/unknown", None, NOW)
    assert watermarks.delay(1, NOW) == Delay(1, 3.0, "s/a")
    assert watermarks.delay(1, NOW + SILENT_MS + 1) == Delay(0, 0.0)
