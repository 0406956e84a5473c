"""The file beside the spool: which boot epochs there were, also when the spool is damaged."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path


def beside(spool: Path) -> Path:
    """Return where the file of a spool is."""
    return spool.with_name(spool.name + ".boots")


def read(path: Path) -> dict[int, int]:
    """Return boot epochs by ordinal ; none when the file is not there or damaged."""
    try:
        told = json.loads(path.read_text(encoding="ascii"))
        return {int(ordinal): int(boot_epoch) for ordinal, boot_epoch in told}
    except (OSError, ValueError, TypeError):
        return {}


def write(path: Path, boots: Mapping[int, int]) -> None:
    """Write the file beside the spool: boot epochs must not repeat when the spool is damaged."""
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="ascii") as file:
        json.dump(sorted(boots.items()), file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
