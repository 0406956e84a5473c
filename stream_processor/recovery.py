"""Where the state of a partition is kept between starts, by one process at a time."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import structlog
from bytewax.recovery import RecoveryConfig, init_db_dir

# One store a partition: its flow is one worker.
STORES = 1
# The file that says a store is whole.
MADE = "made"
RETRY_S = 0.1

log = structlog.get_logger(__name__)


class StillHeldError(RuntimeError):
    """The process is to end, and another one still holds the directory."""


@contextmanager
def recovery(directory: Path, stopping: threading.Event) -> Iterator[RecoveryConfig]:
    """Hold a partition's directory, making it at the first start.

    One that another process holds is waited for: it hands over, or this one stands by.

    Raises:
        StillHeldError: `stopping` was set before.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with held(directory, stopping):
        if not (directory / MADE).exists():
            # A start that was cut short left parts that were never used.
            for part in directory.glob("*.sqlite3*"):
                part.unlink()
            initialize(directory)
        yield RecoveryConfig(directory)  # type: ignore[no-untyped-call]


@contextmanager
def held(directory: Path, stopping: threading.Event) -> Iterator[None]:
    """Hold a directory; one that another process holds is waited for.

    Raises:
        StillHeldError: `stopping` was set before.
    """
    with (directory / "lock").open("w") as lock:
        _acquire(lock, directory, stopping)
        yield


def initialize(directory: Path) -> None:
    """Make an empty store."""
    init_db_dir(directory, STORES)  # type: ignore[no-untyped-call]
    (directory / MADE).touch()


def part_of(directory: Path) -> Path:
    """Return the file of a store."""
    return directory / "part-0.sqlite3"


def _acquire(lock: IO[str], directory: Path, stopping: threading.Event) -> None:
    waits = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not waits:
                log.warning("another process has this state; waiting", directory=str(directory))
                waits = True
            if stopping.wait(RETRY_S):
                raise StillHeldError(f"{directory} is in use") from None


def size_bytes(directory: Path) -> int:
    """Return what the state of a partition takes on the disk."""
    total = 0
    for path in directory.glob("*.sqlite3*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            # A write-ahead log that was just taken in.
            continue
    return total
