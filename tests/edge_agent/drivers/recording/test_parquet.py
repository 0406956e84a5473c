"""A Parquet file gives the blocks of the CSV with the same rows, whatever its times' type."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent import drivers
from edge_agent.browsing import browse
from edge_agent.drivers import OptionsError
from edge_agent.drivers.recording import parquet
from edge_agent.settings import DriverTable

DATA = Path(__file__).parents[2] / "data"
START_MS = 1_767_592_800_000


async def replayed(path: Path, **options: Any) -> list[tuple[int, dict[str, bytes]]]:
    driver = drivers.open_driver("recording", {"path": str(path), **options})
    return [
        (block.start_time_ms, {name: x.tobytes() for name, x in block.samples.items()})
        async for block in driver.blocks()
        if not hasattr(block, "reason")
    ]


@pytest.mark.parametrize(
    "times",
    [
        pl.Datetime("ms"),
        pl.Datetime("us", "UTC"),
        pl.Datetime("ns", "Asia/Tokyo"),
        pl.Int64,
        pl.Float64,
        pl.String,
    ],
    ids=str,
)
@pytest.mark.parametrize("stretch", [1, 3, 65_536])
async def test_the_rows_of_a_csv_give_its_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: Any, stretch: int
) -> None:
    monkeypatch.setattr(parquet, "STRETCH", stretch)
    at = pl.from_epoch(pl.Series([0, 10, 20, 20, 60, 50, 70, 300, 310]) * 1000 + START_MS, "ms")
    column = at.dt.strftime("%Y-%m-%d %H:%M:%S") if times == pl.String else None
    if column is None and times in (pl.Int64, pl.Float64):
        column = at.dt.epoch("ms").cast(times) / (1000 if times == pl.Float64 else 1)
        column = column.cast(times)
    if column is None:
        column = at.dt.replace_time_zone("UTC").cast(times) if times.time_zone else at.cast(times)
    values = {
        "pressure": [1.5, None, 3.25, 9.0, 0.1, 7.0, 1e300, 5.0, -2.0],
        "count": [1, 2, 3, 4, 5, 6, 7, 8, None],
        "label": [0, 0, 0, 0, 1, 0, 0, 0, 0],
    }
    pl.DataFrame({"t": column, **values}).write_parquet(tmp_path / "given.parquet")
    written = pl.DataFrame({"t": at.dt.epoch("ms"), **values})
    written.write_csv(tmp_path / "given.csv")

    for rows in (1, 2, 5, 100):
        got = await replayed(tmp_path / "given.parquet", rows_per_block=rows)
        assert got == await replayed(tmp_path / "given.csv", rows_per_block=rows)
        assert {name for _, samples in got for name in samples} == {"pressure", "count"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(
        st.sampled_from([-15, 0, 1, 9, 10, 10, 10, 11, 20, 50]), min_size=2, max_size=60
    ),
    rows=st.integers(1, 20),
    stretch=st.integers(1, 20),
)
def test_any_order_of_rows_is_placed_like_a_csv(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], rows: int, stretch: int
) -> None:
    if max(steps) <= 0:
        steps = [*steps, 10, 10, 10]
    folder = tmp_path_factory.mktemp("placed")
    times = START_MS + np.cumsum(steps) * 1000
    frame = pl.DataFrame({"t": times, "v": np.arange(len(times), dtype=np.float64)})
    frame.write_csv(folder / "given.csv")
    frame.write_parquet(folder / "given.parquet", row_group_size=7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "STRETCH", stretch)
        found: list[Any] = []
        for name in ("given.csv", "given.parquet"):
            given_ = {"path": str(folder / name), "rows_per_block": rows}
            try:
                driver = drivers.open_driver("recording", given_)
            except OptionsError as error:
                found.append(str(error).partition(name)[2])
                continue
            recording = driver._recording  # type: ignore[attr-defined]
            spans = [
                (first, values.tobytes())
                for first, values in recording.spans(rows)
                if not np.isnan(values).all()
            ]
            counts = (recording.rows, recording.duplicates, recording.backward, recording.places)
            found.append((recording.start_ms, recording.end_ms, recording.period_ms, counts, spans))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("columns", "options", "path", "said"),
    [
        ({"v": [1.0, 2.0]}, {}, "time", "no column holds times; the columns are v"),
        ({"t": [START_MS], "v": [1.0]}, {}, "path", "two rows at least"),
        ({"t": [START_MS] * 3, "v": [1.0] * 3}, {}, "time", "all rows have the same time"),
        ({"t": [START_MS, None], "v": [1.0] * 2}, {}, "time", "row 2, column 't': None is no time"),
        ({"t": ["2026-01-05", "x"], "v": [1, 2]}, {}, "time", "row 2, column 't': 'x' is no time"),
        ({"t": [START_MS, START_MS + 1], "v": ["a", "b"]}, {}, "path", "no column holds numbers"),
        (
            {"t": [START_MS, START_MS + 1], "v": ["a", "b"]},
            {"columns": ["v"]},
            "columns",
            "column 'v' holds String, no numbers",
        ),
        ({"t": [1], "v": [1]}, {"columns": ["w"], "time": "t"}, "columns", "no column 'w'"),
        ({"t": [1], "v": [1]}, {"time": "u"}, "time", "no column 'u'; the columns are t, v"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, columns: dict[str, Any], options: dict[str, Any], path: str, said: str
) -> None:
    file = tmp_path / "given.parquet"
    pl.DataFrame(columns).write_parquet(file)
    with pytest.raises(OptionsError, match=said) as caught:
        drivers.open_driver("recording", {"path": str(file), **options})
    assert caught.value.path == path


@pytest.mark.parametrize("content", [b"", b"PAR1", b"t,v\n1,2\n", b"PAR1" + bytes(64) + b"PAR1"])
def test_a_file_that_is_no_parquet(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "given.parquet"
    file.write_bytes(content)
    with pytest.raises(OptionsError, match=r"given\.parquet") as caught:
        drivers.open_driver("recording", {"path": str(file)})
    assert caught.value.path == "path"


def test_without_polars_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(OptionsError, match=r"pip install 'headrace\[edge-parquet\]'"):
        drivers.open_driver("recording", {"path": "given.parquet"})


async def test_browse_lists_the_columns(tmp_path: Path) -> None:
    file = tmp_path / "given.parquet"
    at = pl.from_epoch(pl.Series([START_MS, START_MS + 1000]), "ms")
    pl.DataFrame(
        {"at": at.cast(pl.Datetime("ms")), "v": [1.5, 2.0], "label": [0, 1]}
    ).write_parquet(file)
    tables = [
        DriverTable(kind="recording", options={"path": str(path)})
        for path in (file, DATA / "nab.csv", tmp_path / "gone.csv")
    ]
    first, second, gone = await browse(tables)
    assert [(p.name, p.kind, p.value, p.description) for p in first.points] == [
        ("at", "Datetime(time_unit='ms', time_zone=None)", "2026-01-05 06:00:00", ""),
        ("v", "Float64", "1.5", ""),
        ("label", "Int64", "0", "label"),
    ]
    assert [(p.name, p.kind, p.value) for p in second.points] == [
        ("timestamp", "time", "2013-12-02 21:15:00"),
        ("value", "number", "73.5"),
    ]
    assert "gone.csv" in gone.error
