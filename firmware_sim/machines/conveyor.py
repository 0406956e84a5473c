"""The bottle conveyor: a belt on a variable speed drive."""

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
    LOOSENESS,
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

MOTOR = InductionMotor(4_000.0, 8.4, 25.0, rated_slip=0.04)
GEAR = GearPair(pinion_teeth=15, wheel_teeth=60)
# One turn of the head pulley moves the belt by its circumference, m.
PULLEY_M = 0.16
BOTTLE_PITCH_M = 0.09
# Coulomb friction of the belt, empty and with a full row of bottles, over rated torque.
EMPTY_TORQUE, BOTTLES_TORQUE = 0.30, 0.40


class Conveyor(Machine):
    """A flat-top chain conveyor with a drive of 4 kW, 1440 rpm at the rated line rate.

    Friction does not depend on speed, the row of bottles does not on the line rate: torque is
    nearly constant, speed follows the line.
    """

    equipment_class: ClassVar = "conveyor"
    faults: ClassVar = frozenset({GEAR_WEAR})
    bearing: ClassVar = BEARING_6206
    nominal_speed_hz: ClassVar = 1440 / 60
    accelerometers: ClassVar = (
        Channel("Vibration Drive End", "m/s2", SAMPLE_RATE_HZ, "acceleration", "drive_end"),
        Channel("Vibration Axial", "m/s2", SAMPLE_RATE_HZ, "acceleration", "axial"),
    )
    impulse_path: ClassVar = (1.0, 0.4)
    sensors: ClassVar = (
        slow("Belt Speed", "m/s", "other", 0.002, 0.05),
        slow("Throughput", "1/min", "count", 3.0, 60.0),
        slow("Motor Current", "A", "current", 0.05, 1.0),
        slow("Speed", "1/min", "speed", 0.8, 60.0),
        slow("Drive Temperature", "degC", "temperature", 0.12, 10.0),
    )

    def vibration(self, random: Generator) -> VibrationModel:
        """Return the vibration: shaft, pulley, gear mesh, the chain's links on the sprocket."""
        return VibrationModel(
            random,
            [
                Line(1.0, (0.70, 0.30)),
                Line(2.0, (0.28, 0.20)),
                Line(1.0 / GEAR.ratio, (0.35, 0.20)),
                Line(11.0 / GEAR.ratio, (0.30, 0.22)),
                *GEAR.mesh_lines((0.12, 0.10), side_band=0.2),
            ],
            {
                **rotor_faults(("radial", "axial")),
                GEAR_WEAR: GEAR.mesh_lines((0.8, 0.7), side_band=0.9),
            },
            noise=(0.38, 0.32),
            mode=Mode(1180.0, 0.06),
        )

    def facts(self) -> dict[str, Fact]:
        """Return the teeth of the pinion, which turns with the motor."""
        return {"Gear Teeth": GEAR.pinion_teeth}

    def run(self, hour: Hour) -> dict[str, F64]:
        """Return belt speed, throughput, current, speed and temperature."""
        drag = 0.05 * hour.severity(MISALIGNMENT) + 0.03 * hour.severity(LOOSENESS)
        torque = EMPTY_TORQUE + BOTTLES_TORQUE + hour.wander("torque", 0.02, 20.0) + drag
        speed = MOTOR.speed_hz(torque, supply=hour.rate)
        belt = speed / GEAR.ratio * PULLEY_M
        current = MOTOR.current_a(torque)
        bearings = hour.severity(BEARING_OUTER_RACE) + hour.severity(BEARING_INNER_RACE)
        losses = 0.4 + 0.6 * (current / MOTOR.rated_current_a) ** 2 + 0.25 * bearings
        resistance = 40.0 * (1.0 + 1.8 * hour.severity(OVERHEATING))
        return {
            SPEED: speed,
            GAIN: hour.rate + hour.wander("vibration", 0.025, 1800.0),
            "Belt Speed": belt,
            "Throughput": belt / BOTTLE_PITCH_M * 60.0 * 0.62,
            "Motor Current": current,
            "Speed": speed * 60.0,
            "Drive Temperature": hour.lag("drive", hour.ambient + resistance * losses, 1500.0),
        }
