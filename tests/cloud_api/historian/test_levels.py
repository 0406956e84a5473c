"""Which level answers what, and how windows become buckets."""

from __future__ import annotations

import doctest
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_api.historian import Retention, levels, windows
from cloud_api.historian.levels import (
    BEGINNING_MS,
    DAY_MS,
    HOUR_MS,
    WIDTHS_MS,
    Floors,
    Level,
    bucket_width,
    level_of,
    segments,
)
from cloud_api.historian.windows import Windows, thin

times = st.integers(0, 10 * DAY_MS)


@settings(deadline=None)
@given(start=times, span=st.integers(1, 400 * DAY_MS), most=st.integers(2, 10_000))
def test_no_range_of_a_length_has_too_many_buckets(start: int, span: int, most: int) -> None:
    width = bucket_width(span, most)
    assert (start + span - 1) // width - start // width + 1 <= most
    assert width % level_of(width) == 0 if level_of(width) else width < Level.MINUTE


def test_a_year_is_read_from_hours_and_a_day_from_minutes() -> None:
    assert level_of(bucket_width(365 * DAY_MS, 2000)) is Level.HOUR
    assert level_of(bucket_width(30 * DAY_MS, 2000)) is Level.MINUTE
    assert level_of(bucket_width(DAY_MS, 2000)) is Level.MINUTE
    assert level_of(bucket_width(HOUR_MS, 2000)) is Level.RAW
    assert all(a < b for a, b in itertools.pairwise(WIDTHS_MS))


@settings(deadline=None)
@given(
    level=st.sampled_from(Level),
    start=times,
    span=st.integers(1, 3 * DAY_MS),
    floor=st.tuples(st.integers(-1, 10), st.integers(-1, 10)).map(sorted),
    hidden=st.lists(st.integers(0, 14_000), unique=True, max_size=6).map(sorted),
)
def test_segments_cover_a_range_once(
    level: Level, start: int, span: int, floor: list[int], hidden: list[int]
) -> None:
    end = start + span
    minutes, raw = (BEGINNING_MS if day < 0 else day * DAY_MS for day in floor)
    punched = [(n * 60_000, n * 60_000 + 60_000) for n in hidden if n * 60_000 >= raw]
    found = list(segments(level, (start, end), Floors(raw, minutes), punched))
    assert found[0].start_ms == start
    assert found[-1].end_ms == end
    assert all(a.end_ms == b.start_ms for a, b in itertools.pairwise(found))
    for segment in found:
        assert segment.start_ms < segment.end_ms
        if segment.start_ms >= raw and segment.level:
            assert segment.start_ms % segment.level == segment.end_ms % segment.level == 0
        if segment.start_ms < raw:
            assert segment.level is not Level.RAW
        if segment.start_ms < minutes:
            assert segment.level is Level.HOUR
        if segment.level:
            assert all(b <= segment.start_ms or a >= segment.end_ms for a, b in punched)


@settings(deadline=None)
@given(
    values=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=200),
    width=st.sampled_from([1, 7, 60, 1000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_buckets_keep_extremes_and_counts(values: list[float], width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    value = np.array(values)
    time = np.cumsum(random.integers(1, 50, value.size))
    count = random.integers(1, 10**6, value.size)
    ones = np.ones(value.size, np.int64)
    given_ = Windows(
        time, value, value, value, count, ones, np.ones(value.size), np.ones(value.size)
    )
    found = thin(given_, width, (0, 10**9), first_ms=0)
    assert found.count.sum() == count.sum()
    assert found.points.sum() == value.size
    for at, low, mean, high in zip(
        found.time_ms, found.minimum, found.value, found.maximum, strict=True
    ):
        inside = value[time // width == at // width]
        assert (low, high) == (inside.min(), inside.max())
        assert low <= mean <= high


def test_a_coarse_level_outlives_the_finer_one() -> None:
    with pytest.raises(ValueError, match="no shorter"):
        Retention(raw_days=0, minute_days=10)
    with pytest.raises(ValueError, match="negative"):
        Retention(waveform_bytes=-1)


@pytest.mark.parametrize("module", [levels, windows])
def test_examples_run(module: object) -> None:
    outcome = doctest.testmod(module)  # type: ignore[arg-type]
    assert (outcome.failed, outcome.attempted > 0) == (0, True)
