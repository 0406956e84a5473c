"""How the gateway itself is: memory, processor, disk, temperature; read from Linux's own files."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Less is no time to take a share over: a page and a report may ask one right after the other.
LEAST_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Vitals:
    """One reading; what this machine does not tell is None.

    Sizes are in bytes, temperatures in °C; `cpu` is the share of one core that the agent used since
    the reading before, `cpu_s` the processor time since its start, `load` the machine's load over
    the last minute.
    """

    memory_bytes: int | None
    memory_peak_bytes: int | None
    machine_memory_free_bytes: int | None
    cpu: float | None
    cpu_s: float
    load: float | None
    disk_free_bytes: int
    disk_bytes: int
    temperature_c: float | None
    uptime_s: float
    machine_uptime_s: float | None


class VitalSigns:
    """Reads the vitals; `proc` and `sys` are where Linux keeps them."""

    def __init__(
        self, data_dir: Path, proc: Path = Path("/proc"), sys: Path = Path("/sys")
    ) -> None:
        self._data_dir, self._proc, self._sys = data_dir, proc, sys
        self._began_s = self._read_s = time.monotonic()
        self._used_s = time.process_time()
        self._share: float | None = None

    def read(self) -> Vitals:
        """Read all of them now."""
        now_s, used_s = time.monotonic(), time.process_time()
        passed_s = now_s - self._read_s
        if passed_s >= LEAST_S:
            self._share = (used_s - self._used_s) / passed_s
            self._read_s, self._used_s = now_s, used_s
        self._data_dir.mkdir(parents=True, exist_ok=True)
        disk = os.statvfs(self._data_dir)
        status = _fields(self._proc / "self/status")
        uptime = _words(self._proc / "uptime")
        load = _words(self._proc / "loadavg")
        return Vitals(
            memory_bytes=status.get("VmRSS"),
            memory_peak_bytes=status.get("VmHWM"),
            machine_memory_free_bytes=_fields(self._proc / "meminfo").get("MemAvailable"),
            cpu=self._share,
            cpu_s=used_s,
            load=load[0] if load else None,
            disk_free_bytes=disk.f_bavail * disk.f_frsize,
            disk_bytes=disk.f_blocks * disk.f_frsize,
            temperature_c=self._temperature(),
            uptime_s=now_s - self._began_s,
            machine_uptime_s=uptime[0] if uptime else None,
        )

    def _temperature(self) -> float | None:
        """Return the hottest zone; sensors that answer nonsense are passed over."""
        found = [
            value / 1000
            for zone in sorted(self._sys.glob("class/thermal/thermal_zone*/temp"))
            for value in _words(zone)[:1]
        ]
        return max((value for value in found if -55 <= value <= 150), default=None)


def _fields(path: Path) -> dict[str, int]:
    """Return the `Name: 12 kB` lines of a file, in bytes."""
    found: dict[str, int] = {}
    for line in _text(path).splitlines():
        name, _, value = line.partition(":")
        parts = value.split()
        if len(parts) == 2 and parts[1] == "kB" and parts[0].isdigit():
            found[name] = int(parts[0]) * 1024
    return found


def _words(path: Path) -> list[float]:
    found: list[float] = []
    for word in _text(path).split():
        try:
            found.append(float(word))
        except ValueError:
            break
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
