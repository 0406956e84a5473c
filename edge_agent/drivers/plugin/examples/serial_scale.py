"""A scale on a serial line that sends a line of text a reading, such as `ST,GS,+  12.345kg`.

`ST` is stable, `US` unstable and `OL` overload, as many makers write it.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from math import nan
from typing import Annotated, Any, Final

import msgspec
import structlog
from msgspec import Meta

from edge_agent.drivers.base import BAD, GOOD, Block, Channel, Device, Lost, Quality
from edge_agent.drivers.feeding import DeviceFeed
from edge_agent.drivers.grid import GridChannel

log = structlog.get_logger(__name__)

CHANNEL: Final = "Weight"
_LINE: Final = re.compile(rb"(ST|US|OL),(GS|NT|TR),([+-] *[0-9.]*)[ ]*(?:kg|g|t|lb)\s*")
_LONGEST_LINE: Final = 256


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which line, and which machine is at its end."""

    port: Annotated[str, Meta(min_length=1, description="Such as `/dev/ttyUSB0`.")]
    tag: Annotated[str, Meta(min_length=1, description="Equipment tag.")]
    path: Annotated[str, Meta(description="ISA-95: `enterprise/site/area/line/cell`.")] = ""
    baudrate: Annotated[int, Meta(ge=300, le=4_000_000)] = 9600
    unit: Annotated[str, Meta(description="That the scale shows.")] = "kg"
    silent_after_s: Annotated[
        float, Meta(gt=0, description="Silent for longer, the scale counts as away.")
    ] = 5.0
    reconnect_s: Annotated[
        float, Meta(gt=0, description="Between two attempts to open the line.")
    ] = 1.0


def weight_of(line: bytes) -> tuple[float, Quality] | None:
    """Return what a line says; None when it is none, as the first one heard often is."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    if found[1] == b"OL":
        return nan, BAD
    try:
        return float(found[3].replace(b" ", b"")), GOOD
    except ValueError:
        return None


class SerialScale:
    """The scale as a driver. Construction opens nothing."""

    def __init__(self, options: Options, clock: Callable[[], float] = time.time) -> None:
        self._options, self._clock = options, clock
        self._feed = DeviceFeed(
            options.tag,
            [GridChannel(CHANNEL, 1.0, stale_after_s=options.silent_after_s)],
            {},
            block_s=1.0,
            settle_s=0.1,
            silent_after_s=options.silent_after_s,
        )
        self.unreadable = 0

    def devices(self) -> Sequence[Device]:
        """Return the scale."""
        channels = (Channel(CHANNEL, self._options.unit, 1.0),)
        return [Device(self._options.tag, "scale", self._options.path, channels)]

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        """Yield a block a second while the scale speaks."""
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                if listening.done():
                    listening.result()
                for item in self._feed.due(self._clock() * 1000):
                    yield item
                await asyncio.sleep(0.1)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def close(self) -> None:
        """Let go of nothing: `blocks` closes the line when it is no longer listened to."""

    async def _listen(self) -> None:
        import serial  # type: ignore[import-untyped]

        while True:
            try:
                with serial.Serial(self._options.port, self._options.baudrate, timeout=0) as line:
                    await self._read(line)
            except (OSError, serial.SerialException) as error:
                log.info("no line", port=self._options.port, reason=str(error))
                self._feed.away(str(error))
            await asyncio.sleep(self._options.reconnect_s)

    async def _read(self, line: Any) -> None:
        """Take what comes as it comes, without a thread."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[bytes] = asyncio.Queue()

        def take() -> None:
            try:
                arrived.put_nowait(os.read(line.fileno(), 4096))
            except BlockingIOError:
                return
            except OSError:
                # Nothing more comes of a line that was pulled out.
                arrived.put_nowait(b"")

        loop.add_reader(line.fileno(), take)
        text = b""
        try:
            while chunk := await arrived.get():
                *lines, text = (text + chunk).split(b"\n")
                # A line without an end is noise: the wrong baud rate, mostly.
                text = text[-_LONGEST_LINE:]
                for one in lines:
                    self._take(one)
        finally:
            loop.remove_reader(line.fileno())
        raise OSError(f"{self._options.port}: the line is gone")

    def _take(self, line: bytes) -> None:
        said = weight_of(line.strip())
        if said is None:
            self.unreadable += 1
            return
        now_ms = self._clock() * 1000
        value, quality = said
        self._feed.put(CHANNEL, now_ms, value, quality, now_ms)


def create(options: Options) -> SerialScale:
    """Make the driver."""
    return SerialScale(options)
