"""A filled template is what protobuf writes of the same series."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.stages.series_template import SeriesTemplate, varint
from stream_processor.v1.points_pb2 import Points

Row = tuple[str, str, float, float]
TIMES = st.integers(-(1 << 63), (1 << 63) - 1)
ROWS = st.lists(
    st.tuples(st.text(max_size=200), st.text(max_size=5), st.floats(), st.floats(0, 1, width=32)),
    max_size=8,
)


@given(TIMES, TIMES, ROWS, st.integers(0, 8))
def test_its_bytes_are_those_of_protobuf(
    before: int, time_ms: int, rows: list[Row], covered: int
) -> None:
    covered = min(covered, len(rows))
    template = SeriesTemplate([(name, unit) for name, unit, _, _ in rows], covered)
    values = np.array([value for _, _, value, _ in rows])
    coverage = np.array([share for *_, share in rows[:covered]])
    due = Points()
    for at, (name, unit, value, share) in enumerate(rows):
        if value == value:
            due.series.add(
                name=name,
                unit=unit,
                time_ms=[time_ms],
                value=[value],
                coverage=[share] if at < covered else [],
            )

    template.fill(before, values, coverage)

    assert template.fill(time_ms, values, coverage) == due.SerializeToString(deterministic=True)


@given(st.integers(0, (1 << 63) - 1))
def test_a_varint_is_seven_bits_a_byte(value: int) -> None:
    written = varint(value)

    assert sum((byte & 0x7F) << 7 * i for i, byte in enumerate(written)) == value
    assert [byte >> 7 for byte in written] == [1] * (len(written) - 1) + [0]
