"""What every historian does, whichever store is behind it."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cloud_api.historian import (
    Historian,
    HistorianError,
    SeriesBlock,
    SeriesDescription,
    WaveformRecord,
    open_historian,
)

START = 1_767_225_600_000


def block(
    equipment: str, values: list[float], series: str = "health", start: int = START, unit: str = "1"
) -> SeriesBlock:
    times = start + 1000 * np.arange(len(values), dtype=np.int64)
    return SeriesBlock("plant", equipment, series, unit, times, np.array(values))


def aggregate(
    equipment: str, mean: list[float], low: list[float], high: list[float]
) -> SeriesBlock:
    return SeriesBlock(
        "plant",
        equipment,
        "Vibration Drive End",
        "m/s2",
        START + 1000 * np.arange(len(mean), dtype=np.int64),
        np.array(mean),
        np.array(low),
        np.array(high),
        np.full(len(mean), 3200),
    )


@pytest.fixture
def tag() -> str:
    """A tag no other test writes."""
    return f"P-{uuid.uuid4().hex[:8]}"


def test_points_come_back_in_the_order_of_time(historian: Historian, tag: str) -> None:
    historian.write([block(tag, [3.0, 4.0], start=START + 2000), block(tag, [1.0, 2.0])])
    trend = historian.query("plant", tag, "health", START, START + 10_000, 500)
    assert trend.unit == "1"
    assert trend.time_ms.tolist() == [START, START + 1000, START + 2000, START + 3000]
    assert trend.value.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert trend.minimum.tolist() == trend.maximum.tolist() == trend.value.tolist()


def test_writing_twice_changes_nothing(historian: Historian, tag: str) -> None:
    written = [block(tag, [1.0, 2.0, 3.0]), aggregate(tag, [1.0], [0.5], [1.5])]
    historian.write(written)
    once = historian.query("plant", tag, "health", START, START + 10_000, 500)
    historian.write(written)
    historian.write([*written, *written])
    again = historian.query("plant", tag, "health", START, START + 10_000, 500)
    assert again.time_ms.tolist() == once.time_ms.tolist()
    assert again.value.tolist() == once.value.tolist()
    assert len(historian.list_series("plant", tag)) == 2


def test_a_later_point_of_the_same_time_replaces(historian: Historian, tag: str) -> None:
    historian.write([block(tag, [1.0, 2.0]), block(tag, [5.0])])
    historian.write([block(tag, [7.0], start=START + 1000)])
    trend = historian.query("plant", tag, "health", START, START + 10_000, 500)
    assert trend.value.tolist() == [5.0, 7.0]


def test_the_end_is_not_included(historian: Historian, tag: str) -> None:
    historian.write([block(tag, [1.0, 2.0, 3.0])])
    trend = historian.query("plant", tag, "health", START + 1000, START + 2000, 500)
    assert trend.value.tolist() == [2.0]


def test_what_is_no_number_is_left_out(historian: Historian, tag: str) -> None:
    historian.write([block(tag, [float("nan"), 2.0, float("inf")])])
    trend = historian.query("plant", tag, "health", START, START + 10_000, 500)
    assert trend.value.tolist() == [2.0]
    infinite = float("inf")
    historian.write([aggregate(tag, [1.0, 2.0], [-infinite, 1.0], [2.0, 3.0])])
    trend = historian.query("plant", tag, "Vibration Drive End", START, START + 10_000, 500)
    assert (trend.minimum.tolist(), trend.maximum.tolist()) == ([1.0], [3.0])


def test_series_are_listed_with_their_extent(historian: Historian, tag: str) -> None:
    historian.write([aggregate(tag, [1.0, 2.0], [0.0, 1.0], [3.0, 4.0]), block(tag, [0.9])])
    historian.write([block(tag, [0.8], start=START - 5000)])
    assert historian.list_series("plant", tag) == [
        SeriesDescription("Vibration Drive End", "m/s2", True, START, START + 1000),
        SeriesDescription("health", "1", False, START - 5000, START),
    ]
    assert historian.sites(tag) == ["plant"]
    assert historian.list_series("elsewhere", tag) == []


def test_names_may_hold_any_character(historian: Historian, tag: str) -> None:
    name = 'a "quoted", equal=sign ${name} \u00e4 name'
    historian.write([block(tag, [1.0], series=name, unit="m/s2, \u00b5")])
    (listed,) = historian.list_series("plant", tag)
    assert (listed.series, listed.unit) == (name, "m/s2, \u00b5")
    assert historian.query("plant", tag, name, START, START + 1, 10).value.tolist() == [1.0]
    all_times = (-62_135_596_800_000, 253_402_300_800_000)  # years 1 to 9999
    assert historian.query("plant", tag, name, *all_times, 10).value.tolist() == [1.0]


def test_nothing_is_an_empty_trend(historian: Historian, tag: str) -> None:
    assert historian.query("plant", tag, "health", 0, START, 10).time_ms.size == 0
    historian.write([block(tag, [1.0])])
    assert historian.query("plant", tag, "health", 0, START, 10).time_ms.size == 0
    assert historian.waveform(f"none-{tag}") is None


def test_waveforms_keep_every_sample(historian: Historian, tag: str) -> None:
    samples = np.random.default_rng(1).normal(size=20_000).astype(np.float32)
    record = WaveformRecord(tag, "plant", tag, "Vibration", "m/s2", START, 3200.0, samples)
    historian.write([], [record])
    historian.write([], [record])
    kept = historian.waveform(tag)
    assert kept is not None
    assert kept.samples.tobytes() == samples.tobytes()
    assert (kept.site, kept.equipment, kept.channel, kept.unit) == (
        "plant", tag, "Vibration", "m/s2",
    )  # fmt: skip
    assert (kept.start_time_ms, kept.sample_rate_hz) == (START, 3200.0)


finite = st.floats(-1e6, 1e6)


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    values=st.lists(st.tuples(finite, finite, finite).map(sorted), min_size=1, max_size=120),
    max_points=st.integers(1, 40),
    gap=st.integers(0, 40_000),
)
def test_decimation_keeps_minimum_and_maximum(
    historian: Historian, values: list[list[float]], max_points: int, gap: int
) -> None:
    tag = f"P-{uuid.uuid4().hex}"
    low, mean, high = (list(column) for column in zip(*values, strict=True))
    written = aggregate(tag, mean, low, high)
    written.time_ms[len(values) // 2 :] += gap
    historian.write([written])
    trend = historian.query("plant", tag, "Vibration Drive End", START, START + 10**9, max_points)
    assert 1 <= trend.time_ms.size <= max_points
    assert np.all(np.diff(trend.time_ms) > 0)
    assert trend.minimum.min() == min(low)
    assert trend.maximum.max() == max(high)
    slack = 1e-9 * 1e6
    assert np.all(trend.minimum <= trend.value + slack)
    assert np.all(trend.value <= trend.maximum + slack)
    if len(values) <= max_points:
        assert trend.value.tolist() == mean


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(HistorianError, match="mysql"):
        open_historian("mysql://somewhere/else")


def test_an_influxdb_url_says_all_it_must() -> None:
    with pytest.raises(HistorianError, match="ORGANISATION:TOKEN"):
        open_historian("influxdb+http://127.0.0.1:8086/headrace")


def test_a_bound_of_memory_behind_the_path_is_taken_or_refused(tmp_path: Path) -> None:
    historian = open_historian(f"duckdb:///{tmp_path / 'bounded.duckdb'}?memory_limit=48MB")
    try:
        assert historian.list_series("riverside", "P-1") == []
    finally:
        historian.close()
    assert (tmp_path / "bounded.duckdb").exists()
    with pytest.raises(HistorianError, match=r"wrong\.duckdb"):
        open_historian(f"duckdb:///{tmp_path / 'wrong.duckdb'}?memory_limit=much")
