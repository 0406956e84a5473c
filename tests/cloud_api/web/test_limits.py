"""What the web application says of health is what the processor means by it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stream_processor.stages.health import health_of
from stream_processor.stages.prognosis import FAILED

MACHINE_STATE = Path(__file__).parents[3] / "cloud_api" / "web" / "src" / "machine_state.ts"


def test_the_limits_of_health_are_the_processors() -> None:
    drawn = {
        label: float(value)
        for label, value in re.findall(
            r'\{ label: "([\w ]+)", value: ([\d.]+) \}', MACHINE_STATE.read_text(encoding="utf-8")
        )
    }
    expected = {"Failed": FAILED, "Alarm limit": health_of(1.0)}
    assert drawn == pytest.approx(expected, abs=0.005)
