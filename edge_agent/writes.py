"""Writing to devices: only the points that the gateway file lists, only within its limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta

from edge_agent.drivers.base import Block, Driver, Writer
from edge_agent.sparkplug.payloads import WritablePoint
from edge_agent.v1 import sparkplug_b_pb2 as pb

Scalar = float | bool | str
_DATATYPES: Final = {
    "number": pb.DATA_TYPE_DOUBLE,
    "boolean": pb.DATA_TYPE_BOOLEAN,
    "text": pb.DATA_TYPE_STRING,
}


class RefusedError(ValueError):
    """A value may not be written; nothing was tried."""


class WriteTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[writes]]` table: a point that a command may write to, and what it may write."""

    device: Annotated[str, Meta(min_length=1, description="Tag of the device.")]
    name: Annotated[str, Meta(min_length=1, description="What its driver calls the point.")]
    kind: Annotated[Literal["number", "boolean", "text"], Meta(description="Of the value.")] = (
        "number"
    )
    minimum: Annotated[float | None, Meta(description="Least number, in the point's unit.")] = None
    maximum: Annotated[float | None, Meta(description="Largest number, in its unit.")] = None
    allowed: Annotated[
        list[float | str], Meta(description="The only numbers or texts; empty for no such list.")
    ] = msgspec.field(default_factory=list)
    max_step: Annotated[
        float,
        Meta(ge=0, description="Largest change of what the point was last seen to have; 0: any."),
    ] = 0.0
    min_interval_s: Annotated[
        float, Meta(ge=0, description="Seconds between two writes; 0 for no limit.")
    ] = 0.0
    confirm: Annotated[
        bool, Meta(description="Whether a command must say who confirmed it, besides who asked.")
    ] = False

    def __post_init__(self) -> None:
        limits = [n for n in (self.minimum, self.maximum) if n is not None]
        if not all(isfinite(n) for n in [*limits, self.max_step, self.min_interval_s]):
            raise ValueError("minimum: and the other limits must be finite numbers")
        if self.kind != "number" and (limits or self.max_step):
            raise ValueError(f"kind: a {self.kind} has no minimum, maximum or max_step")
        wanted = {"number": float, "text": str}.get(self.kind)
        if any(not isinstance(value, wanted or ()) for value in self.allowed):
            raise ValueError(f"allowed: not every value is a {self.kind}")
        if self.kind == "number" and not self.allowed:
            if self.minimum is None or self.maximum is None:
                raise ValueError("minimum: a number needs `minimum` and `maximum`, or `allowed`")
            if self.minimum > self.maximum:
                raise ValueError(f"minimum: {self.minimum:g} is above maximum {self.maximum:g}")


class _Point:
    """A listed point, what it was last seen to have, and when it was last written to."""

    def __init__(self, table: WriteTable, writer: Writer, unit: str) -> None:
        self.table, self.writer, self.unit = table, writer, unit
        self.value: Scalar | None = None
        self.written_s = -float("inf")


class Writes:
    """The points of a gateway that may be written to."""

    def __init__(
        self,
        tables: Sequence[WriteTable],
        drivers: Mapping[str, Driver],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Bind each table to the driver of its device; `clock` counts seconds.

        Raises:
            ValueError: a device is none, its driver does not write, or a point is listed twice or
                not one that the driver can write to; the message begins with the field.
        """
        self._clock = clock
        self._points: dict[str, dict[str, _Point]] = {}
        for place, table in enumerate(tables):
            driver = drivers.get(table.device)
            if driver is None:
                raise ValueError(f"writes[{place}].device: no driver has {table.device!r}")
            if not isinstance(driver, Writer):
                raise ValueError(
                    f"writes[{place}].device: the driver of {table.device!r} cannot write"
                )
            units = driver.writable(table.device)
            if table.name not in units:
                raise ValueError(
                    f"writes[{place}].name: {table.name!r} is none of the points that can be "
                    f"written to: {', '.join(units) or 'there are none'}"
                )
            points = self._points.setdefault(table.device, {})
            if table.name in points:
                raise ValueError(f"writes[{place}].name: {table.name!r} is listed twice")
            points[table.name] = _Point(table, driver, units[table.name])

    @property
    def devices(self) -> list[str]:
        """The devices that have a point that may be written to."""
        return list(self._points)

    def points(self, device: str) -> list[WritablePoint]:
        """Return what a device's birth declares as writable."""
        return [
            WritablePoint(
                point.table.name,
                _DATATYPES[point.table.kind],
                point.unit,
                point.table.minimum,
                point.table.maximum,
                point.value,
            )
            for point in self._points.get(device, {}).values()
        ]

    def seen(self, block: Block) -> None:
        """Remember what the points that are channels have now; steps count from there."""
        for name, point in self._points.get(block.device, {}).items():
            samples = block.samples.get(name)
            if samples is not None and len(samples) and np.isfinite(samples[-1]):
                point.value = float(samples[-1])

    async def write(self, device: str, name: str, value: Scalar, confirmed_by: str = "") -> Scalar:
        """Check a value, write it and return it as it was written.

        Raises:
            RefusedError: the point is not listed, or the value breaks a limit.
            WriteError: the device refused it or is away.
        """
        point = self._points.get(device, {}).get(name)
        if point is None:
            raise RefusedError(f"{device}: {name!r} may not be written to from afar")
        wanted = _of_kind(point.table, value)
        _check(point, wanted, confirmed_by)
        now = self._clock()
        if now - point.written_s < point.table.min_interval_s:
            wait = point.table.min_interval_s - (now - point.written_s)
            raise RefusedError(f"{name}: too soon after the last write, wait {wait:.1f} s")
        # Also of a write that fails: what became of it at the device is not known.
        point.written_s = now
        await point.writer.write(device, name, wanted)
        point.value = wanted
        return wanted


def _of_kind(table: WriteTable, value: Scalar) -> Scalar:
    match table.kind, value:
        case "boolean", bool() | 0 | 1 | 0.0 | 1.0:
            return value == 1
        case "number", int() | float() if not isinstance(value, bool) and isfinite(value):
            return float(value)
        case "text", str():
            return value
    raise RefusedError(f"{table.name}: {value!r} is no {table.kind}")


def _check(point: _Point, value: Scalar, confirmed_by: str) -> None:
    table, unit = point.table, f" {point.unit}".rstrip()
    if table.confirm and not confirmed_by:
        raise RefusedError(f"{table.name}: needs `Headrace/Confirmed By`")
    if table.allowed and value not in table.allowed:
        choice = ", ".join(f"{a:g}" if isinstance(a, float) else a for a in table.allowed)
        raise RefusedError(f"{table.name}: {value!r} is none of {choice}")
    if isinstance(value, bool | str):
        return
    if table.minimum is not None and value < table.minimum:
        raise RefusedError(f"{table.name}: {value:g} is below {table.minimum:g}{unit}")
    if table.maximum is not None and value > table.maximum:
        raise RefusedError(f"{table.name}: {value:g} is above {table.maximum:g}{unit}")
    if table.max_step and isinstance(point.value, float):
        step = abs(value - point.value)
        if step > table.max_step:
            raise RefusedError(
                f"{table.name}: {value:g} is {step:g}{unit} from {point.value:g}, "
                f"{table.max_step:g} at most at once"
            )
