"""Where a machine's values lie in its Modbus tables.

One map for every machine, made of its channels in the order of its declaration; machine `n` of the
plant (from 1) answers to unit id `n`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from edge_agent.drivers.base import Channel, Device
from firmware_sim.plant import MACHINES
from firmware_sim.servers.base import Now, is_slow

Order = Literal["big", "little"]
Table = Literal["input", "holding", "coil", "discrete"]

# Input registers.
SEQUENCE: Final = 0
EVENT_TIME: Final = 1
FLOATS: Final = 10
WHOLES: Final = 100
WAVEFORMS: Final = 1000
WAVEFORM_STRIDE: Final = 4000
# Holding registers, a coil and discrete inputs.
RATE: Final = 0
RATE_FLOAT: Final = 2
FOLLOW_PLAN: Final = 0
RUNNING: Final = 0
SENSOR_FAULTS: Final = 1
# What an int16 holds when its sensor says nothing.
NOTHING: Final = -32_768
# A register step of the waveforms, m/s2: an accelerometer of 16 g.
WAVEFORM_STEP: Final = 0.005
RATE_STEP: Final = 0.1


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of the map; `count` is above 1 for a waveform."""

    name: str
    table: Table
    address: int
    kind: str
    unit: str = "1"
    scale: float = 1.0
    count: int = 1
    writable: bool = False

    @property
    def size(self) -> int:
        """How many addresses it takes."""
        return {"float32": 2, "uint64": 4}.get(self.kind, 1) * self.count


def step(noise: float) -> float:
    """Return a register step for a sensor: half its noise, rounded down to 1, 2 or 5 and zeros."""
    power = 10.0 ** math.floor(math.log10(noise / 2.0))
    digit = max(d for d in (1, 2, 5) if d * power <= noise / 2.0 * (1 + 1e-9))
    # As it is written: 0.05, not 0.05000000000000001.
    return float(f"{digit * power:.6g}")


def entries(device: Device) -> Iterator[Entry]:
    """Yield the map of a machine."""
    yield Entry("Sequence", "input", SEQUENCE, "uint16")
    yield Entry("Event Time", "input", EVENT_TIME, "uint64", "ms")
    slow = [channel for channel in device.channels if is_slow(channel)]
    for place, channel in enumerate(slow):
        yield Entry(channel.name, "input", FLOATS + 2 * place, "float32", channel.unit)
    for place, channel in enumerate(slow):
        scale = _steps(device)[channel.name]
        yield Entry(channel.name, "input", WHOLES + place, "int16", channel.unit, scale)
    for place, channel in enumerate(_fast(device)):
        address = WAVEFORMS + WAVEFORM_STRIDE * place
        count = round(channel.sample_rate_hz)
        yield Entry(
            channel.name, "input", address, "int16", channel.unit, WAVEFORM_STEP, count=count
        )
    yield Entry("Rate Setpoint", "holding", RATE, "uint16", "%", RATE_STEP, writable=True)
    yield Entry("Rate Setpoint", "holding", RATE_FLOAT, "float32", "%", writable=True)
    yield Entry("Follow Plan", "coil", FOLLOW_PLAN, "bool", writable=True)
    yield Entry("Running", "discrete", RUNNING, "bool")
    for place, channel in enumerate(slow):
        yield Entry(f"{channel.name} Fault", "discrete", SENSOR_FAULTS + place, "bool")


def _steps(device: Device) -> dict[str, float]:
    machine, _ = MACHINES[device.tag]
    return {sensor.channel.name: step(sensor.noise) for sensor in machine.sensors}


def _fast(device: Device) -> list[Channel]:
    return [channel for channel in device.channels if not is_slow(channel)]


