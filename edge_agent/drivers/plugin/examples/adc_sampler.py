"""An analog-to-digital converter that is read at a fixed rate.

A thread asks a function of yours, `read(n)`, for the next `n` samples again and again; it may wait
for them. A ring keeps what the agent has not taken yet, and what does not fit is lost from the old
end, counted, and a gap in event time, never a shift of it. Blocks have `block_samples` samples.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
import structlog
from msgspec import Meta

from edge_agent.drivers.base import Block, Channel, Device, Lost

log = structlog.get_logger(__name__)

# Returns `n` samples of each input, shape (n, inputs); raises OSError when the converter is away.
Read = Callable[[int], npt.NDArray[Any]]


class AdcChannel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An input: value = sample x scale + offset."""

    name: Annotated[str, Meta(min_length=1, description="Name of the channel.")]
    unit: Annotated[str, Meta(description="Of the value.")] = "V"
    quantity: Annotated[str, Meta(description="As in docs/contracts.md.")] = "other"
    location: Annotated[str, Meta(description="Such as `drive_end`.")] = ""
    scale: Annotated[float, Meta(description="Unit of the value per unit of the converter.")] = 1.0
    offset: Annotated[float, Meta(description="In the unit of the value.")] = 0.0


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which function reads, how fast the converter runs, and what hangs on its inputs."""

    read: Annotated[str, Meta(description="`module:function` of your `read(n)`.")]
    tag: Annotated[str, Meta(min_length=1, description="Equipment tag.")]
    sample_rate_hz: Annotated[float, Meta(gt=0, le=1e6, description="Of every input.")]
    channels: Annotated[list[AdcChannel], Meta(min_length=1, description="In order of inputs.")]
    block_samples: Annotated[int, Meta(gt=0, description="Samples a block.")]
    read_samples: Annotated[int, Meta(gt=0, description="Samples `read` is asked for.")] = 256
    ring_blocks: Annotated[int, Meta(ge=2, description="Blocks that may wait.")] = 8
    equipment_class: Annotated[str, Meta(description="As in docs/contracts.md.")] = "other"
    path: Annotated[str, Meta(description="ISA-95: `enterprise/site/area/line/cell`.")] = ""
    reconnect_s: Annotated[
        float, Meta(gt=0, description="Between two attempts after `read` failed.")
    ] = 1.0


class Ring:
    """The newest rows of an endless array; positions count rows from its beginning.

    One thread appends, another takes.
    """

    def __init__(self, capacity: int, width: int) -> None:
        self._rows = np.zeros((capacity, width), np.float32)
        self._end = self._taken = 0
        self._lock = threading.Lock()
        self.lost = 0

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Add rows of shape (n, width); what does not fit is lost from the old end."""
        capacity = len(self._rows)
        with self._lock:
            at = np.arange(self._end, self._end + len(rows)) % capacity
            self._rows[at[-capacity:]] = rows[-capacity:]
            self._end += len(rows)
            if (over := self._end - self._taken - capacity) > 0:
                self._taken += over
                self.lost += over

    def take(self, count: int) -> tuple[int, npt.NDArray[np.float32]] | None:
        """Return the oldest `count` rows and the position of the first; None when there are less.

        After a loss it goes on at a multiple of `count`, so that blocks keep their places.
        """
        with self._lock:
            if behind := self._taken % count:
                skipped = count - behind
                if self._end < self._taken + skipped:
                    return None
                self._taken += skipped
                self.lost += skipped
            if self._end - self._taken < count:
                return None
            at = np.arange(self._taken, self._taken + count) % len(self._rows)
            first, self._taken = self._taken, self._taken + count
            return first, self._rows[at]

    def clear(self) -> None:
        """Forget all rows, and count from 0."""
        with self._lock:
            self._end = self._taken = 0


class AdcSampler:
    """The converter as a driver. Construction reads nothing."""

    def __init__(
        self, options: Options, read: Read, clock: Callable[[], float] = time.time
    ) -> None:
        self._options, self._read, self._clock = options, read, clock
        self._ring = Ring(options.ring_blocks * options.block_samples, len(options.channels))
        self._scale = np.array([c.scale for c in options.channels], np.float32)
        self._offset = np.array([c.offset for c in options.channels], np.float32)

    @property
    def lost_samples(self) -> int:
        """Samples that nobody took in time."""
        return self._ring.lost

    def devices(self) -> Sequence[Device]:
        """Return the machine whose sensors hang on the inputs."""
        options = self._options
        channels = tuple(
            Channel(c.name, c.unit, options.sample_rate_hz, c.quantity, c.location)
            for c in options.channels
        )
        return [Device(options.tag, options.equipment_class, options.path, channels)]

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        """Yield blocks of `block_samples`; when `read` fails, the device is lost and tried again.

        The converter's clock counts: a sample's time is that of the first `read` plus its place
        over the rate.
        """
        while True:
            self._ring.clear()
            stop = threading.Event()
            reading = asyncio.get_running_loop().run_in_executor(None, self._sample, stop)
            try:
                async for block in self._taken(reading):
                    yield block
            finally:
                stop.set()
            try:
                await reading
            except OSError as error:
                log.warning("converter away", reason=str(error))
                yield Lost(self._options.tag, str(error))
            await asyncio.sleep(self._options.reconnect_s)

    async def close(self) -> None:
        """Let go of nothing: the thread ends after its `read` when nobody listens any more."""

    async def _taken(self, reading: asyncio.Future[None]) -> AsyncIterator[Block]:
        options = self._options
        length_s = options.block_samples / options.sample_rate_hz
        start_ms: float | None = None
        while True:
            is_last = reading.done()
            while (taken := self._ring.take(options.block_samples)) is not None:
                first, rows = taken
                if start_ms is None:
                    # The block that is complete now began its length ago.
                    start_ms = (self._clock() - length_s) * 1000
                    start_ms -= first / options.sample_rate_hz * 1000
                values = rows * self._scale + self._offset
                yield Block(
                    options.tag,
                    round(start_ms + first / options.sample_rate_hz * 1000),
                    {c.name: values[:, i].copy() for i, c in enumerate(options.channels)},
                )
            if is_last:
                return
            await asyncio.sleep(min(length_s / 4, 0.1))

    def _sample(self, stop: threading.Event) -> None:
        while not stop.is_set():
            rows = np.asarray(self._read(self._options.read_samples), np.float32)
            self._ring.append(rows.reshape(-1, len(self._options.channels)))


def create(options: Options) -> AdcSampler:
    """Make the driver with the function that `read` names.

    Raises:
        ValueError: there is no such function.
    """
    module, _, function = options.read.partition(":")
    try:
        read: Read = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"read: {options.read}: {error}") from error
    return AdcSampler(options, read)
