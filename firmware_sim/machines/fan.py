"""The supply air fan of the hall: its curve against filter and ducts."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from edge_agent.drivers.base import Channel, Fact
from firmware_sim.faults import (
    BEARING_INNER_RACE,
    BEARING_OUTER_RACE,
    BLOCKED_FILTER,
    MISALIGNMENT,
    OVERHEATING,
)
from firmware_sim.machines.machine import GAIN, SPEED, Machine
from firmware_sim.machines.rotor import rotor_faults
from firmware_sim.physics.bearing import BEARING_6309
from firmware_sim.physics.hour import Hour
from firmware_sim.physics.hydraulics import Curve, efficiency, operating_flow
from firmware_sim.physics.motor import InductionMotor
from firmware_sim.physics.vibration import SAMPLE_RATE_HZ, Line, Mode, VibrationModel
from firmware_sim.sensors import slow

F64 = npt.NDArray[np.float64]

MOTOR = InductionMotor(15_000.0, 28.5, 25.0, rated_slip=0.018)
BLADES = 8
# Total pressure in Pa over flow in m3/h: 1200 Pa at 28,000 m3/h.
FAN = Curve(1650.0, -450.0 / 28_000.0**2)
DUCT_SLOPE = 1050.0 / 28_000.0**2
FILTER_SLOPE = 150.0 / 28_000.0**2
BEST_FLOW, BEST_EFFICIENCY = 29_000.0, 0.78


class Fan(Machine):
    """A backward-curved centrifugal fan of 15 kW on a 4-pole motor, eight blades."""

    equipment_class: ClassVar = "fan"
    faults: ClassVar = frozenset({BLOCKED_FILTER})
    bearing: ClassVar = BEARING_6309
    nominal_speed_hz: ClassVar = 1477 / 60
    accelerometers: ClassVar = (
        Channel("Vibration Drive End", "m/s2", SAMPLE_RATE_HZ, "acceleration", "drive_end"),
        Channel("Vibration Axial", "m/s2", SAMPLE_RATE_HZ, "acceleration", "axial"),
    )
    impulse_path: ClassVar = (1.0, 0.4)
    sensors: ClassVar = (
        slow("Filter Differential Pressure", "Pa", "differential_pressure", 2.0, 60.0),
        slow("Fan Pressure", "Pa", "pressure", 6.0, 120.0),
        slow("Air Flow", "m3/h", "flow", 120.0, 2500.0),
        slow("Motor Current", "A", "current", 0.12, 3.0),
        slow("Speed", "1/min", "speed", 0.6, 12.0),
        slow("Bearing Temperature", "degC", "temperature", 0.1, 10.0, "drive_end"),
    )

    def vibration(self, random: Generator) -> VibrationModel:
        """Return the vibration: 1x, 2x, blade pass and its double, the motor's 100 Hz."""
        return VibrationModel(
            random,
            [
                Line(1.0, (1.00, 0.40)),
                Line(2.0, (0.22, 0.18)),
                Line(3.0, (0.08, 0.06)),
                Line(BLADES, (0.32, 0.25)),
                Line(2 * BLADES, (0.08, 0.06)),
                Line(2.0, (0.08, 0.03), "mains"),
            ],
            rotor_faults(("radial", "axial")),
            noise=(0.30, 0.26),
            mode=Mode(1050.0, 0.05),
        )

    def facts(self) -> dict[str, Fact]:
        """Return the blades."""
        return {"Vane Count": BLADES}

    def run(self, hour: Hour) -> dict[str, F64]:
        """Return flow, pressures, current, speed and bearing temperature."""
        # Dampers open with the line's load and with the warmth of the day.
        opening = 0.70 + 0.30 * hour.load + 0.008 * (hour.ambient - 20.0)
        blocked = FILTER_SLOPE * (1.0 + 7.0 * hour.severity(BLOCKED_FILTER))
        flow = operating_flow(FAN, Curve(0.0, DUCT_SLOPE / opening**2 + blocked))
        pressure = np.asarray(FAN.at(flow))
        shaft_w = flow / 3600.0 * pressure / efficiency(flow, BEST_FLOW, BEST_EFFICIENCY)
        torque = shaft_w / MOTOR.rated_power_w
        speed = MOTOR.speed_hz(torque)
        friction = (
            0.65
            + 0.35 * hour.load
            + 0.5 * hour.severity(BEARING_OUTER_RACE)
            + 0.5 * hour.severity(BEARING_INNER_RACE)
            + 0.2 * hour.severity(MISALIGNMENT)
        )
        resistance = 22.0 * (1.0 + 2.0 * hour.severity(OVERHEATING))
        return {
            SPEED: speed,
            GAIN: 0.75 + 0.25 * hour.load + hour.wander("vibration", 0.02, 1800.0),
            "Filter Differential Pressure": blocked * flow**2,
            "Fan Pressure": pressure,
            "Air Flow": flow,
            "Motor Current": MOTOR.current_a(torque),
            "Speed": speed * 60.0,
            "Bearing Temperature": hour.lag(
                "bearing temperature", hour.ambient + resistance * friction, 1800.0
            ),
        }
