"""The bottling plant: which machines stand where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from edge_agent.drivers.base import Block, Clock, Device
from firmware_sim.faults import Fault, Label
from firmware_sim.machines.compressor import ScrewCompressor
from firmware_sim.machines.conveyor import Conveyor
from firmware_sim.machines.fan import Fan
from firmware_sim.machines.filler import FillerCapper
from firmware_sim.machines.gearmotor import Gearmotor
from firmware_sim.machines.machine import Machine, Placement
from firmware_sim.machines.pump import CentrifugalPump

ENTERPRISE = "headrace-beverages"
SITE = "springfield"
_ROOT = f"{ENTERPRISE}/{SITE}"

MACHINES: dict[str, tuple[type[Machine], Placement]] = {
    placement.tag: (machine, placement)
    for machine, placement in (
        (
            CentrifugalPump,
            Placement("P-101", f"{_ROOT}/utilities/cooling/pump-cell", "Cooling water pump"),
        ),
        (
            Fan,
            Placement("F-201", f"{_ROOT}/utilities/ventilation/supply-air-cell", "Supply air fan"),
        ),
        (
            ScrewCompressor,
            Placement(
                "C-301", f"{_ROOT}/utilities/compressed-air/compressor-cell", "Air compressor"
            ),
        ),
        (
            Gearmotor,
            Placement("G-401", f"{_ROOT}/packaging/line-1/depalletiser-cell", "Depalletiser hoist"),
        ),
        (
            Conveyor,
            Placement("CV-402", f"{_ROOT}/packaging/line-1/conveying-cell", "Bottle conveyor"),
        ),
        (
            FillerCapper,
            Placement("FC-403", f"{_ROOT}/packaging/line-1/filling-cell", "Filler and capper"),
        ),
    )
}


class Plant:
    """Machines that run from one start time on.

    Args:
        seed: of all chance, 0 or more.
        start_ms: event time of second 0, milliseconds since the epoch.
        faults: what goes wrong; each names its machine.
        machines: tags of `MACHINES`; all of them by default.

    Raises:
        ValueError: a tag is unknown, or a machine cannot have a fault.
    """

    def __init__(
        self,
        seed: int,
        start_ms: int,
        faults: Sequence[Fault] = (),
        machines: Iterable[str] | None = None,
    ) -> None:
        if seed < 0:
            raise ValueError(f"seed {seed} is negative")
        tags = tuple(MACHINES) if machines is None else tuple(machines)
        for tag in tags:
            if tag not in MACHINES:
                raise ValueError(f"machines: no {tag!r} in the plant; it has {', '.join(MACHINES)}")
        for fault in faults:
            if fault.machine not in tags:
                raise ValueError(f"{fault.label} is for {fault.machine}, which is not simulated")
        self.seed = seed
        self.start_ms = start_ms
        self.faults = tuple(faults)
        self.machines: dict[str, Machine] = {}
        for tag in tags:
            kind, placement = MACHINES[tag]
            own = [fault for fault in faults if fault.machine == tag]
            self.machines[tag] = kind(placement, seed, start_ms, own)

    def devices(self, clock: Clock = "simulated") -> tuple[Device, ...]:
        """Return the declarations of the machines."""
        return tuple(machine.device(clock) for machine in self.machines.values())

    def labels(self) -> tuple[Label, ...]:
        """Return the ground truth."""
        return tuple(fault.truth for fault in self.faults)

    def with_faults(self, faults: Sequence[Fault]) -> Plant:
        """Return the same plant with these faults; up to their onsets it has the same samples."""
        return Plant(self.seed, self.start_ms, faults, self.machines)

    def blocks(self, from_s: int, to_s: int, interval_s: int) -> Iterator[Block]:
        """Yield the blocks of all machines from `from_s` until `to_s` seconds after the start.

        Each block covers `interval_s` seconds, the last one what is left; blocks come in the order
        of their start times.
        """
        for offset_s in range(from_s, to_s, interval_s):
            duration_s = min(interval_s, to_s - offset_s)
            for machine in self.machines.values():
                yield machine.block(offset_s, duration_s)
