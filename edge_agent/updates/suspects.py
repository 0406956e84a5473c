"""Which model may have killed the agent: named on the disk before, judged at the next start.

A machine that went off (another boot id) is no death, nor is an end on purpose.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import structlog

from edge_agent import durable
from edge_agent.updates.store import Artefact, Slot, Store

log = structlog.get_logger(__name__)

# Of the agent with a model on trial, or soon after a start with it: then that was the cause.
DEATHS: Final = 3
# What a model is suspected in.
TRIAL: Final = "trial"
START: Final = "start"
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Suspects:
    """The models of one agent, by equipment class, that a death would be held against."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, what: str, equipment_class: str, artefact: Artefact) -> bool:
        """Say on the disk which model may kill the agent from now on; false if the disk refuses."""
        marker, said = self._marker(what, equipment_class), f"{artefact.digest} {_boot_id()}"
        try:
            if _read(marker) != said:
                durable.write(marker, said.encode())
        except OSError as error:
            log.error("a marker cannot be written", marker=marker.name, reason=str(error))
            return False
        return True

    def clear(self, what: str, equipment_class: str) -> None:
        """Suspect nothing any more."""
        marker = self._marker(what, equipment_class)
        try:
            durable.remove(marker)
        except OSError as error:
            log.error("a marker cannot be removed", marker=marker.name, reason=str(error))

    def count_deaths(self) -> None:
        """Count the last end of the agent against its suspects, and drop who it was too often.

        That is the model on trial, else the one that had just begun.
        """
        for name, slot in self._store.manifest().models.items():
            suspects = {TRIAL: slot.trial, START: slot.current}
            died = [
                what
                for what, artefact in suspects.items()
                if artefact is not None
                and _read(self._marker(what, name)) == f"{artefact.digest} {_boot_id()}"
            ]
            if died:
                try:
                    with self._store.changing() as change:
                        found = change.manifest.slot("model", name)
                        change.put("model", name, _counted(name, found, died[0]))
                except OSError as error:
                    log.error("the manifest cannot be written", reason=str(error))
                    continue
            for what in suspects:
                self.clear(what, name)

    def _marker(self, what: str, equipment_class: str) -> Path:
        return self._store.folder / f"{what}-{equipment_class}"


def _counted(name: str, slot: Slot, what: str) -> Slot:
    """Return the slot with a death more, without its cause when it is one too many."""
    now_ms = time.time_ns() // 1_000_000
    slot = slot.started(+1) if what == TRIAL else slot.died(slot.deaths + 1)
    deaths = slot.starts if what == TRIAL else slot.deaths
    if deaths < DEATHS:
        return slot
    when = "while it was tried" if what == TRIAL else "soon after a start with it"
    reason = f"the agent died {deaths} times {when}"
    log.error("model was dropped", equipment_class=name, reason=reason)
    return slot.dropped(reason, now_ms) if what == TRIAL else slot.fallen_back(reason, now_ms)


def _read(marker: Path) -> str:
    try:
        return marker.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _boot_id() -> str:
    return BOOT_ID.read_text(encoding="ascii").strip() if BOOT_ID.exists() else "unknown"
