"""From sensor to spare part, as `headrace demo --headless` tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.mark.slow
@pytest.mark.xdist_group("e2e")
@pytest.mark.parametrize(
    ("scenario", "failure_mode"),
    [("bearing-wear", "bearing_outer_race"), ("blocked-filter", "blocked_filter")],
)
def test_a_fault_ends_in_one_requisition(
    headrace_json: Run, scenario: str, failure_mode: str
) -> None:
    code, result = headrace_json("demo", "--headless", "--scenario", scenario)

    assert result["closed"], result
    assert code == 0
    assert result["tickets"] == 1
    assert result["failure_mode"]["found"] == failure_mode
    assert result["blocks"]["lost"] == 0
    assert result["blocks"]["processed"] == result["blocks"]["sent"] > 0
    for step in ("alarm", "ticket", "reservation", "requisition"):
        assert result[step]["id"]
        assert result[step]["delay_ms"] >= 0


@pytest.mark.slow
@pytest.mark.xdist_group("e2e")
def test_a_healthy_plant_has_no_ticket(headrace_json: Run) -> None:
    code, result = headrace_json("demo", "--headless", "--scenario", "healthy", "--days", "0.25")

    assert code == 0, result
    assert result["tickets"] == 0
    assert result["alarm"] is None
    assert result["blocks"]["processed"] == result["blocks"]["sent"] > 0
