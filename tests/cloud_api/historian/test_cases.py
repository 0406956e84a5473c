"""The cases of `cases.toml`, asked of every historian."""

from __future__ import annotations

import tomllib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloud_api.historian import Historian, SeriesBlock, Trend

START = 1_767_225_600_000
CHANNEL = "Discharge Pressure"
CASES = tomllib.loads((Path(__file__).parent / "cases.toml").read_text(encoding="utf-8"))["case"]


def block(tag: str, step: dict[str, Any]) -> SeriesBlock:
    count = step["count"]
    times = START + 1000 * (step["at"] + step.get("every", 1) * np.arange(count, dtype=np.int64))
    value = np.full(count, step["value"])
    return SeriesBlock(
        "plant", tag, CHANNEL, "bar", times, value, value - 1.0, value + 1.0,
        np.full(count, step.get("of", 1)), np.ones(count), 1000,
    )  # fmt: skip


def seen(trend: Trend) -> dict[str, Any]:
    times = ((trend.time_ms - START) / 1000).tolist()
    return {
        "bucket": trend.bucket_ms / 1000,
        "times": times,
        "size": len(times),
        "first": times[0],
        "last": times[-1],
        "values": trend.value.tolist(),
        "minima": trend.minimum.tolist(),
        "maxima": trend.maximum.tolist(),
        "least": trend.minimum.min(),
        "greatest": trend.maximum.max(),
        "coverage": trend.coverage.tolist(),
    }


@pytest.mark.parametrize("case", CASES, ids=[case["name"].replace(" ", "-") for case in CASES])
def test_case(new_historian: Callable[..., Historian], case: dict[str, Any]) -> None:
    retention = case.get("retention", {})
    historian = new_historian(**retention)
    tag = f"P-{uuid.uuid4().hex[:8]}"
    for step in case["steps"]:
        if step == "tend":
            historian.tend()
        elif step == "open":
            historian = new_historian(**retention)
        else:
            historian.write([block(tag, step)])
    start, end, most = case["ask"]
    trend = historian.query("plant", tag, CHANNEL, START + start * 1000, START + end * 1000, most)
    found = seen(trend)
    assert {name: found[name] for name in case["answer"]} == {
        name: pytest.approx(value) for name, value in case["answer"].items()
    }


def test_panning_moves_no_bucket(new_historian: Callable[..., Historian]) -> None:
    historian = new_historian()
    tag = f"P-{uuid.uuid4().hex[:8]}"
    values = np.random.default_rng(1).normal(size=7200)
    times = START + 1000 * np.arange(7200, dtype=np.int64)
    historian.write([SeriesBlock("plant", tag, CHANNEL, "bar", times, values)])
    historian.tend()

    def inner(shift_s: float) -> dict[int, tuple[float, float, float]]:
        start = START + 1_800_000 + round(shift_s * 1000)
        trend = historian.query("plant", tag, CHANNEL, start, start + 3_600_000, 30)
        assert trend.bucket_ms == 180_000
        rows = zip(trend.time_ms, trend.value, trend.minimum, trend.maximum, strict=True)
        return {int(t): tuple(rest) for t, *rest in list(rows)[1:-1]}

    still = inner(0)
    for shift_s in (0.25, 7, 61, 400, 1799):
        moved = inner(shift_s)
        both = still.keys() & moved.keys()
        assert len(both) >= 8
        assert all(moved[t] == pytest.approx(still[t]) for t in both)
