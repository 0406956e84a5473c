"""Poll one device on its schedule and put its readings together to blocks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from edge_agent.drivers.base import Block, Device, Lost
from edge_agent.drivers.modbus.collecting import Collected, Layout
from edge_agent.drivers.modbus.connection import Connection, NoAnswer
from edge_agent.drivers.modbus.options import DeviceTable
from edge_agent.drivers.modbus.reading import Reading
from edge_agent.drivers.modbus.schedule import Schedule

log = structlog.get_logger(__name__)

Put = Callable[[Block | Lost], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]

FIRST_RETRY_S: Final = 1.0
# A device that refused points is asked for them again after this long, and on every return.
FORGET_S: Final = 600.0
_SAY_MISSED_S: Final = 60.0


@dataclass
class Counts:
    """What happened to the readings of a device; one reading is one value or one waveform."""

    read: int = 0
    missed: int = 0
    lost: int = 0


class Poller:
    """The readings of one device, for as long as it runs.

    A reading that cannot begin before the next one is due is missed. The clocks come in from
    outside: `wall` in seconds since the epoch, and `sleep`.
    """

    def __init__(
        self,
        device: DeviceTable,
        connection: Connection,
        retry_max_s: float,
        wall: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.options = device
        self.counts = Counts()
        self._connection = connection
        self._reading = Reading(device, connection)
        self._points = self._reading.points
        self._layout = Layout(self._points)
        self._scalars = list(self._layout.rows)
        self._schedule = Schedule(sorted({p.period_ms for p in self._points}), device.block_ms)
        self._retry_max_s = retry_max_s
        self._wall, self._sleep = wall, sleep
        self._block: Collected | None = None
        self._away = False
        self._retry_s = min(FIRST_RETRY_S, retry_max_s)
        self._retry_at_s = 0.0
        self._generation = -1
        self._forget_at_s = 0.0
        self._say_missed_at_s = 0.0
        self._missed_said = 0

    def device(self) -> Device:
        """Return the declaration."""
        options = self.options
        return Device(
            options.tag,
            options.equipment_class,
            options.path,
            tuple(point.channel() for point in self._points),
            options.description,
            "live",
            options.facts,
        )

    async def run(self, put: Put) -> None:
        """Poll until cancelled."""
        at_ms = self._schedule.next_ms(self._now_ms())
        while True:
            wait_ms = at_ms - self._now_ms()
            if self._schedule.is_off(at_ms, self._now_ms()):
                log.warning(
                    "the clock was set, or the gateway slept",
                    device=self.options.tag,
                    seconds=round(-wait_ms / 1000, 3),
                )
                await self._put_block(put, at_ms)
                at_ms = self._schedule.next_ms(self._now_ms())
                continue
            if wait_ms > 0:
                await self._sleep(wait_ms / 1000)
            if self._block is None and not self._away and self._schedule.is_start(at_ms):
                end_ms = self._schedule.block_end_ms(at_ms)
                self._block = Collected(self._layout, at_ms, end_ms)
            try:
                await self._poll(at_ms)
            except NoAnswer as error:
                await self._lose(put, at_ms, str(error))
            at_ms += self._schedule.step_ms
            if self._block is not None and at_ms >= self._block.end_ms:
                await self._put_block(put, at_ms)

    async def _poll(self, at_ms: int) -> None:
        """Read what is due at a place of the grid.

        Raises:
            NoAnswer: the device is away.
        """
        if self._away:
            if not self._may_retry():
                return
            # One value is enough, and what it refused may be another one by now.
            self._reading.forget()
            await self._reading.values(self._scalars[:1])
            self._return()
            # Its next block begins at the next place that may be a start.
            return
        block = self._block
        if block is None:
            return
        now_ms = self._now_ms()
        due = [i for i, p in enumerate(self._points) if at_ms % p.period_ms == 0]
        in_time = [i for i in due if now_ms < at_ms + self._points[i].period_ms]
        self._miss(len(due) - len(in_time))
        if self._reading.refused and self._wall() >= self._forget_at_s:
            self._forget()
        values = await self._reading.values(
            [i for i in in_time if not self._points[i].options.is_waveform]
        )
        for i, value in values.items():
            block.put(i, at_ms, value)
        self.counts.read += len(values)
        for i in in_time:
            if self._points[i].options.is_waveform:
                samples = await self._reading.waveform(i)
                if samples is not None:
                    block.put_waveform(i, samples)
                    self.counts.read += 1

    async def _put_block(self, put: Put, end_ms: int) -> None:
        block, self._block = self._block, None
        if block is None or end_ms <= block.start_ms:
            return
        made = block.block(self.options.tag, min(end_ms, block.end_ms))
        if made is not None:
            await put(made)

    async def _lose(self, put: Put, at_ms: int, reason: str) -> None:
        """Say that the device is away, after what was read of it; or wait longer for it."""
        self._retry_at_s = self._wall() + self._retry_s
        self._retry_s = min(2 * self._retry_s, self._retry_max_s)
        self._generation = self._connection.generation
        await self._put_block(put, at_ms)
        if not self._away:
            self._away = True
            self.counts.lost += 1
            await put(Lost(self.options.tag, reason))

    def _may_retry(self) -> bool:
        return (
            self._wall() >= self._retry_at_s
            or self._connection.generation != self._generation
            # The clock went back.
            or self._retry_at_s > self._wall() + self._retry_max_s
        )

    def _return(self) -> None:
        self._away = False
        self._retry_s = min(FIRST_RETRY_S, self._retry_max_s)
        self._forget()

    def _forget(self) -> None:
        self._reading.forget()
        self._forget_at_s = self._wall() + FORGET_S

    def _miss(self, count: int) -> None:
        self.counts.missed += count
        if self.counts.missed > self._missed_said and self._wall() >= self._say_missed_at_s:
            log.warning(
                "readings missed; the device is slower than its period",
                device=self.options.tag,
                count=self.counts.missed - self._missed_said,
            )
            self._missed_said = self.counts.missed
            self._say_missed_at_s = self._wall() + _SAY_MISSED_S

    def _now_ms(self) -> float:
        return self._wall() * 1000.0
