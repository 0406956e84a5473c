"""Any CSV of sensor data goes through the whole loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import firmware_sim

Run = Callable[..., tuple[int, dict[str, Any]]]
RECORDINGS = Path(firmware_sim.__file__).parent / "recordings"


@pytest.mark.slow
@pytest.mark.xdist_group("e2e")
def test_the_failure_of_a_real_machine_ends_in_a_ticket(headrace_json: Run) -> None:
    recording = RECORDINGS / "machine_temperature_system_failure.csv"
    labels = json.loads(recording.with_suffix(".labels.json").read_text())

    code, result = headrace_json("replay", str(recording))

    assert code == 0
    assert result["blocks"]["processed"] == result["blocks"]["sent"] > 0
    assert result["blocks"]["lost"] == 0
    catastrophic = labels["windows"][3]
    times = [ticket["sample_time"] for ticket in result["tickets"]]
    assert any(catastrophic[0] <= time <= catastrophic[1] for time in times), times
