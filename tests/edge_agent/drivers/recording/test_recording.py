"""Recordings: grids, gaps, formats, and where a bad cell lies."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent import drivers
from edge_agent.drivers import OptionsError
from edge_agent.drivers.recording import RecordingDriver, RecordingError
from edge_agent.drivers.recording.table import read

DATA = Path(__file__).parents[2] / "data"
NAN = float("nan")


def ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


def written(folder: Path, *lines: str) -> Path:
    path = folder / "given.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def opened(**options: Any) -> RecordingDriver:
    driver = drivers.open_driver("recording", {**options, "path": str(options["path"])})
    assert isinstance(driver, RecordingDriver)
    return driver


async def replayed(**options: Any) -> list[Any]:
    return [block async for block in opened(**options).blocks()]


def test_a_nab_series_with_a_gap_a_twin_and_a_step_back() -> None:
    table = read(DATA / "nab.csv")

    assert table.channels == ("value",)
    assert (table.start_ms, table.period_ms) == (ms(2013, 12, 2, 21, 15), 300_000)
    assert table.end_ms == ms(2013, 12, 2, 21, 45)
    np.testing.assert_array_equal(table.values[:, 0], [73.5, 74.25, 75, NAN, NAN, 76.5, 77])
    assert (table.rows, table.duplicates, table.backward) == (7, 1, 1)


def test_a_skab_file_without_its_labels() -> None:
    table = read(DATA / "skab.csv")

    assert len(table.channels) == 8
    assert table.channels[-1] == "Volume Flow RateRMS"
    assert (table.start_ms, table.period_ms) == (ms(2020, 3, 9, 10, 14, 33), 1000)
    voltage = table.values[:, table.channels.index("Voltage")]
    np.testing.assert_array_equal(voltage, [233, NAN, 235, NAN, 236])


def test_a_comma_is_a_decimal_mark_where_it_separates_nothing() -> None:
    table = read(DATA / "decimal_comma.csv")

    assert table.channels == ("Druck",)
    assert table.start_ms == ms(2026, 1, 5, 6)
    np.testing.assert_array_equal(table.values[:, 0], [1.5, -2.25, NAN])


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-05T06:00:{:02d}Z",
        "2026-01-05 07:00:{:02d}+01:00",
        "2026-01-05 06:00:{:02d}.000",
        "05.01.2026 06:00:{:02d}",
        "01/05/2026 06:00:{:02d}",
        "2026/01/05 06:00:{:02d}",
        "17675928{:02d}",
        "17675928{:02d}.0",
        "17675928{:02d}000",
    ],
)
def test_formats_of_time(tmp_path: Path, time: str) -> None:
    path = written(tmp_path, "a\tt\tb", *(f"{i}\t{time.format(i)}\t2" for i in range(3)))

    table = read(path)

    assert (table.start_ms, table.period_ms) == (ms(2026, 1, 5, 6), 1000)
    assert table.channels == ("a", "b")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("t,v", "2026-01-05,1", "", "2026-01-06,x"), r"line 4, column 'v': 'x' is no number"),
        (("t,v", "2026-01-05,1", "later,2"), r"line 3, column 't': 'later' is no time"),
        (("t,v", "2026-01-05,1", "2026-01-06"), "line 3: 1 cells where 2 are due"),
        (("t,v", "2026-01-05,1"), "a header and two rows at least"),
        (("2026-01-05,1", "2026-01-06,2", "2026-01-07,3"), "line 1: a header with the columns"),
        (("t,t", "2026-01-05,1", "2026-01-06,1"), "line 1: a column's name stands twice"),
        (("t", "2026-01-05", "2026-01-06"), "line 1: one column only"),
        (("t,v", "5,1", "6,2"), "no column holds times; the columns are t, v"),
        (("t,v", "2026-01-05,a", "2026-01-06,b"), "no column holds numbers"),
        (("t,v", "2026-01-05,1", "2026-01-05,2"), "all rows have the same time"),
        (
            (
                "t,v",
                "2026-01-05 00:00,1",
                "2026-01-05 00:01,2",
                "2026-01-05 00:02,2",
                "2036-01-05,3",
            ),
            "are the times right",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, lines: tuple[str, ...], said: str
) -> None:
    with pytest.raises(RecordingError, match=said):
        read(written(tmp_path, *lines))


@pytest.mark.parametrize(
    ("options", "path", "said"),
    [
        ({"path": "gone.csv"}, "path", r"gone\.csv"),
        ({"path": None}, "path", "is missing"),
        ({"path": ""}, "path", "length"),
        ({"pace": 1}, "pace", "no such field"),
        ({"speed": 0}, "speed", "> 0"),
        ({"speed": True}, "speed", "got `bool`"),
        ({"speed": "fast"}, "speed", "fast"),
        ({"rows_per_block": 0}, "rows_per_block", ">= 1"),
        ({"separator": ";;"}, "separator", "length"),
        ({"path": "a.parquet", "separator": ";"}, "separator", "leave it out"),
        ({"columns": "value"}, "columns", "array"),
        ({"columns": []}, "columns", "length"),
        ({"columns": ["value", "value"]}, "columns", "twice"),
        ({"columns": ["at"], "time": "at"}, "columns", "the column of the times"),
        ({"columns": ["worth"]}, "columns", "no column 'worth'; the columns are timestamp, value"),
        ({"time": "when"}, "time", "no column 'when'"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], path: str, said: str) -> None:
    given = {"path": str(DATA / "nab.csv"), **options}
    with pytest.raises(OptionsError, match=said) as caught:
        drivers.open_driver("recording", {k: v for k, v in given.items() if v is not None})
    assert caught.value.path == path


async def test_blocks_leave_a_whole_gap_out() -> None:
    blocks = await replayed(path=DATA / "nab.csv", rows_per_block=2)

    start = ms(2013, 12, 2, 21, 15)
    assert [b.start_time_ms - start for b in blocks] == [0, 600_000, 1_200_000, 1_800_000]
    np.testing.assert_array_equal(
        np.concatenate([b.samples["value"] for b in blocks]), [73.5, 74.25, 75, NAN, NAN, 76.5, 77]
    )
    assert {b.device for b in blocks} == {"nab"}
    ones = await replayed(path=DATA / "nab.csv", rows_per_block=1)
    assert [(b.start_time_ms - start) // 300_000 for b in ones] == [0, 1, 2, 5, 6]


def test_the_machine_is_a_recording() -> None:
    driver = opened(path=DATA / "skab.csv", tag="rig")

    (device,) = driver.devices()
    assert (device.tag, device.equipment_class, device.clock) == ("rig", "recording", "recording")
    assert {c.sample_rate_hz for c in device.channels} == {1.0}
    assert driver.block_count == 1


@given(
    values=st.lists(st.floats(width=32, allow_infinity=False), min_size=2, max_size=40),
    missing=st.sets(st.integers(1, 38)),
)
def test_every_row_comes_back_in_its_place(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], missing: set[int]
) -> None:
    kept = [i for i in range(len(values)) if i not in missing]
    if len(kept) < 3 or np.median(np.diff(kept)) != 1:
        kept = list(range(len(values)))
    lines = (f"{1_767_592_800 + 10 * i},{values[i]!r}" for i in kept)
    table = read(written(tmp_path_factory.mktemp("table"), "t,v", *lines))

    due = np.full(kept[-1] + 1, NAN, np.float32)
    due[kept] = np.array(values, np.float32)[kept]
    np.testing.assert_array_equal(table.values[:, 0], due)