@dataclass
class Image:
    """The four tables of a machine as they stand.

    Numbers of several registers are laid out in `word_order` and `byte_order`, so that a driver can
    be tried on either.
    """

    device: Device
    word_order: Order = "big"
    byte_order: Order = "big"
    tables: dict[Table, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        sizes: dict[Table, int] = {"input": 0, "holding": 0, "coil": 0, "discrete": 0}
        self._entries = list(entries(self.device))
        self._used: dict[Table, set[int]] = {table: set() for table in sizes}
        for entry in self._entries:
            sizes[entry.table] = max(sizes[entry.table], entry.address + entry.size)
            self._used[entry.table].update(range(entry.address, entry.address + entry.size))
        self.tables = {table: [0] * size for table, size in sizes.items()}
        self.set_rate(0.0)

    def runs(self, table: Table) -> Iterator[tuple[int, int]]:
        """Yield address and length of each run of addresses that the map uses."""
        start = None
        for address in range(len(self.tables[table]) + 1):
            if address in self._used[table]:
                start = address if start is None else start
            elif start is not None:
                yield start, address - start
                start = None

    def show(self, now: Now) -> None:
        """Take what the machine said last."""
        input_, discrete = self.tables["input"], self.tables["discrete"]
        # Never 0, so that 0 means that nothing came yet.
        input_[SEQUENCE] = self._swapped((now.sequence - 1) % 65_535 + 1)
        self._put("input", EVENT_TIME, struct.pack(">Q", now.time_ms))
        discrete[RUNNING] = 1
        for entry in self._entries:
            if entry.table != "input" or entry.name in ("Sequence", "Event Time"):
                continue
            if entry.count > 1:
                samples = np.asarray(now.waveforms[entry.name], dtype=np.float64)
                raw = np.where(np.isnan(samples), NOTHING, _whole(samples / entry.scale))
                self._put("input", entry.address, raw.astype(">i2").tobytes(), words=1)
            elif entry.kind == "float32":
                self._put("input", entry.address, struct.pack(">f", now.slow[entry.name]))
            else:
                value = now.slow[entry.name]
                whole = NOTHING if math.isnan(value) else int(_whole(value / entry.scale))
                self._put("input", entry.address, struct.pack(">h", whole))
        for place, value in enumerate(now.slow.values()):
            discrete[SENSOR_FAULTS + place] = int(math.isnan(value))

    def set_rate(self, rate: float) -> None:
        """Show a set-point in %, in both of its places; 0 follows the plan."""
        self.tables["holding"][RATE] = self._swapped(round(rate / RATE_STEP))
        self._put("holding", RATE_FLOAT, struct.pack(">f", rate))
        self.tables["coil"][FOLLOW_PLAN] = int(rate == 0.0)

    def rate(self, address: int, registers: Sequence[int]) -> float | None:
        """Return the set-point in % that was written to holding registers; None when it is none."""
        if address == RATE and len(registers) == 1:
            return self._swapped(registers[0]) * RATE_STEP
        if address == RATE_FLOAT and len(registers) == 2:
            data = self._laid(struct.pack(">2H", *registers), 2)
            value: float = struct.unpack(">f", data)[0]
            return value if math.isfinite(value) else None
        return None

    def _put(self, table: Table, address: int, data: bytes, words: int = 0) -> None:
        laid = self._laid(data, words or len(data) // 2)
        count = len(data) // 2
        self.tables[table][address : address + count] = struct.unpack(f">{count}H", laid)

    def _laid(self, data: bytes, words: int) -> bytes:
        registers = [data[i : i + 2] for i in range(0, len(data), 2)]
        if self.byte_order == "little":
            registers = [register[::-1] for register in registers]
        if self.word_order == "little" and words > 1:
            registers.reverse()
        return b"".join(registers)

    def _swapped(self, register: int) -> int:
        return register >> 8 | (register & 0xFF) << 8 if self.byte_order == "little" else register


def _whole(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | float,
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the nearest int16, clipped to what a sensor's range is, as float."""
    return np.asarray(np.clip(np.rint(values), -32_767, 32_767), dtype=np.float64)
