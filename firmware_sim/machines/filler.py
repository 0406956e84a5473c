"""The filler and capper: a carousel that fills, and heads that screw on the caps."""

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
from firmware_sim.machines.machine import GAIN, SPEED, Machine, Second
from firmware_sim.machines.rotor import rotor_faults
from firmware_sim.physics.bearing import BEARING_6206, train
from firmware_sim.physics.gear import GearPair
from firmware_sim.physics.hour import Hour
from firmware_sim.physics.motor import InductionMotor
from firmware_sim.physics.vibration import SAMPLE_RATE_HZ, Line, Mode, VibrationModel
from firmware_sim.sensors import slow

F64 = npt.NDArray[np.float64]

MOTOR = InductionMotor(7_500.0, 15.2, 25.0, rated_slip=0.03)
GEAR = GearPair(pinion_teeth=17, wheel_teeth=68)
# Bottles a turn of the motor: 200 a minute at the rated line rate.
BOTTLES_PER_TURN = 200.0 / 1455.0
CAP_STRIKE = 3.0
CAP_TORQUE_NM = 1.8
FILL_ML = 500.0
# Filling valves open for a fixed time at the rated rate: volume follows the root of bowl pressure.
BOWL_BAR = 1.6


class FillerCapper(Machine):
    """A rotary filler and capper of 200 bottles a minute with a main drive of 7.5 kW, 1455 rpm."""

    equipment_class: ClassVar = "filler_capper"
    faults: ClassVar = frozenset({GEAR_WEAR})
    bearing: ClassVar = BEARING_6206
    nominal_speed_hz: ClassVar = 1455 / 60
    accelerometers: ClassVar = (
        Channel("Vibration Drive End", "m/s2", SAMPLE_RATE_HZ, "acceleration", "drive_end"),
        Channel("Vibration Capper", "m/s2", SAMPLE_RATE_HZ, "acceleration", "capper"),
    )
    impulse_path: ClassVar = (1.0, 0.6)
    sensors: ClassVar = (
        slow("Bowl Pressure", "bar", "pressure", 0.006, 0.15),
        slow("Fill Volume", "mL", "level", 0.6, 6.0),
        slow("Capping Torque", "N.m", "other", 0.03, 0.4),
        slow("Bottle Rate", "1/min", "count", 0.5, 15.0),
        slow("Product Temperature", "degC", "temperature", 0.08, 3.0),
        slow("Motor Current", "A", "current", 0.08, 2.0),
        slow("Speed", "1/min", "speed", 0.8, 60.0),
        slow("Drive Temperature", "degC", "temperature", 0.12, 10.0),
    )

    def vibration(self, random: Generator) -> VibrationModel:
        """Return the vibration: shaft, carousel drive, gear mesh; caps strike in `impulses`."""
        return VibrationModel(
            random,
            [
                Line(1.0, (0.65, 0.45)),
                Line(2.0, (0.25, 0.22)),
                Line(1.0 / GEAR.ratio, (0.25, 0.25)),
                *GEAR.mesh_lines((0.12, 0.10), side_band=0.2),
            ],
            {
                **rotor_faults(("radial", "axial")),
                GEAR_WEAR: GEAR.mesh_lines((0.8, 0.6), side_band=0.9),
            },
            noise=(0.42, 0.50),
            mode=Mode(1120.0, 0.06),
        )

    def facts(self) -> dict[str, Fact]:
        """Return the teeth of the pinion, which turns with the motor."""
        return {"Gear Teeth": GEAR.pinion_teeth}

    def run(self, hour: Hour) -> dict[str, F64]:
        """Return pressure, fill, capping torque, rate, temperatures, current and speed."""
        drag = 0.05 * hour.severity(MISALIGNMENT) + 0.03 * hour.severity(GEAR_WEAR)
        torque = 0.45 + 0.25 * hour.load + hour.wander("torque", 0.015, 30.0) + drag
        speed = MOTOR.speed_hz(torque, supply=hour.rate)
        bowl = BOWL_BAR + hour.wander("bowl", 0.01, 40.0)
        current = MOTOR.current_a(torque)
        bearings = hour.severity(BEARING_OUTER_RACE) + hour.severity(BEARING_INNER_RACE)
        losses = 0.4 + 0.6 * (current / MOTOR.rated_current_a) ** 2 + 0.25 * bearings
        resistance = 38.0 * (1.0 + 1.8 * hour.severity(OVERHEATING))
        return {
            SPEED: speed,
            GAIN: 0.3 + 0.7 * hour.load + hour.wander("vibration", 0.025, 1800.0),
            "Bowl Pressure": bowl,
            "Fill Volume": FILL_ML * np.sqrt(bowl / BOWL_BAR),
            "Capping Torque": CAP_TORQUE_NM + hour.wander("capping", 0.03, 25.0),
            "Bottle Rate": speed * 60.0 * BOTTLES_PER_TURN,
            "Product Temperature": hour.lag("product", 6.0 + 0.12 * (hour.ambient - 20.0), 1200.0),
            "Motor Current": current,
            "Speed": speed * 60.0,
            "Drive Temperature": hour.lag("drive", hour.ambient + resistance * losses, 1500.0),
        }

    def impulses(self, second: Second) -> F64:
        """Return the strikes of the capping heads, one a bottle: part of a healthy machine."""
        whole = np.floor(second.values["turns"])
        bottles = (whole + second.cycles) * BOTTLES_PER_TURN
        strikes = np.arange(np.ceil(bottles[0]), bottles[-1])
        places = np.interp(strikes, bottles, np.arange(len(bottles), dtype=np.float64))
        heights = CAP_STRIKE * (1.0 + 0.1 * second.random.standard_normal(len(strikes)))
        return train(places, heights, SAMPLE_RATE_HZ)
