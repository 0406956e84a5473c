"""A bearing that wears out in the simulated plant, as the gateway's analyses see it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from edge_agent.analytics import stages
from edge_agent.drivers.base import Block
from edge_agent.scoring import ScoredDriver
from firmware_sim.driver import create

HEALTHY_S, GROWTH_S = 600, 1200
DRIVE_END = "Vibration Drive End"


@pytest.fixture(scope="module")
def wear() -> dict[str, Any]:
    return {
        "scenario": "bearing-wear",
        "seed": 3,
        "speed": "max",
        "machines": ["P-101"],
        "fault_delay_s": HEALTHY_S,
        "growth_s": GROWTH_S,
        "vibration_interval_s": 30,
        "days": (HEALTHY_S + GROWTH_S + 300) / 86_400,
    }


async def watched(bench: Any, wear: dict[str, Any], **more: Any) -> tuple[list[Block], Any]:
    table = bench.analytics(
        channel="Vibration *",
        outputs=["velocity_rms", "zone", "kurtosis", "envelope", "orders"],
        zone={
            "limits_mm_s": [1.4, 2.8, 4.5],
            "provenance": "this test",
        },
        **more,
    )
    capture = bench.capture(pre_s=1, post_s=1, score=1.0)
    driver, analysed, _ = stages(ScoredDriver(create(wear)), [table], [capture], [])
    return [b async for b in driver.blocks() if isinstance(b, Block)], analysed


async def test_a_worn_bearing_shows_in_the_envelope_at_its_order(
    bench: Any, wear: dict[str, Any]
) -> None:
    blocks, analysed = await watched(bench, wear, raw="captured")

    series: dict[str, list[float]] = defaultdict(list)
    for block in blocks:
        for name, values in block.samples.items():
            if name.startswith(DRIVE_END + " "):
                series[name.removeprefix(DRIVE_END + " ")] += np.asarray(values).tolist()
    healthy, worn = slice(0, HEALTHY_S // 30), slice(-10, None)

    def median(name: str, part: slice) -> float:
        return float(np.median(series[name][part]))

    assert {len(values) for values in series.values()} == {(HEALTHY_S + GROWTH_S + 300) // 30}
    assert np.isfinite(list(series.values())).all()
    assert median("Envelope BPFO", worn) > 10 * median("Envelope BPFO", healthy)
    # It is the outer race and nothing else.
    for other in ("Envelope BPFI", "Envelope BSF"):
        assert median("Envelope BPFO", worn) > 5 * median(other, worn)
    # It grows all along, faster than chance takes it back.
    growing = np.log(series["Envelope BPFO"][HEALTHY_S // 30 : (HEALTHY_S + GROWTH_S) // 30])
    assert np.polyfit(np.arange(growing.size), growing, 1)[0] > 0.05
    # A bearing rings far above what ISO 20816 looks at: its velocity hardly moves.
    assert median("Velocity RMS", healthy) == pytest.approx(1.1, abs=0.3)
    assert 0.9 < median("Velocity RMS", worn) / median("Velocity RMS", healthy) < 1.5
    assert set(series["Zone"]) <= {1.0, 2.0}
    # Balance is what it was.
    assert median("1x", worn) == pytest.approx(median("1x", healthy), rel=0.15)

    # The model saw every waveform although none went out before it was above its limit.
    scores = [b.score for b in blocks if b.score is not None]
    assert len(scores) == (HEALTHY_S + GROWTH_S + 300) // 30
    sent = [b for b in blocks if DRIVE_END in b.samples]
    assert min(s for b in sent if (s := b.score) is not None) >= 1.0
    assert analysed.counts()["captures"] == len([b for b in sent if not b.late])
    assert all("score" in b.capture for b in sent)


async def test_scores_are_the_same_whether_waveforms_go_out(
    bench: Any, wear: dict[str, Any]
) -> None:
    short = {**wear, "days": 600 / 86_400}

    kept, _ = await watched(bench, short, raw="captured")
    bare = [b async for b in ScoredDriver(create(short)).blocks() if isinstance(b, Block)]

    assert [b.score for b in kept if not b.late] == [b.score for b in bare]
