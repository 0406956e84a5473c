"""What a server says of each point, on its way to the blocks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import structlog
from asyncua import ua

from edge_agent.drivers.base import BAD
from edge_agent.drivers.opcua.clock import ServerClock
from edge_agent.drivers.opcua.decoding import WrongShapeError, reading
from edge_agent.drivers.opcua.nodes import parse
from edge_agent.drivers.opcua.options import DeviceOptions, Options, PointOptions
from edge_agent.drivers.opcua.sampling import Sampler
from edge_agent.drivers.opcua.subscribing import Item

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """A point of a device; its place in the driver's list is its item's handle."""

    device: str
    point: PointOptions
    item: Item


def targets_of(devices: Sequence[DeviceOptions]) -> list[Target]:
    """Return every point of the devices with what is to be watched for it."""
    points = [(device.tag, point) for device in devices for point in device.points]
    return [
        Target(tag, point, Item(handle, parse(point.node), point.deadband, point.waveform))
        for handle, (tag, point) in enumerate(points)
    ]


class Intake:
    """Decodes values and hands them to the sampler; says once what is wrong with a point."""

    def __init__(
        self, options: Options, targets: Sequence[Target], sampler: Sampler, clock: ServerClock
    ) -> None:
        self._options, self._targets = options, targets
        self._sampler, self._clock = sampler, clock
        self._warned: set[tuple[int, str]] = set()

    def take(self, handle: int, said: ua.DataValue) -> None:
        """Hear a value of the point with a handle."""
        if not 0 <= handle < len(self._targets):
            return
        target, options = self._targets[handle], self._options
        point, now_ms = target.point, self._clock.now_ms()
        try:
            heard = reading(
                said,
                point.waveform,
                options.timestamps,
                now_ms,
                time.time() * 1000,
                options.max_ahead_s * 1000,
            )
        except WrongShapeError as error:
            self._warn(target, str(error))
            if not point.waveform:
                # What was known before is not so any more.
                self._sampler.put(target.device, point.name, now_ms, nan, BAD)
            return
        if heard.is_doubted:
            self._warn(
                target,
                "the source's clock is ahead of the server's, whose is taken; see `timestamps`",
            )
        if heard.is_overflow:
            self._warn(target, "the server's queue ran over and values are lost; see `queue_size`")
        if heard.samples is not None:
            time_ms = heard.time_ms
            if point.timestamp_of == "last":
                time_ms -= (len(heard.samples) - 1) / point.sample_rate_hz * 1000
            self._sampler.put_waveform(target.device, point, time_ms, heard.samples, heard.quality)
        elif not point.waveform:
            self._sampler.put(target.device, point.name, heard.time_ms, heard.value, heard.quality)

    def _warn(self, target: Target, reason: str) -> None:
        if (target.item.handle, reason) not in self._warned:
            self._warned.add((target.item.handle, reason))
            log.warning(
                "something is wrong with a point",
                device=target.device,
                channel=target.point.name,
                reason=reason,
            )
