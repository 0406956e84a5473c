"""The edge node: spool first, publish after, delete when the cloud has the effects."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from edge_agent.analytics import ReportedDriver, check, set_points, stages
from edge_agent.cancellation import end
from edge_agent.commands import Commands, Control
from edge_agent.drivers import open_driver, split_path
from edge_agent.drivers.base import Block, Device, Driver
from edge_agent.journal import Journal
from edge_agent.scoring import ScoredDriver, ScorerFor, scorer_for
from edge_agent.settings import Settings, SettingsError
from edge_agent.source import BoundDevice, DriverError, Pace, pump
from edge_agent.sparkplug import payloads
from edge_agent.sparkplug.topics import topic
from edge_agent.store.outgoing import Outgoing
from edge_agent.store.policy import KINDS, REASONS, kind_of
from edge_agent.store.spool import Spool
from edge_agent.uplink import FAREWELL_TIMEOUT_S, Uplink, now_ms
from edge_agent.writes import Writes

log = structlog.get_logger(__name__)

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A driver, its devices by tag, and how fast it may go."""

    driver: Driver
    devices: dict[str, BoundDevice]
    pace: Pace


@dataclass(slots=True)
class Seen:
    """The newest of a device: wall time of its last block and its score; why it is lost."""

    block_ms: int = 0
    score: float | None = None
    lost: str = ""


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

    def __init__(self, settings: Settings, scorer_for: ScorerFor = scorer_for) -> None:
        """Open drivers and spool; nothing touches the network yet.

        `scorer_for` gives each device its model.

        Raises:
            OptionsError, TopicNameError, SettingsError: a driver, a name or a device is wrong.
            SpoolError: the spool cannot be opened.
        """
        self._settings = settings
        self._sources: list[Source] = []
        devices: dict[str, BoundDevice] = {}
        drivers: dict[str, Driver] = {}
        measured: list[Device] = []
        # What stages counted, and those that leave out what did not change.
        self._counting: list[Callable[[], Mapping[str, int]]] = []
        self._reported: list[ReportedDriver] = []
        gateway = settings.gateway
        tables = gateway.analytics, gateway.capture, gateway.report
        writes = list(gateway.writes)
        for given in gateway.drivers:
            scored = ScoredDriver(open_driver(*given.chosen), scorer_for)
            driver, analysed, reported = stages(scored, *tables)
            measured += scored.devices()
            if analysed is not None:
                self._counting.append(analysed.counts)
                writes += set_points(analysed, gateway.writes)
            if reported is not None:
                self._counting.append(reported.counts)
                self._reported.append(reported)
            own: dict[str, BoundDevice] = {}
            for device in driver.devices():
                drivers[device.tag] = driver
                if device.tag in devices:
                    raise SettingsError(f"drivers: two devices have the tag {device.tag!r}")
                devices[device.tag] = own[device.tag] = BoundDevice(
                    device, len(devices), scored.scorers.get(device.tag)
                )
            self._sources.append(Source(driver, own, Pace(given.pace_hz)))
        check(measured, [bound.device for bound in devices.values()], *tables)
        spool = gateway.spool
        self._outgoing = Outgoing(Spool(settings.spool_path, spool), spool)
        try:
            self._writes = Writes(writes, drivers)
        except ValueError as error:
            raise SettingsError(*split_path(str(error))) from error
        self._commands = Commands(
            settings.site,
            settings.edge_node,
            settings.gateway.sparkplug.command_max_age_s,
            Journal(settings.journal_path),
            self._writes,
        )
        self._uplink = Uplink(
            settings,
            self._outgoing,
            {tag: bound.codec for tag, bound in devices.items()},
            self._health,
            self._commands,
            self._renew,
        )
        self._devices = devices
        # By tag; what the status page shows of them.
        self.seen = {tag: Seen() for tag in devices}
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

    @property
    def born(self) -> bool:
        """Whether the broker has the births of this session."""
        return self._uplink.born

    @property
    def births(self) -> int:
        """Times that the births went out since the start."""
        return self._uplink.births

    @property
    def boot_epoch(self) -> int:
        """Which start of the agent this is."""
        return self._outgoing.boot_epoch

    @property
    def spool_bytes(self) -> int:
        """Size of the payloads that wait."""
        return self._outgoing.bytes

    @property
    def in_flight(self) -> int:
        """Batches that this session published and the cloud has not acknowledged."""
        return self._uplink.window.batches

    def devices(self) -> dict[str, Device]:
        """Return the devices by tag."""
        return {tag: bound.device for tag, bound in self._devices.items()}

    def model_of(self, tag: str) -> str:
        """Return name and version of the model that scores a device, empty without one."""
        scorer = self._devices[tag].scorer
        return scorer.model if scorer else ""

    def obey(self, controls: Mapping[str, Control]) -> None:
        """Serve controls of `edge_agent.commands.CONTROLS` that an NCMD may set."""
        self._commands.obey(controls)

    async def say(self, topic: str, payload: bytes) -> bool:
        """Publish what is no part of Sparkplug; say whether the broker took it."""
        return await self._uplink.say(topic, payload)

    def reconnect(self) -> None:
        """End the session with the broker politely and begin another."""
        self._uplink.reconnect()

    async def models_changed(self, tags: Iterable[str]) -> None:
        """Let the births of devices say which model scores them now."""
        changed = [self._devices[tag] for tag in tags]
        for bound in changed:
            bound.codec.model = bound.scorer.model if bound.scorer else ""
        if changed:
            await self._uplink.declare([bound.device.tag for bound in changed])

    async def run(self, until_drained: bool = False) -> None:
        """Run until cancelled, or with `until_drained` until every batch was acknowledged.

        Raises:
            DriverError: a driver ended abnormally.
            sqlite3.DatabaseError: the spool was damaged while in use.
        """
        writer = asyncio.create_task(self._outgoing.write())
        uplink = asyncio.create_task(self._uplink.run())
        commands = asyncio.create_task(self._commands.run())
        makers = {
            asyncio.create_task(self._pump_all(until_drained)),
            asyncio.create_task(self._report_health(until_drained)),
        }
        try:
            done, _ = await asyncio.wait(
                {writer, uplink, commands, *makers}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
        finally:
            for task in (commands, *makers):
                task.cancel()
            await asyncio.gather(commands, *makers, return_exceptions=True)
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
        room = partial(self._outgoing.room, self._settings.gateway.max_unacknowledged)
        try:
            await pump(source.driver, source.devices, source.pace, room, self._emit, self._tell)
        except DriverError as error:
            log.error("driver failed", reason=str(error), exc_info=error)
            await self._uplink.bury(source.devices)
            raise

    def _emit(self, bound: BoundDevice, block: Block, score: float | None) -> None:
        self._scored += score is not None
        made = now_ms()
        if not block.late:
            self._writes.seen(block)
            self.seen[bound.device.tag].block_ms = made
            # Not every block of a stage has one.
            if score is not None:
                self.seen[bound.device.tag].score = score
        self._outgoing.add(
            topic(self._settings.site, "DDATA", self._settings.edge_node, bound.device.tag),
            lambda number: bound.codec.data(block, made, self._outgoing.boot_epoch, number, score),
            kind_of(bound.has_waveform(block), score, bool(block.capture)),
        )

    def _renew(self, tag: str) -> None:
        """Let the next block of a device be whole: a birth says nothing of its channels."""
        for reported in self._reported:
            reported.renew((tag,))

    async def _tell(self, bound: BoundDevice, reason: str | None) -> None:
        self.seen[bound.device.tag].lost = reason or ""
        if reason is None:
            log.info("device is back", device=bound.device.tag)
            await self._uplink.revive([bound.device.tag])
        else:
            log.warning("device lost", device=bound.device.tag, reason=reason)
            await self._uplink.bury([bound.device.tag])

    def _health(self) -> dict[str, float]:
        return {
            "Edge/Spool Depth": float(self._outgoing.depth),
            "Edge/Spool Size": self._outgoing.bytes / MIB,
            "Edge/In Flight": float(self.in_flight),
            "Edge/Batches Dropped": float(self._outgoing.dropped),
            **self._dropped(),
            "Edge/Windows Scored": float(self._scored),
            "Edge/Peak Memory": peak_memory_mib(),
            **self._analytics(),
        }

    def _analytics(self) -> dict[str, float]:
        """Return what the stages counted, summed over the drivers; nothing without stages."""
        total: Counter[str] = Counter()
        for counts in self._counting:
            total.update(counts())
        return {
            f"Edge/Analytics/{name.replace('_', ' ').title()}": float(count)
            for name, count in total.items()
        }

    def _dropped(self) -> dict[str, float]:
        dropped = self._outgoing.dropped_by
        kinds = {kind: sum(n for (its, _), n in dropped.items() if its == kind) for kind in KINDS}
        reasons = {
            reason: sum(n for (_, its), n in dropped.items() if its == reason) for reason in REASONS
        }
        return {
            **{f"Edge/Dropped/{kind.title()}": float(n) for kind, n in kinds.items()},
            **{f"Edge/Dropped For/{reason.title()}": float(n) for reason, n in reasons.items()},
        }

    async def _report_health(self, until_drained: bool) -> None:
        last: Counter[str] = Counter()
        while True:
            await asyncio.sleep(self._settings.gateway.health_interval_s)
            if not (until_drained and self._sources_ended):
                self._outgoing.add(
                    topic(self._settings.site, "NDATA", self._settings.edge_node),
                    partial(self._health_payload, now_ms()),
                    "health",
                )
            now = Counter(self.counts())
            depth = now.pop("depth")
            since = {f"{k}_since": v - last[k] for k, v in now.items()}
            log.info("health", **since, depth=depth, in_flight=self.in_flight)
            last = now

    def _health_payload(self, made: int, number: int) -> payloads.Payload:
        return payloads.node_data(made, self._outgoing.boot_epoch, number, self._health())
