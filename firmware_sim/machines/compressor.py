"""The screw compressor of the plant's air: load and unload between two pressures, and leaks."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from edge_agent.drivers.base import Channel, Fact
from firmware_sim.faults import (
    AIR_LEAK,
    BEARING_INNER_RACE,
    BEARING_OUTER_RACE,
    MISALIGNMENT,
    OVERHEATING,
)
from firmware_sim.machines.machine import GAIN, SPEED, Machine
from firmware_sim.machines.rotor import rotor_faults
from firmware_sim.physics.bearing import BEARING_6309
from firmware_sim.physics.hour import Hour
from firmware_sim.physics.motor import InductionMotor
from firmware_sim.physics.receiver import Receiver
from firmware_sim.physics.vibration import SAMPLE_RATE_HZ, Line, Mode, VibrationModel
from firmware_sim.sensors import slow

F64 = npt.NDArray[np.float64]

MOTOR = InductionMotor(45_000.0, 80.0, 50.0, rated_slip=0.012)
LOBES = 4
RECEIVER = Receiver(volume_m3=5.0, low_bar=6.9, high_bar=7.4)
FREE_AIR_M3_MIN = 7.6
LEAK_M3_MIN = 2.4
# Shaft power of an unloaded screw compressor over its loaded one: a fifth to a third in practice.
IDLE_POWER = 0.28


class ScrewCompressor(Machine):
    """An oil-injected screw compressor of 45 kW, male rotor of four lobes on the motor's shaft."""

    equipment_class: ClassVar = "screw_compressor"
    faults: ClassVar = frozenset({AIR_LEAK})
    bearing: ClassVar = BEARING_6309
    nominal_speed_hz: ClassVar = 2965 / 60
    accelerometers: ClassVar = (
        Channel("Vibration Drive End", "m/s2", SAMPLE_RATE_HZ, "acceleration", "drive_end"),
        Channel("Vibration Axial", "m/s2", SAMPLE_RATE_HZ, "acceleration", "axial"),
    )
    impulse_path: ClassVar = (1.0, 0.5)
    sensors: ClassVar = (
        slow("Discharge Pressure", "bar", "pressure", 0.006, 0.4),
        slow("Load Duty", "%", "other", 0.3, 12.0),
        slow("Motor Current", "A", "current", 0.4, 12.0),
        slow("Speed", "1/min", "speed", 1.0, 12.0),
        slow("Discharge Temperature", "degC", "temperature", 0.15, 10.0),
        slow("Bearing Temperature", "degC", "temperature", 0.1, 10.0, "drive_end"),
    )

    def vibration(self, random: Generator) -> VibrationModel:
        """Return the vibration: 1x, 2x, pocket pass with its harmonics, the motor's 100 Hz."""
        return VibrationModel(
            random,
            [
                Line(1.0, (0.80, 0.35)),
                Line(2.0, (0.30, 0.25)),
                Line(LOBES, (0.65, 0.45)),
                Line(2 * LOBES, (0.25, 0.18)),
                Line(3 * LOBES, (0.10, 0.08)),
                Line(2.0, (0.12, 0.05), "mains"),
            ],
            rotor_faults(("radial", "axial")),
            noise=(0.70, 0.60),
            mode=Mode(1200.0, 0.05),
        )

    def facts(self) -> dict[str, Fact]:
        """Return the lobes: pockets open to the outlet as vanes pass a cutwater."""
        return {"Vane Count": LOBES}

    def run(self, hour: Hour) -> dict[str, F64]:
        """Return pressure, load, current, speed and temperatures."""
        drawn = 0.7 + 4.0 * hour.load + hour.wander("demand", 0.15, 45.0)
        drawn = np.maximum(drawn, 0.5) + LEAK_M3_MIN * hour.severity(AIR_LEAK)
        # Hot intake air is thin: less of it a turn.
        delivered = FREE_AIR_M3_MIN * 293.15 / (273.15 + hour.ambient)
        pressure, load = RECEIVER.run(
            delivered,
            drawn,
            hour.state.get("pressure", 7.1),
            bool(hour.state.get("loaded", 1.0)),
        )
        hour.state["pressure"], hour.state["loaded"] = float(pressure[-1]), float(load[-1])
        hour.state.setdefault("duty", float(drawn[0] / delivered[0]))
        duty = hour.lag("duty", load, 300.0)
        torque = 0.85 * (IDLE_POWER + (1.0 - IDLE_POWER) * load) * (0.6 + 0.4 * pressure / 7.15)
        speed = hour.lag("speed", MOTOR.speed_hz(torque), 10.0)
        bearings = hour.severity(BEARING_OUTER_RACE) + hour.severity(BEARING_INNER_RACE)
        resistance = 1.0 + 1.2 * hour.severity(OVERHEATING)
        oil = hour.ambient + resistance * (32.0 + 32.0 * duty)
        friction = 0.7 + 0.3 * duty + 0.5 * bearings + 0.2 * hour.severity(MISALIGNMENT)
        gain = hour.lag("vibration load", 0.82 + 0.18 * load, 10.0)
        return {
            SPEED: speed,
            GAIN: gain + hour.wander("vibration", 0.02, 1800.0),
            "Discharge Pressure": pressure,
            "Load Duty": 100.0 * duty,
            "Motor Current": MOTOR.current_a(torque),
            "Speed": speed * 60.0,
            "Discharge Temperature": hour.lag("discharge temperature", oil, 600.0),
            "Bearing Temperature": hour.lag(
                "bearing temperature",
                hour.ambient + 30.0 * friction * (0.5 + 0.5 * resistance),
                1800.0,
            ),
        }
