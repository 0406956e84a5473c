"""CSVs of every kind, and what is said of those that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stream_processor.evaluation.table import TableError, read


def written(folder: Path, text: str) -> Path:
    path = folder / "some.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2024-01-01 00:00:00", "2024-01-01 00:01:00"),
        ("2024-01-01T01:00:00+01:00", "2024-01-01T00:01:00Z"),
        ("1704067200", "1704067260"),
        ("1704067200000", "1704067260000"),
    ],
)
def test_times(tmp_path: Path, first: str, second: str) -> None:
    recording = read(written(tmp_path, f"t\tx\n{first}\t1\n{second}\t2\n"), "t")
    assert recording.time_ms.tolist() == [1_704_067_200_000, 1_704_067_260_000]


def test_dirty_data_is_the_normal_case(tmp_path: Path) -> None:
    text = "t;x;note;y;bad\n2024-01-01;1,5;fine;3;0\nsoon;-;odd;oops;1\n2024-01-01T00:02:00;2;;4\n"
    recording = read(written(tmp_path, text), "t", "bad")
    assert [c.name for c in recording.channels] == ["x", "y"]
    assert np.array_equal(recording.values, [[1.5, 3], [np.nan, np.nan], [2, 4]], equal_nan=True)
    assert recording.labels is not None
    assert recording.labels.tolist() == [False, True, False]
    assert (np.diff(recording.time_ms) > 0).sum() >= 1
    told = " ".join(recording.notices)
    assert "'note'" in told
    assert "'y': 1 cells" in told
    assert "1 times" in told
    assert "1 rows have not 5 cells" in told


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("t,x\n1,2\n", {"time": "when"}, "no column 'when'; it has t, x"),
        ("t,x\n1,2\n", {"labels": "x", "time": "t"}, "no column of numbers"),
        ("t,x\nnever,2\n", {"time": "t"}, "no time that can be read"),
        ("t,x,l\n1,2,maybe\n", {"labels": "l"}, "'maybe' is no label"),
        ("t,x\n1,2\n", {"train_rows": 2}, "not between 0 and the 1 rows"),
        ("", {}, "a header and a row"),
    ],
)
def test_what_is_no_recording_is_said(
    tmp_path: Path, text: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(TableError, match=message):
        read(written(tmp_path, text), **arguments)  # type: ignore[arg-type]


def test_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="No such file"):
        read(tmp_path / "gone.csv")
