"""A file of nothing beside the spool, given up when the disk is full: deleting takes room too."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

BYTES: Final = 1 << 20
# Made only when there is this much more.
_ROOM_BYTES: Final = 4 << 20


class Ballast:
    """Room for the spool's log to delete batches, or to begin, on a full disk."""

    def __init__(self, spool: Path) -> None:
        """Take over the file that is there, if any."""
        self._path = spool.with_name(spool.name + ".ballast")

    def make(self, free: int) -> None:
        """Make the file unless it is there or less than a few MiB are `free`."""
        if free < BYTES + _ROOM_BYTES or self._path.exists():
            return
        # Another time, when the disk refuses now.
        with contextlib.suppress(OSError), self._path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, BYTES)

    def drop(self) -> bool:
        """Give the room to the disk; return whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
