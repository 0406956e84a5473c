"""What all machines have in common: hours of slow physics, seconds of vibration, blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from edge_agent.drivers.base import Block, Channel, Clock, Device, Fact, Samples
from firmware_sim.faults import (
    BEARING_INNER_RACE,
    BEARING_OUTER_RACE,
    ROTOR_FAULTS,
    SENSOR_FAULTS,
    SENSOR_STUCK,
    Fault,
)
from firmware_sim.physics.bearing import Bearing, defect_impulses, train
from firmware_sim.physics.chance import Chance
from firmware_sim.physics.duty import Duty
from firmware_sim.physics.hour import SECONDS, Hour
from firmware_sim.physics.vibration import SAMPLE_RATE_HZ, VibrationModel, shaft_cycles
from firmware_sim.sensors import Sensor, corrupt

F64 = npt.NDArray[np.float64]

_FIXED, _HOURS, _SENSORS, _VIBRATION, _FAULT_VIBRATION, _FAULT_SENSORS = range(6)
# Peak acceleration of the impulses of a bearing defect at severity 1, m/s2.
DEFECT_PEAK = 18.0
# How long a drive takes to a rate that it was ordered.
DRIVE_RAMP_S = 5.0
# Keys of `Machine.run` beside the channels: shaft frequency in Hz, gain of the healthy vibration.
SPEED, GAIN = "speed hz", "vibration gain"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a machine stands: its tag, the ISA-95 path above it, what it is there for."""

    tag: str
    path: str
    description: str


@dataclass(frozen=True)
class Second:
    """One second of a machine, for its vibration."""

    random: Generator
    cycles: F64
    speed_hz: float
    values: Mapping[str, float]
    severities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Run:
    """An hour as it came out: what truly was, and what the slow sensors said."""

    true: Mapping[str, F64]
    measured: Mapping[str, F64]
    severities: Mapping[str, F64]


