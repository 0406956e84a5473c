"""The centrifugal pump of the cooling water: where its curve meets the system's, and cavitation."""

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
    CAVITATION,
    MISALIGNMENT,
    OVERHEATING,
)
from firmware_sim.machines.machine import GAIN, SPEED, Machine, Second
from firmware_sim.machines.rotor import rotor_faults
from firmware_sim.physics.bearing import BEARING_6309
from firmware_sim.physics.hour import Hour
from firmware_sim.physics.hydraulics import (
    GRAVITY,
    WATER_DENSITY,
    Curve,
    efficiency,
    npsh_available_m,
    operating_flow,
)
from firmware_sim.physics.motor import InductionMotor
from firmware_sim.physics.vibration import SAMPLE_RATE_HZ, Line, Mode, VibrationModel
from firmware_sim.sensors import slow

F64 = npt.NDArray[np.float64]

MOTOR = InductionMotor(11_000.0, 20.5, 50.0, rated_slip=0.0167)
VANES = 6
# Head in m over flow in m3/h: duty point 30 m at 60 m3/h.
PUMP = Curve(38.0, -8.0 / 60.0**2)
STATIC_HEAD_M = 6.0
SYSTEM_SLOPE = 23.5 / 60.0**2
STRAINER_SLOPE = 0.5 / 60.0**2
BEST_FLOW, BEST_EFFICIENCY = 62.0, 0.74
# The tank lies below the pump, so suction is below atmosphere: bar gauge, before the strainer.
SUCTION_BAR = -0.12
WATER_DEGC = 24.0
BAR_PER_M = WATER_DENSITY * GRAVITY / 1e5
CAVITATION_INTENSITY = "cavitation intensity"
PUMP_HEAD_M = "pump head m"


def npsh_required_m(flow: F64) -> F64:
    """Return the net positive suction head at which head has fallen by 3 % (the maker's curve)."""
    return 2.2 + 0.8 * (flow / 60.0) ** 2


class CentrifugalPump(Machine):
    """An end-suction pump of 11 kW on a 2-pole motor, 2950 rpm, six vanes.

    Cavitation is modelled as suction that is being lost: it starts when the available NPSH falls
    under two and a half times the required one (Brennen, "Hydrodynamics of Pumps", ch. 5: inception
    well before the head breaks down) and is full at half of it.
    """

    equipment_class: ClassVar = "centrifugal_pump"
    faults: ClassVar = frozenset({CAVITATION, BLOCKED_FILTER})
    bearing: ClassVar = BEARING_6309
    nominal_speed_hz: ClassVar = 2950 / 60
    accelerometers: ClassVar = (
        Channel("Vibration Drive End", "m/s2", SAMPLE_RATE_HZ, "acceleration", "drive_end"),
        Channel("Vibration Axial", "m/s2", SAMPLE_RATE_HZ, "acceleration", "axial"),
    )
    impulse_path: ClassVar = (1.0, 0.45)
    sensors: ClassVar = (
        slow("Suction Pressure", "bar", "pressure", 0.004, 0.1),
        slow("Discharge Pressure", "bar", "pressure", 0.01, 0.5),
        slow("Strainer Differential Pressure", "bar", "differential_pressure", 0.001, 0.05),
        slow("Flow", "m3/h", "flow", 0.4, 8.0),
        slow("Motor Current", "A", "current", 0.12, 3.0),
        slow("Speed", "1/min", "speed", 1.0, 30.0),
        slow("Bearing Temperature", "degC", "temperature", 0.1, 12.0, "drive_end"),
    )

    def vibration(self, random: Generator) -> VibrationModel:
        """Return the vibration: 1x, 2x, 3x, vane pass and its double, the motor's 100 Hz."""
        return VibrationModel(
            random,
            [
                Line(1.0, (0.90, 0.35)),
                Line(2.0, (0.30, 0.25)),
                Line(3.0, (0.12, 0.08)),
                Line(VANES, (0.35, 0.22)),
                Line(2 * VANES, (0.08, 0.05)),
                Line(2.0, (0.10, 0.04), "mains"),
            ],
            rotor_faults(("radial", "axial")),
            noise=(0.45, 0.35),
            mode=Mode(1150.0, 0.05),
        )

    def facts(self) -> dict[str, Fact]:
        """Return the vane count."""
        return {"Vane Count": VANES}

    def run(self, hour: Hour) -> dict[str, F64]:
        """Return flow, pressures, current, speed and bearing temperature."""
        # More cooling is asked for by a fuller line and on a warmer day: a valve opens.
        demand = 0.55 + 0.45 * hour.load + 0.006 * (hour.ambient - 20.0)
        strainer = STRAINER_SLOPE * (1.0 + 30.0 * hour.severity(BLOCKED_FILTER) ** 1.5)
        system = Curve(STATIC_HEAD_M, SYSTEM_SLOPE / demand**2 + strainer)
        wanted = operating_flow(PUMP, system)
        supply_bar = SUCTION_BAR - 0.62 * hour.severity(CAVITATION)
        inlet_bar = supply_bar - strainer * wanted**2 * BAR_PER_M
        margin = npsh_available_m(inlet_bar, WATER_DEGC) / npsh_required_m(wanted)
        intensity = np.clip((2.5 - margin) / 2.0, 0.0, 1.0)
        curve = PUMP.scaled(1.0 - 0.30 * intensity**1.5)
        flow = operating_flow(curve, system)
        head = np.asarray(curve.at(flow))
        unrest = 1.0 + 0.04 * intensity * hour.random.standard_normal(len(flow))
        loss = strainer * flow**2 * BAR_PER_M
        suction = supply_bar - loss
        shaft_w = (
            WATER_DENSITY
            * GRAVITY
            * (flow / 3600.0)
            * head
            / efficiency(flow, BEST_FLOW, BEST_EFFICIENCY)
        )
        torque = shaft_w / MOTOR.rated_power_w
        speed = MOTOR.speed_hz(torque)
        friction = (
            0.6
            + 0.4 * hour.load
            + 0.5 * hour.severity(BEARING_OUTER_RACE)
            + 0.5 * hour.severity(BEARING_INNER_RACE)
            + 0.2 * hour.severity(MISALIGNMENT)
        )
        resistance = 26.0 * (1.0 + 2.0 * hour.severity(OVERHEATING))
        return {
            SPEED: speed,
            GAIN: 0.7 + 0.3 * hour.load + hour.wander("vibration", 0.02, 1800.0),
            "Suction Pressure": suction,
            "Discharge Pressure": suction + head * BAR_PER_M * unrest,
            "Strainer Differential Pressure": loss,
            "Flow": flow * unrest,
            "Motor Current": MOTOR.current_a(torque),
            "Speed": speed * 60.0,
            "Bearing Temperature": hour.lag(
                "bearing temperature", hour.ambient + resistance * friction, 1500.0
            ),
            CAVITATION_INTENSITY: intensity,
            PUMP_HEAD_M: head,
        }

    def impulses(self, second: Second) -> F64 | None:
        """Return the collapse of vapour bubbles: random bursts that come and go with the vanes."""
        intensity = second.values[CAVITATION_INTENSITY]
        if intensity <= 0.0:
            return None
        collapse = second.random.random(SAMPLE_RATE_HZ) < 0.25
        height = 5.0 * intensity * second.random.standard_exponential(SAMPLE_RATE_HZ)
        sign = second.random.choice((-1.0, 1.0), SAMPLE_RATE_HZ)
        vanes: F64 = 1.0 + 0.5 * np.cos(2 * np.pi * VANES * second.cycles)
        bursts: F64 = collapse * height * sign * vanes
        return bursts
