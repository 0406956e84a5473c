"""What is judged of little, and what goes on when a machine is born with other channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stream_processor.frames import ChannelInfo, EquipmentInfo, Frame
from stream_processor.stages.correction import Correction
from stream_processor.stages.items import LEAST_COVERAGE
from stream_processor.stages.state_detection import WARM_UP_FRAMES
from stream_processor.v1.alert_pb2 import AdvisoryState

START = 1_700_000_000_000
NAN = float("nan")
NewChain = Callable[[], Any]


class Machine:
    """A gearbox with one waveform and one reading a second."""

    def __init__(self, seed: int = 1) -> None:
        self.random = np.random.default_rng(seed)
        self.second = 0
        self.rate_hz = 3200.0
        self.channels = ["Vibration", "Oil"]

    def info(self) -> EquipmentInfo:
        known = {
            "Vibration": ChannelInfo("Vibration", "m/s2", self.rate_hz, "acceleration"),
            "Oil": ChannelInfo("Oil", "degC", 1.0, "temperature"),
            "Pressure": ChannelInfo("Pressure", "bar", 1.0, "pressure"),
        }
        chosen = {name: known[name] for name in self.channels}
        facts = {"Nominal Speed": 25.0}
        return EquipmentInfo("s", "n", "G-1", "gearmotor", "", "live", chosen, facts)

    def frame(self, size: int = 0, amplitude: float = 1.0, share: float = 1.0) -> Frame:
        """Return the next second, of which `share` was measured."""
        at = START + self.second * 1000
        self.second += 1
        size = size or int(self.rate_hz)
        waveform = amplitude * self.random.normal(size=size)
        waveform[round(share * size) :] = NAN
        found = {
            "Vibration": waveform,
            "Oil": np.array([60.0 + 0.3 * self.random.normal()]),
            "Pressure": np.array([4.0 + 0.01 * self.random.normal()]),
        }
        return Frame(self.info(), at, at, {name: found[name] for name in self.channels})


@pytest.fixture
def machine() -> Machine:
    return Machine()


def warmed(machine: Machine, new_chain: NewChain, frames: int = 120) -> Any:
    chain = new_chain()
    for _ in range(frames):
        chain.feed(machine.frame())
    assert chain.said == []
    return chain


def ratio_of(chain: Any) -> dict[str, float]:
    """Return the last ratio of every feature by its series."""
    detections = chain.detections
    known = detections.features.catalogue
    ratios = detections.deviations[-1].ratio.tolist()
    return dict(zip((f.series for f in known.features), ratios, strict=True))


def judged(chain: Any, frame: Frame) -> Any:
    """Feed a frame and return what state detection said of it."""
    manipulation, detection, *rest = chain.stages
    detections = detection.update(manipulation.update(frame))
    item: Any = detections
    for stage in rest:
        item = stage.update(item)
    chain.said += item.advisories
    chain.detections = detections
    return detections.deviations[-1]


def test_a_window_of_few_samples_raises_nothing(machine: Machine, new_chain: NewChain) -> None:
    chain = warmed(machine, new_chain)
    for share in (0.001, 0.1, 0.49):
        for _ in range(20):
            deviation = judged(chain, machine.frame(amplitude=50.0, share=share))
            assert not any(
                ratio for series, ratio in ratio_of(chain).items() if series.startswith("Vib")
            )
            assert deviation.judged, "the oil is known"
    raised = [a for a in chain.said if a.evidence.features[0].feature != "missing_share"]
    assert raised == []
    # What is measured enough is judged: three of these in a row are over the limit.
    for _ in range(20):
        judged(chain, machine.frame(amplitude=50.0, share=LEAST_COVERAGE + 0.1))
    assert "machine-deviation" in [a.rule for a in chain.said]


def test_short_blocks_raise_nothing(machine: Machine, new_chain: NewChain) -> None:
    chain = warmed(machine, new_chain)
    for _ in range(6):
        judged(chain, machine.frame(size=300, amplitude=50.0))
    assert chain.said == []


def test_what_cannot_be_judged_neither_raises_nor_clears(
    machine: Machine, new_chain: NewChain
) -> None:
    machine.channels = ["Vibration"]
    chain = warmed(machine, new_chain)
    for _ in range(20):
        judged(chain, machine.frame(amplitude=5.0))
    (raised,) = [a for a in chain.said if a.state == AdvisoryState.ADVISORY_STATE_RAISED]
    health = chain.stages[2].state()
    for _ in range(300):
        assert not judged(chain, machine.frame(share=0.3)).judged
    assert chain.stages[2].state() == health
    assert {a.advisory_id for a in chain.said if a.rule == raised.rule} == {raised.advisory_id}
    assert not [a for a in chain.said if a.state == AdvisoryState.ADVISORY_STATE_CLEARED]


def test_another_sampling_rate_begins_waveforms_anew_and_lets_readings_go_on(
    machine: Machine, new_chain: NewChain
) -> None:
    chain = warmed(machine, new_chain)
    before = chain.stages[1].state()["baseline"]["statistics"][0]
    machine.rate_hz = 6400.0
    judged(chain, machine.frame())
    known = chain.detections.features.catalogue
    seen = chain.stages[1].state()["baseline"]["statistics"][0]
    assert before.min() > WARM_UP_FRAMES
    for feature, count in zip(known.features, seen, strict=True):
        assert count == 1 if feature.channel == "Vibration" else count > WARM_UP_FRAMES
    # It is as quiet as before: what differs is how it is sampled.
    for _ in range(200):
        judged(chain, machine.frame())
    assert chain.said == []
    # Oil is watched all the while, and the waveform again by now.
    for _ in range(20):
        judged(chain, machine.frame(amplitude=4.0))
    assert [a.state for a in chain.said][:1] == [AdvisoryState.ADVISORY_STATE_RAISED]


def test_a_new_channel_begins_by_itself(machine: Machine, new_chain: NewChain) -> None:
    machine.channels = ["Vibration", "Oil"]
    chain = warmed(machine, new_chain)
    machine.channels = ["Vibration", "Oil", "Pressure"]
    judged(chain, machine.frame())
    # Another driver: what all is compared by has changed.
    assert chain.stages[1].state()["baseline"]["statistics"][0].max() == 1
    for _ in range(100):
        judged(chain, machine.frame())
    machine.channels = ["Vibration", "Oil"]
    for _ in range(100):
        judged(chain, machine.frame())
    assert chain.said == []


def test_a_late_frame_is_computed_by_itself(machine: Machine) -> None:
    frame = machine.frame()
    found = Correction().update(frame)
    assert found.advisories == []
    names = {s.name for s in found.points.series}
    assert {"Vibration/rms", "Vibration/velocity_rms", "Vibration/band_low"} <= names
    assert not [n for n in names if "rolling" in n or n in ("health", "score", "combination")]
    assert {a.channel for a in found.points.aggregates} == {"Vibration", "Oil"}
    assert [list(a.coverage) for a in found.points.aggregates] == [[1.0], [1.0]]
    other = Correction()
    other.update(machine.frame())
    assert other.update(frame) == found
    assert Correction.restore(other.state()).update(frame) == found


@pytest.mark.parametrize(
    ("rate_hz", "samples", "expected"),
    [
        (3200.0, 3200, [1.0]),
        (3200.0, 4800, [1.0, 0.5]),
        (12.5, 25, [1.0, 1.0]),
        (0.1, 2, [1.0, 1.0]),
        (1e-9, 2, [1.0, 1.0]),
    ],
)
def test_an_aggregate_says_how_much_of_its_second_was_measured(
    machine: Machine, rate_hz: float, samples: int, expected: list[float]
) -> None:
    machine.channels, machine.rate_hz = ["Vibration"], rate_hz
    (aggregate,) = Correction().update(machine.frame(size=samples)).points.aggregates
    assert list(aggregate.coverage) == expected
    (aggregate,) = Correction().update(machine.frame(size=samples, share=0.5)).points.aggregates
    assert sum(aggregate.coverage) == pytest.approx(sum(expected) / 2, abs=0.05)
