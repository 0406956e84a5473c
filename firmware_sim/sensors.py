"""What a sensor makes of a quantity: noise, and the ways in which it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from edge_agent.drivers.base import Channel
from firmware_sim.faults import SENSOR_DRIFT, SENSOR_DROPOUT, SENSOR_SPIKE

F64 = npt.NDArray[np.float64]

# Samples are lost in bursts of this many.
_BURST = 10


@dataclass(frozen=True, slots=True)
class Sensor:
    """A slow sensor: its channel, the standard deviation of its noise, and its span.

    `span` is what the quantity usually varies by; faults are sized by it.
    """

    channel: Channel
    noise: float
    span: float


def slow(
    name: str, unit: str, quantity: str, noise: float, span: float, location: str = ""
) -> Sensor:
    """Return a sensor that gives one sample a second."""
    return Sensor(Channel(name, unit, 1.0, quantity, location), noise, span)


def corrupt(samples: F64, label: str, severity: F64, span: float, random: Generator) -> F64:
    """Return `samples` as a drifting, dropping or spiking sensor gives them.

    Drift adds up to 1.5 spans; dropout loses a share of the samples (NaN) as large as the
    severity; spikes of two to six spans hit up to one sample in twenty. `severity` has the shape of
    `samples`.
    """
    count = len(samples)
    if label == SENSOR_DRIFT:
        return samples + 1.5 * span * severity
    if label == SENSOR_DROPOUT:
        draws = np.repeat(random.random(count // _BURST + 1), _BURST)[:count]
        return np.where(draws < severity, np.nan, samples)
    if label == SENSOR_SPIKE:
        hit = random.random(count) < 0.05 * severity
        height = span * random.uniform(2.0, 6.0, count) * random.choice((-1.0, 1.0), count)
        return np.where(hit, samples + height, samples)
    raise ValueError(f"{label} is not a fault that spoils samples one by one")
