"""What the demo says of the simulated plant before it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firmware_sim.driver import create
from headrace.demo.stores import Machine


@dataclass(frozen=True, slots=True)
class PlantSummary:
    """The machines of a run, when its fault begins (event time), and how many blocks to expect.

    Onset and number are None for a live run, which knows them once it runs.
    """

    machines: Sequence[Machine]
    description: str
    onset_ms: int | None
    expected_blocks: int | None


def of_plant(options: Mapping[str, Any]) -> PlantSummary:
    """Return what a simulated plant with these driver options will do.

    Raises:
        KeyError: there is no such scenario.
    """
    driver = create(dict(options))
    machines = [
        Machine(d.tag, d.equipment_class, d.path, d.description or d.tag) for d in driver.devices()
    ]
    onsets = [label.onset_ms for label in driver.labels]
    return PlantSummary(
        machines,
        driver.scenario.description,
        min(onsets) if onsets else None,
        driver.expected_blocks,
    )
