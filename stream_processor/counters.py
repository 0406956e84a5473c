"""What the processor has counted, right over crashes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

DEAD_LETTERS = "dead_letters."
SHADOW_ADVISORIES = "shadow_advisories"
_ALWAYS = (
    "received", "processed", "duplicated", "lost", "gaps", "resends", "rebirths", "frames",
    "births", "deaths", "overflowed", "missing_samples", "infinite_samples", "late_frames",
    "clock_steps", "replayed", "replays_repeated", "advisories", "points", SHADOW_ADVISORIES,
)  # fmt: skip


class Counters:
    """Counts of every part of the flow, summed when read.

    Each part keeps its counts in its own state, so that they are rolled back and recovered with it
    and stay right over a crash; here is only what each said last.
    """

    def __init__(self) -> None:
        self._parts: dict[str, Mapping[str, int]] = {}
        self._positions: dict[int, int] = {}
        self._lock = threading.Lock()

    def put(self, part: str, counts: Mapping[str, int]) -> None:
        """Replace the counts of `part`, the name of a step and its key."""
        with self._lock:
            self._parts[part] = dict(counts)

    def position(self, partition: int, sequence: int) -> None:
        """Note how far a partition of the log was read."""
        with self._lock:
            self._positions[partition] = sequence

    def positions(self) -> dict[int, int]:
        """Return how far each partition of the log was read."""
        with self._lock:
            return dict(self._positions)

    def totals(self) -> dict[str, Any]:
        """Return the sums; `dead_letters` by reason, `position` by partition.

        `processed` has the batches that left acquisition and failed in no stage.
        """
        total: Counter[str] = Counter()
        with self._lock:
            for counts in self._parts.values():
                total.update(counts)
            positions = {str(p): s for p, s in sorted(self._positions.items())}
        dead = {
            name.removeprefix(DEAD_LETTERS): count
            for name, count in sorted(total.items())
            if name.startswith(DEAD_LETTERS)
        }
        totals: dict[str, Any] = {name: total[name] for name in _ALWAYS}
        totals["processed"] -= dead.get("STAGE_FAILED", 0)
        return {**totals, "dead_letters": dead, "position": positions}