class Machine(ABC):
    """A machine that runs from `start_ms` on, in whole seconds.

    The same seed gives the same samples whatever was asked before; a fault changes nothing before
    its onset.
    """

    equipment_class: ClassVar[str]
    faults: ClassVar[frozenset[str]] = frozenset()
    """What can go wrong beside the faults of every rotor and every sensor."""
    bearing: ClassVar[Bearing]
    accelerometers: ClassVar[tuple[Channel, ...]]
    impulse_path: ClassVar[tuple[float, ...]]
    """How much of an impulse at the bearing reaches each accelerometer."""
    sensors: ClassVar[tuple[Sensor, ...]]
    nominal_speed_hz: ClassVar[float]

    def __init__(
        self, placement: Placement, seed: int, start_ms: int, faults: Sequence[Fault] = ()
    ) -> None:
        self.placement = placement
        self.start_ms = start_ms
        self.duty = Duty(seed)
        self._faults = tuple(faults)
        self._orders: list[tuple[float, float | None]] = []
        self._chance = Chance(seed, placement.tag)
        self._vibration = self.vibration(self._chance.at(_FIXED))
        self._starts: list[dict[str, float]] = [{}]
        self._runs: dict[int, _Run] = {}
        channels = {sensor.channel.name for sensor in self.sensors}
        channels |= {channel.name for channel in self.accelerometers}
        for fault in self._faults:
            if fault.label not in self.faults | ROTOR_FAULTS | SENSOR_FAULTS:
                raise ValueError(f"{placement.tag}: a {self.equipment_class} has no {fault.label}")
            if sum(fault.label == other.label for other in self._faults) > 1:
                raise ValueError(f"{placement.tag} has {fault.label} twice")
            if fault.channel and fault.channel not in channels:
                raise ValueError(f"{placement.tag} has no channel {fault.channel!r}")

    @property
    def tag(self) -> str:
        """The equipment's tag."""
        return self.placement.tag

    @abstractmethod
    def vibration(self, random: Generator) -> VibrationModel:
        """Return the vibration of the machine; `random` is for fixed phases."""

    @abstractmethod
    def run(self, hour: Hour) -> dict[str, F64]:
        """Return an hour of true values: of every slow channel by name, `SPEED` and `GAIN`.

        Further keys are the machine's own, for `impulses`.
        """

    def facts(self) -> dict[str, Fact]:
        """Return what the machine's birth says of it beside speed and bearing."""
        return {}

    def impulses(self, second: Second) -> F64 | None:
        """Return impulses in m/s2 (3,200 samples) beside those of a bearing defect."""
        return None

    def device(self, clock: Clock) -> Device:
        """Return the declaration of the machine."""
        return Device(
            tag=self.tag,
            equipment_class=self.equipment_class,
            path=self.placement.path,
            channels=(*self.accelerometers, *(sensor.channel for sensor in self.sensors)),
            description=self.placement.description,
            clock=clock,
            facts={
                "Nominal Speed": self.nominal_speed_hz,
                **self.bearing.facts(),
                **self.facts(),
            },
        )

    def block(self, offset_s: int, duration_s: int = 1) -> Block:
        """Return the block of `duration_s` seconds that begins `offset_s` after the start.

        Its first second has the vibration; each second has a sample of each slow channel.
        """
        samples: dict[str, Samples] = dict(self._accelerations(offset_s))
        for sensor in self.sensors:
            samples[sensor.channel.name] = self._slow(sensor.channel.name, offset_s, duration_s)
        return Block(self.tag, self.start_ms + offset_s * 1000, samples)

    def order_rate(self, rate: float | None, offset_s: int) -> None:
        """Take a line rate of its own from a second on, over the rated one; None for the plant's.

        The drive ramps there; nothing changes before that second.
        """
        self._orders.append((self.start_ms / 1000.0 + offset_s, rate))
        index = offset_s // SECONDS
        del self._starts[index + 1 :]
        self._runs = {known: run for known, run in self._runs.items() if known < index}

    def true(self, name: str, offset_s: int) -> float:
        """Return the true value of a slow quantity, without sensor, at a second."""
        return float(self._hour(offset_s // SECONDS).true[name][offset_s % SECONDS])

    def _slow(self, name: str, offset_s: int, duration_s: int) -> npt.NDArray[np.float32]:
        parts = []
        end_s = offset_s + duration_s
        while offset_s < end_s:
            index, first = divmod(offset_s, SECONDS)
            last = min(SECONDS, first + end_s - offset_s)
            parts.append(self._hour(index).measured[name][first:last])
            offset_s += last - first
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return whole.astype(np.float32)

    def _accelerations(self, offset_s: int) -> dict[str, npt.NDArray[np.float32]]:
        index, at = divmod(offset_s, SECONDS)
        run = self._hour(index)
        values = {name: float(series[at]) for name, series in run.true.items()}
        severities = {label: float(series[at]) for label, series in run.severities.items()}
        random = self._chance.at(_VIBRATION, offset_s)
        speed_hz, turns = values[SPEED], values["turns"]
        cycles = shaft_cycles(random, turns, speed_hz)
        second = Second(
            self._chance.at(_FAULT_VIBRATION, offset_s), cycles, speed_hz, values, severities
        )
        out = self._vibration.second(
            random, cycles, turns, speed_hz, values[GAIN], severities, self._all_impulses(second)
        )
        signals = {c.name: out[i] for i, c in enumerate(self.accelerometers)}
        for fault in self._faults:
            if fault.channel in signals:
                severity = np.full(SAMPLE_RATE_HZ, severities[fault.label])
                signals[fault.channel] = self._spoil_vibration(
                    signals[fault.channel], fault.label, severity, offset_s
                )
        return signals

    def _all_impulses(self, second: Second) -> F64 | None:
        total = self.impulses(second)
        for label, order, turns in (
            (BEARING_OUTER_RACE, self.bearing.bpfo, False),
            (BEARING_INNER_RACE, self.bearing.bpfi, True),
        ):
            severity = second.severities.get(label, 0.0)
            if severity > 0.0:
                positions, heights = defect_impulses(
                    second.random, order, second.cycles, turns_with_shaft=turns
                )
                defect = train(positions, DEFECT_PEAK * severity * heights, SAMPLE_RATE_HZ)
                total = defect if total is None else total + defect
        return None if total is None else np.outer(self.impulse_path, total)

    def _spoil_vibration(
        self, signal: npt.NDArray[np.float32], label: str, severity: F64, offset_s: int
    ) -> npt.NDArray[np.float32]:
        if severity[0] == 0.0:
            return signal
        if label == SENSOR_STUCK:  # a shorted cable
            return np.zeros_like(signal)
        random = self._chance.at(_FAULT_SENSORS, SECONDS + offset_s)
        return corrupt(signal.astype(np.float64), label, severity, 10.0, random).astype(np.float32)

    def _hour(self, index: int) -> _Run:
        if index < 0:
            raise ValueError(f"{self.tag} has no data before its start")
        found = self._runs.get(index)
        if found is not None:
            return found
        while len(self._starts) <= index:
            _, end = self._run_hour(len(self._starts) - 1)
            self._starts.append(end)
        run, end = self._run_hour(index)
        if index == len(self._starts) - 1:
            self._starts.append(end)
        self._runs[index] = run
        while len(self._runs) > 2:  # a block may lie across two hours
            self._runs.pop(next(iter(self._runs)))
        return run

    def _run_hour(self, index: int) -> tuple[_Run, dict[str, float]]:
        first_s = self.start_ms / 1000.0 + index * SECONDS
        time_s = first_s + np.arange(SECONDS, dtype=np.float64)
        severities = {fault.label: fault.severity_at(time_s) for fault in self._faults}
        rate = self._ordered(time_s, self.duty.rate(time_s))
        hour = Hour(
            time_s=time_s,
            rate=rate,
            load=rate,
            ambient=self.duty.ambient(time_s),
            random=self._chance.at(_HOURS, index),
            severities=severities,
            state=dict(self._starts[index]),
        )
        hour.load = rate * (1.0 + hour.wander("load", 0.01, 60.0))
        true = self.run(hour)
        true["turns"] = hour.total("turns", true[SPEED])
        noise = self._chance.at(_SENSORS, index)
        measured = {
            sensor.channel.name: true[sensor.channel.name]
            + sensor.noise * noise.standard_normal(SECONDS)
            for sensor in self.sensors
        }
        for fault in self._faults:
            if fault.channel in measured:
                self._spoil_slow(fault, index, severities[fault.label], measured, hour.state)
        return _Run(true, measured, severities), hour.state

    def _ordered(self, time_s: F64, planned: F64) -> F64:
        rate = planned
        for began_s, ordered in self._orders:
            target = planned if ordered is None else np.full_like(planned, ordered)
            share = np.clip((time_s - began_s) / DRIVE_RAMP_S, 0.0, 1.0)
            rate = (1.0 - share) * rate + share * target
        return rate

    def _spoil_slow(
        self,
        fault: Fault,
        index: int,
        severity: F64,
        measured: dict[str, F64],
        state: dict[str, float],
    ) -> None:
        samples = measured[fault.channel]
        if fault.label == SENSOR_STUCK:
            held = f"stuck {fault.channel}"
            began = int(np.argmax(severity > 0.0)) if severity[-1] > 0.0 else SECONDS
            if began < SECONDS:
                last = state.setdefault(held, float(samples[max(began - 1, 0)]))
                measured[fault.channel] = np.where(severity > 0.0, last, samples)
            return
        span = next(s.span for s in self.sensors if s.channel.name == fault.channel)
        random = self._chance.at(_FAULT_SENSORS, index)
        measured[fault.channel] = corrupt(samples, fault.label, severity, span, random)
