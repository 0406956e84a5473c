"""Whatever a server says becomes a reading, or is said to be none."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isnan
from typing import Any

import numpy as np
import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.base import BAD, GOOD, STALE
from edge_agent.drivers.opcua.decoding import Reading, WrongShapeError, reading

NOW = 1_767_592_800_000.0


def at(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def said(value: Any, status: int = 0, source: Any = None, server: Any = None) -> ua.DataValue:
    kind = None if value is not None else ua.VariantType.Null
    return ua.DataValue(ua.Variant(value, kind), ua.StatusCode(status), source, server)


def read(value: ua.DataValue, waveform: bool = False, timestamps: Any = "source") -> Reading:
    return reading(value, waveform, timestamps, NOW, NOW + 50.0, 5000.0)


@pytest.mark.parametrize(
    ("timestamps", "source", "server", "time", "doubted"),
    [
        ("source", NOW - 100, NOW, NOW - 100, False),
        ("source", NOW - 1e9, NOW, NOW - 1e9, False),
        ("source", NOW + 4000, NOW, NOW + 4000, False),
        ("source", NOW + 6000, NOW - 10, NOW - 10, True),
        ("source", None, NOW - 10, NOW - 10, False),
        ("source", None, None, NOW, False),
        ("source", None, NOW + 6000, NOW, False),
        ("source", -11_644_473_600_000, NOW - 10, NOW - 10, False),
        ("server", NOW - 100, NOW - 10, NOW - 10, False),
        ("gateway", NOW - 100, NOW - 10, NOW + 50, False),
    ],
)
def test_when_it_was(
    timestamps: str, source: float | None, server: float | None, time: float, doubted: bool
) -> None:
    times = [None if ms is None else at(ms) for ms in (source, server)]
    got = read(said(1.0, 0, *times), timestamps=timestamps)

    assert got.time_ms == pytest.approx(time)
    assert got.is_doubted is doubted
    assert got.quality == (STALE if doubted else GOOD)


@given(
    value=st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.text(),
        st.binary(),
        st.datetimes(),
        st.lists(st.one_of(st.floats(), st.integers(-(2**63), 2**63 - 1), st.text())),
        st.lists(st.lists(st.floats(), max_size=2), max_size=3),
    ),
    waveform=st.booleans(),
    status=st.integers(0, 2**32 - 1),
)
def test_whatever_it_is(value: Any, waveform: bool, status: int) -> None:
    data = ua.DataValue(ua.Variant(), ua.StatusCode(status))
    object.__setattr__(data.Value, "Value", value)
    try:
        got = read(data, waveform)
    except WrongShapeError:
        return

    assert (got.samples is not None) == (waveform and value is not None)
    if got.samples is not None:
        assert got.samples.dtype == np.float32
        assert not np.isinf(got.samples).any()
        if got.quality == BAD:
            assert np.isnan(got.samples).all()
    elif got.quality != BAD:
        assert np.isfinite(np.float32(got.value))
        assert got.value == value
    assert got.quality in (GOOD, STALE, BAD)


def test_a_value_that_is_null_is_bad() -> None:
    got = read(said(None))

    assert isnan(got.value)
    assert got.quality == BAD


@pytest.mark.parametrize(
    ("value", "waveform", "reason"),
    [
        ([1.0], False, "needs `waveform = true`"),
        (1.0, True, "its point is no waveform"),
        ("on", False, "holds a str, which is no number"),
        ("on", True, "its point is no waveform"),
        (["a"], True, "does not hold numbers"),
        ([[1.0], [2.0]], True, "several dimensions"),
    ],
)
def test_what_it_is_not_made_for_is_said(value: Any, waveform: bool, reason: str) -> None:
    with pytest.raises(WrongShapeError, match=reason):
        read(said(value), waveform)
