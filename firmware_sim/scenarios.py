"""Named scenarios: which machine fails, of what, when and how fast."""

from __future__ import annotations

from dataclasses import dataclass, replace

from firmware_sim import faults
from firmware_sim.faults import Fault, Growth, Label

HOUR_S = 3600
DAY_S = 24 * HOUR_S


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story of the plant.

    The `machine` runs healthy for `warm_up_s` seconds, so that baselines can be learned; then the
    fault (a label, see firmware_sim/faults.py) grows for `growth_s` seconds to `severity`.
    `channel` is what a sensor fault spoils. Machine and fault are None when all stays healthy.
    """

    name: str
    description: str
    machine: str | None = None
    fault: str | None = None
    channel: str = ""
    growth: Growth = "exponential"
    severity: float = 1.0
    warm_up_s: int = 3 * HOUR_S
    growth_s: int = 2 * HOUR_S
    vibration_interval_s: int = 60
    duration_s: int = 6 * HOUR_S

    def faults(self, onset_ms: int) -> tuple[Fault, ...]:
        """Return the faults when the onset is at `onset_ms`; none when all stays healthy."""
        if self.machine is None or self.fault is None:
            return ()
        fault = Fault(
            self.machine,
            self.fault,
            onset_ms,
            self.growth_s,
            self.growth,
            self.severity,
            self.channel,
        )
        return (fault,)

    def labels(self, start_ms: int) -> tuple[Label, ...]:
        """Return the ground truth of a run that starts at event time `start_ms`."""
        return tuple(fault.truth for fault in self.faults(start_ms + self.warm_up_s * 1000))

    def live(self) -> Scenario:
        """Return the scenario for an audience: vibration each second, a minute of growth."""
        return replace(self, vibration_interval_s=1, growth_s=60, growth="linear")


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("healthy", "Nothing fails, for a day", duration_s=DAY_S),
        Scenario(
            "bearing-wear",
            "A spall grows on the outer race of the cooling water pump's drive end bearing",
            "P-101",
            faults.BEARING_OUTER_RACE,
        ),
        Scenario(
            "bearing-inner-race",
            "A spall grows on the inner race of the depalletiser motor's bearing",
            "G-401",
            faults.BEARING_INNER_RACE,
        ),
        Scenario(
            "cavitation",
            "The cooling water pump loses suction and cavitates",
            "P-101",
            faults.CAVITATION,
            growth="linear",
        ),
        Scenario(
            "unbalance",
            "Dust builds up on the blades of the supply air fan",
            "F-201",
            faults.UNBALANCE,
        ),
        Scenario(
            "misalignment",
            "The depalletiser's coupling moves out of line",
            "G-401",
            faults.MISALIGNMENT,
        ),
        Scenario(
            "looseness",
            "The supply air fan's bearing pedestal works loose",
            "F-201",
            faults.LOOSENESS,
        ),
        Scenario(
            "blocked-filter",
            "The supply air fan's filter clogs",
            "F-201",
            faults.BLOCKED_FILTER,
            growth="linear",
        ),
        Scenario(
            "overheating",
            "The depalletiser motor loses its cooling",
            "G-401",
            faults.OVERHEATING,
            growth="linear",
        ),
        Scenario(
            "air-leak",
            "A hose of the compressed air net comes off its fitting bit by bit",
            "C-301",
            faults.AIR_LEAK,
            growth="linear",
        ),
        Scenario(
            "sensor-stuck",
            "The cooling water pump's discharge pressure transmitter freezes",
            "P-101",
            faults.SENSOR_STUCK,
            "Discharge Pressure",
            growth="linear",
        ),
        Scenario(
            "sensor-drift",
            "The supply air fan's bearing thermometer drifts",
            "F-201",
            faults.SENSOR_DRIFT,
            "Bearing Temperature",
            growth="linear",
        ),
        Scenario(
            "sensor-dropout",
            "The compressor's discharge pressure transmitter loses its cable, contact by contact",
            "C-301",
            faults.SENSOR_DROPOUT,
            "Discharge Pressure",
            growth="linear",
        ),
        Scenario(
            "sensor-spike",
            "The filler's bowl pressure transmitter picks up interference",
            "FC-403",
            faults.SENSOR_SPIKE,
            "Bowl Pressure",
            growth="linear",
        ),
    )
}
