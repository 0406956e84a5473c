from __future__ import annotations

import numpy as np
import pytest

from stream_processor.frames import ChannelInfo, EquipmentInfo, Frame

RATES = {"Vibration": 3200.0, "Temperature": 1.0, "Level": 0.01}
INFO = EquipmentInfo(
    "s", "n", "M-1", "pump", "", "live", {n: ChannelInfo(n, "1", r) for n, r in RATES.items()}
)


@pytest.mark.parametrize(
    ("sizes", "offsets", "span_ms"),
    [
        ({}, {}, 0.0),
        ({"Vibration": 0}, {}, 0.0),
        ({"Vibration": 3200, "Temperature": 60}, {}, 60_000.0),
        ({"Vibration": 1600, "Level": 1}, {}, 500.0),
        ({"Temperature": 1, "Level": 1}, {}, 1000.0),
        ({"Level": 1}, {}, 100_000.0),
        ({"Vibration": 3200}, {"Vibration": 250}, 1250.0),
        ({"Unknown": 7}, {}, 0.0),
    ],
)
def test_a_frame_lasts_as_long_as_what_was_sampled_several_times(
    sizes: dict[str, int], offsets: dict[str, int], span_ms: float
) -> None:
    samples = {name: np.zeros(size) for name, size in sizes.items()}
    assert Frame(INFO, 1, 1, samples, offsets_ms=offsets).span_ms == span_ms
