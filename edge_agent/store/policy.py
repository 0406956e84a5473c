"""What is dropped when there is no room: by kind as configured, the oldest of a kind first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal

# `alarm`: the block is above its model's limit, or a capture belongs to one that is.
Kind = Literal["health", "waveform", "data", "alarm"]
# Places in this order are on the disk: add at the end only.
KINDS: Final[tuple[Kind, ...]] = ("health", "waveform", "data", "alarm")

# `size`: the spool's cap. `disk`: the reserve of the file system. `age`: the age cap. `memory`:
# the disk refused for too long. `damage`: the file could not be read.
Reason = Literal["size", "disk", "age", "memory", "damage"]
REASONS: Final[tuple[Reason, ...]] = ("size", "disk", "age", "memory", "damage")

# A batch's id and what it takes, in bytes.
Candidate = tuple[int, int]


def kind_of(has_waveform: bool, score: float | None, captured: bool = False) -> Kind:
    """Return the kind of a block; a score of 1.0 is the model's limit."""
    if captured or (score is not None and score >= 1.0):
        return "alarm"
    return "waveform" if has_waveform else "data"


def victims(
    drop_first: Sequence[Kind], candidates: Callable[[Kind], Iterable[Candidate]], excess: int
) -> Mapping[Kind, Sequence[int]]:
    """Return the ids to drop so that at least `excess` bytes are freed, by kind.

    `candidates` yields what there is of a kind, oldest first. A later kind of `drop_first` is
    touched only when nothing is left of the earlier ones.
    """
    chosen: dict[Kind, list[int]] = {}
    for kind in drop_first:
        if excess <= 0:
            break
        for identity, size in candidates(kind):
            chosen.setdefault(kind, []).append(identity)
            excess -= size
            if excess <= 0:
                break
    return chosen
