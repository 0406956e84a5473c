"""The shipped models judge a machine, not the length of its blocks."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.drivers.base import Device
from edge_agent.scoring import scorer_for
from firmware_sim.driver import create


async def scores(interval_s: int, seconds: int) -> dict[str, list[float]]:
    """Return each machine's scores of a healthy run in blocks of `interval_s`."""
    driver = create(
        {
            "scenario": "healthy",
            "seed": 7,
            "speed": "max",
            "days": seconds / 86400,
            "vibration_interval_s": interval_s,
        }
    )
    scorers = {device.tag: scorer_for(device) for device in driver.devices()}
    found: dict[str, list[float]] = {tag: [] for tag in scorers}
    async for block in driver.blocks():
        scorer = scorers[block.device]
        assert scorer is not None
        score = scorer.score(block)
        assert score is not None
        found[block.device].append(score)
    return found


@pytest.mark.parametrize("interval_s", [1, 10, 60])
async def test_a_healthy_machine_is_under_its_limit_in_blocks_of_any_length(
    interval_s: int,
) -> None:
    found = await scores(interval_s, 150)

    assert len(found) == 6
    for tag, values in found.items():
        assert len(values) == -(-150 // interval_s)
        assert max(values) < 1.0, tag


async def test_blocks_of_a_second_score_as_blocks_of_a_minute() -> None:
    seconds, minutes = await scores(1, 180), await scores(60, 180)

    for tag, values in seconds.items():
        assert np.median(values[60:]) == pytest.approx(np.median(minutes[tag]), abs=0.15), tag


def test_a_class_without_a_model_has_no_scorer() -> None:
    assert scorer_for(Device("R-1", "recording", "recordings", ())) is None
