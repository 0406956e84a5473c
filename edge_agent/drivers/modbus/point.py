"""A point as it is read and written: from registers to a value and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.drivers.base import Channel, Samples
from edge_agent.drivers.modbus.options import BITS, DeviceTable, PointTable, Table
from edge_agent.drivers.modbus.plan import Span
from edge_agent.drivers.modbus.registers import (
    NARROW,
    EncodeError,
    Order,
    decode,
    decode_many,
    encode,
    to_bytes,
)


@dataclass(frozen=True, slots=True)
class PointReader:
    """What a device's point is made of; `span` are its addresses in `table`."""

    options: PointTable
    table: Table
    span: Span
    period_ms: int
    word_order: Order
    byte_order: Order

    @classmethod
    def of(cls, device: DeviceTable, point: PointTable) -> PointReader:
        """Return a point with what the device says of all of them."""
        table, address = point.place
        return cls(
            point,
            table,
            Span(address, point.size),
            device.period_ms(point),
            point.word_order or device.word_order,
            point.byte_order or device.byte_order,
        )

    @property
    def name(self) -> str:
        """The channel's name."""
        return self.options.name

    @property
    def address(self) -> str:
        """Where it lies, as people write it."""
        bit = f" bit {self.options.bit}" if self.options.kind == "bit" else ""
        return f"{self.table} {self.span.address}{bit}"

    @property
    def sequence(self) -> Span | None:
        """The register that grows with each waveform."""
        address = self.options.sequence_address
        return None if address is None else Span(address, 1)

    @property
    def registers(self) -> int:
        """How many addresses one value takes."""
        return self.span.count // self.options.count

    @property
    def is_narrow(self) -> bool:
        """True where a float32 holds every register of the type."""
        return self.options.kind in NARROW

    def channel(self) -> Channel:
        """Return the channel."""
        rate_hz = self.options.sample_rate_hz or 1000.0 / self.period_ms
        return Channel(
            self.name, self.options.unit, rate_hz, self.options.quantity, self.options.location
        )

    def value(self, raw: Sequence[int] | Sequence[bool]) -> float:
        """Return the value of its registers, or of its bit; NaN when the device has none."""
        if self.table in BITS:
            number: float = float(raw[0])
        else:
            number = decode(
                to_bytes(raw),
                self.options.kind,
                self.word_order,
                self.byte_order,
                self.options.bit,
            )
            if number in self.options.invalid or not math.isfinite(number):
                return math.nan
        return number * self.options.scale + self.options.offset

    def values(self, raw: Sequence[int]) -> Samples:
        """Return the samples of a waveform's registers."""
        numbers = decode_many(to_bytes(raw), self.options.kind, self.word_order, self.byte_order)
        missing = ~np.isfinite(numbers) | np.isin(numbers, self.options.invalid)
        samples = numbers * self.options.scale + self.options.offset
        whole = np.where(missing, np.nan, samples)
        return whole.astype(np.float32) if self.is_narrow else whole

    def raw(self, value: float) -> list[int]:
        """Return what its write function takes for a value: bits, registers, or two masks.

        Raises:
            EncodeError: the value has no place in its registers.
        """
        number = (value - self.options.offset) / self.options.scale
        if self.options.kind in ("bool", "bit"):
            if number not in (0.0, 1.0):
                raise EncodeError(f"{value:g} is neither on nor off")
            if self.options.kind == "bool":
                return [int(number)]
            mask = 1 << self.options.bit
            if self.byte_order == "little":
                mask = mask >> 8 | (mask & 0xFF) << 8
            return [0xFFFF ^ mask, mask if number else 0]
        return encode(number, self.options.kind, self.word_order, self.byte_order)
