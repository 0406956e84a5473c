"""The edge node: spool first, publish after, delete when the cloud has the effects."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from edge_agent.cancellation import end
from edge_agent.drivers.base import Block, Driver
from edge_agent.outgoing import Outgoing
from edge_agent.settings import Settings, SettingsError
from edge_agent.source import BoundDevice, DriverError, Pace, open_driver, pump
from edge_agent.sparkplug import payloads
from edge_agent.sparkplug.topics import topic
from edge_agent.spool import Spool
from edge_agent.uplink import FAREWELL_TIMEOUT_S, Uplink, now_ms

log = structlog.get_logger(__name__)

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A driver, its devices by tag, and how fast it may go."""

    driver: Driver
    devices: dict[str, BoundDevice]
    pace: Pace


def peak_memory_mib() -> float:
    """Return the largest resident size of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage counts what the parent had before it started us.
        text = status.read_text(encoding="ascii", errors="replace")
        return int(text.partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class EdgeNode:
    """One edge node with its drivers."""

    def __init__(self, settings: Settings) -> None:
        """Open drivers and spool; nothing touches the network yet.

        Raises:
            PluginError, RecordingError, TopicNameError, SettingsError: a driver, a name or a
                device is wrong.
            SpoolError: the spool cannot be opened.
        """
        self._settings = settings
        self._sources: list[Source] = []
        devices: dict[str, BoundDevice] = {}
        for given in settings.drivers:
            driver = open_driver(given)
            own: dict[str, BoundDevice] = {}
            for device in driver.devices():
                if device.tag in devices:
                    raise SettingsError(f"drivers: two devices have the tag {device.tag!r}")
                devices[device.tag] = own[device.tag] = BoundDevice(device, len(devices))
            self._sources.append(Source(driver, own, Pace(given.pace_hz)))
        self._outgoing = Outgoing(Spool(settings.spool_path, settings.spool_max_bytes))
        self._uplink = Uplink(
            settings,
            self._outgoing,
            {tag: bound.codec for tag, bound in devices.items()},
            self._health,
        )
        self._scored = 0
        self._sources_ended = False

    def counts(self) -> dict[str, int]:
        """Return what happened since the start; `depth` is what waits for acknowledgement."""
        return {
            "sent": self._outgoing.numbered,
            "acknowledged": self._outgoing.acknowledged,
            "dropped": self._outgoing.dropped,
            "resent": self._uplink.resent,
            "scored": self._scored,
            "depth": self._outgoing.depth,
        }

    async def run(self, until_drained: bool = False) -> None:
        """Run until cancelled, or with `until_drained` until every batch was acknowledged.

        Raises:
            DriverError: a driver ended abnormally.
            sqlite3.DatabaseError: the spool was damaged while in use.
        """
        writer = asyncio.create_task(self._outgoing.write())
        uplink = asyncio.create_task(self._uplink.run())
        makers = {
            asyncio.create_task(self._pump_all(until_drained)),
            asyncio.create_task(self._report_health(until_drained)),
        }
        try:
            done, _ = await asyncio.wait(
                {writer, uplink, *makers}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
        finally:
            for task in makers:
                task.cancel()
            await asyncio.gather(*makers, return_exceptions=True)
            self._outgoing.finish()
            await asyncio.gather(writer, return_exceptions=True)
            # Longer than the session's farewell.
            await end(uplink, again_s=2 * FAREWELL_TIMEOUT_S)
            await self._outgoing.close()

    async def _pump_all(self, until_drained: bool) -> None:
        """Run the sources to their end, then wait for ever, or until nothing waits."""
        try:
            async with asyncio.TaskGroup() as group:
                for source in self._sources:
                    group.create_task(self._pump(source))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self._sources_ended = True
        log.info("sources ended", **self.counts())
        if until_drained:
            await self._outgoing.room(1)
        else:
            await asyncio.Event().wait()

    async def _pump(self, source: Source) -> None:
        room = partial(self._outgoing.room, self._settings.max_unacknowledged)
        try:
            await pump(source.driver, source.devices, source.pace, room, self._emit)
        except DriverError as error:
            log.error("driver failed", reason=str(error), exc_info=error)
            await self._uplink.bury(source.devices)
            raise

    def _emit(self, bound: BoundDevice, block: Block, score: float | None) -> None:
        self._scored += score is not None
        made = now_ms()
        self._outgoing.add(
            topic(self._settings.site, "DDATA", self._settings.edge_node, bound.device.tag),
            lambda number: bound.codec.data(block, made, self._outgoing.boot_epoch, number, score),
        )

    def _health(self) -> dict[str, float]:
        return {
            "Edge/Spool Depth": float(self._outgoing.depth),
            "Edge/Spool Size": self._outgoing.bytes / MIB,
            "Edge/Batches Dropped": float(self._outgoing.dropped),
            "Edge/Windows Scored": float(self._scored),
            "Edge/Peak Memory": peak_memory_mib(),
        }

    async def _report_health(self, until_drained: bool) -> None:
        last: Counter[str] = Counter()
        while True:
            await asyncio.sleep(self._settings.health_interval_s)
            if not (until_drained and self._sources_ended):
                self._outgoing.add(
                    topic(self._settings.site, "NDATA", self._settings.edge_node),
                    partial(self._health_payload, now_ms()),
                )
            now = Counter(self.counts())
            depth = now.pop("depth")
            log.info("health", **{f"{k}_since": v - last[k] for k, v in now.items()}, depth=depth)
            last = now

    def _health_payload(self, made: int, number: int) -> payloads.Payload:
        return payloads.node_data(made, self._outgoing.boot_epoch, number, self._health())
