"""The induction motor with a helical gearbox that lifts the pallets."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from edge_agent.drivers.base import Channel, Fact
from firmware_sim.faults import (
    BEARING_INNER_RACE,
    BEARING_OUTER_RACE,
    GEAR_WEAR,
    MISALIGNMENT,
    OVERHEATING,
)
from firmware_sim.machines.machine import GAIN, SPEED, Machine
from firmware_sim.machines.rotor import rotor_faults
from firmware_sim.physics.bearing import BEARING_6206
from firmware_sim.physics.gear import GearPair
from firmware_sim.physics.hour import Hour
from firmware_sim.physics.motor import InductionMotor
from firmware_sim.physics.vibration import SAMPLE_RATE_HZ, Line, Mode, VibrationModel
from firmware_sim.sensors import slow

F64 = npt.NDArray[np.float64]

MOTOR = InductionMotor(11_000.0, 21.5, 25.0, rated_slip=0.02)
GEAR = GearPair(pinion_teeth=19, wheel_teeth=76)


class Gearmotor(Machine):
    """A 4-pole motor of 11 kW, 1470 rpm, with a one-stage gear of 19 to 76 teeth."""

    equipment_class: ClassVar = "gearmotor"
    faults: ClassVar = frozenset({GEAR_WEAR})
    bearing: ClassVar = BEARING_6206
    nominal_speed_hz: ClassVar = 1470 / 60
    accelerometers: ClassVar = (
        Channel("Vibration Drive End", "m/s2", SAMPLE_RATE_HZ, "acceleration", "drive_end"),
        Channel("Vibration Gearbox Axial", "m/s2", SAMPLE_RATE_HZ, "acceleration", "gearbox"),
    )
    impulse_path: ClassVar = (1.0, 0.35)
    sensors: ClassVar = (
        slow("Motor Current", "A", "current", 0.12, 3.0),
        slow("Power", "kW", "power", 0.06, 1.5),
        slow("Speed", "1/min", "speed", 0.6, 12.0),
        slow("Winding Temperature", "degC", "temperature", 0.15, 12.0, "winding"),
        slow("Gearbox Oil Temperature", "degC", "temperature", 0.12, 10.0, "gearbox"),
    )

    def vibration(self, random: Generator) -> VibrationModel:
        """Return the vibration: shaft, output shaft, gear mesh with side bands, 100 Hz."""
        return VibrationModel(
            random,
            [
                Line(1.0, (0.75, 0.30)),
                Line(2.0, (0.25, 0.20)),
                Line(1.0 / GEAR.ratio, (0.15, 0.15)),
                Line(2.0, (0.12, 0.05), "mains"),
                *GEAR.mesh_lines((0.14, 0.26), side_band=0.25),
            ],
            {
                **rotor_faults(("radial", "axial")),
                GEAR_WEAR: GEAR.mesh_lines((0.7, 1.3), side_band=0.9),
            },
            noise=(0.40, 0.55),
            mode=Mode(1250.0, 0.05),
        )

    def facts(self) -> dict[str, Fact]:
        """Return the teeth of the pinion, which turns with the motor."""
        return {"Gear Teeth": GEAR.pinion_teeth}

    def run(self, hour: Hour) -> dict[str, F64]:
        """Return current, power, speed and temperatures."""
        drag = 0.04 * hour.severity(MISALIGNMENT) + 0.03 * hour.severity(GEAR_WEAR)
        torque = 0.12 + 0.66 * hour.load + hour.wander("torque", 0.015, 30.0) + drag
        speed = MOTOR.speed_hz(torque)
        current = MOTOR.current_a(torque)
        shaft_w = MOTOR.rated_power_w * torque * speed / MOTOR.rated_hz
        copper = (current / MOTOR.rated_current_a) ** 2
        bearings = 0.12 * (hour.severity(BEARING_OUTER_RACE) + hour.severity(BEARING_INNER_RACE))
        resistance = 1.0 + 1.8 * hour.severity(OVERHEATING)
        winding = hour.ambient + resistance * 62.0 * (0.25 + 0.75 * copper + bearings)
        oil = hour.ambient + (1.0 + 0.3 * hour.severity(OVERHEATING)) * 38.0 * (
            0.3 + 0.7 * torque + bearings + 0.25 * hour.severity(GEAR_WEAR)
        )
        return {
            SPEED: speed,
            GAIN: 0.6 + 0.4 * hour.load + hour.wander("vibration", 0.02, 1800.0),
            "Motor Current": current,
            "Power": shaft_w / 0.9 / 1000.0,
            "Speed": speed * 60.0,
            "Winding Temperature": hour.lag("winding", winding, 1200.0),
            "Gearbox Oil Temperature": hour.lag("oil", oil, 2400.0),
        }
