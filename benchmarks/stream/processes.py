"""What a process has of this machine at the moment, from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Vitals:
    """Bytes of memory that only this process has, all that is resident, threads, open files."""

    private_bytes: int
    resident_bytes: int
    threads: int
    files: int


def vitals(pid: int) -> Vitals:
    """Return how a process is.

    Raises:
        FileNotFoundError: there is no such process.
    """
    folder = Path("/proc") / str(pid)
    fields = dict(
        line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line
    )
    return Vitals(
        int(fields["RssAnon"].split()[0]) * 1024,
        int(fields["VmRSS"].split()[0]) * 1024,
        int(fields["Threads"]),
        len(list((folder / "fd").iterdir())),
    )


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has had, in seconds."""
    # The name in brackets may hold anything.
    text = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(text[11]) + int(text[12])) / TICKS


def size_bytes(folder: Path) -> int:
    """Return what the files under a folder take."""
    total = 0
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                total += path.stat().st_size
        except FileNotFoundError:
            # Gone between the listing and the look.
            continue
    return total
