"""The Sparkplug session: births and deaths, data in the spool's order, what the cloud says."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import aiomqtt
import structlog
from google.protobuf.message import DecodeError

from edge_agent.cancellation import end
from edge_agent.commands import Commands
from edge_agent.fleet.tls import TlsError, context_of
from edge_agent.settings import Settings
from edge_agent.sparkplug import payloads
from edge_agent.sparkplug.commands import read_command
from edge_agent.sparkplug.lost import node_lost
from edge_agent.sparkplug.state import PrimaryHost
from edge_agent.sparkplug.topics import (
    acknowledgement_topic,
    outcome_topic,
    state_topic,
    topic,
)
from edge_agent.store.database import MAX_NUMBER
from edge_agent.store.outgoing import Outgoing
from edge_agent.store.ranges import Range, merged, without
from edge_agent.store.spool import Batch, Hole
from edge_agent.subscription import subscribe
from edge_agent.v1 import acknowledgement_pb2
from edge_agent.window import Window, probe_waits

log = structlog.get_logger(__name__)

# Publishes awaited at once; the broker acknowledges each.
WINDOW: Final = 256
# Of their payloads, so that a slow line has them within the broker's time to reply.
WINDOW_BYTES: Final = 1 << 18
# Of them, on their way at once.
IN_FLIGHT: Final = 32
# Seconds in the spool after which a batch is of the past, and the drain's rate holds.
LATE_S: Final = 10
MAX_BACKOFF_S: Final = 15.0
# A broker that syncs every message to a busy disk may take its time.
REPLY_TIMEOUT_S: Final = 30.0
FAREWELL_TIMEOUT_S: Final = 2.0


def now_ms() -> int:
    """Return the wall clock in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def backoff_s(attempt: int) -> float:
    """Return a random pause before attempt number `attempt`, counted from 0.

    Full jitter, so that a plant's gateways do not come back all at once.
    """
    return random.uniform(0, min(MAX_BACKOFF_S, 0.25 * 2 ** min(attempt, 10)))


def _is_late(entry: Batch | Hole) -> bool:
    return isinstance(entry, Hole) or entry.waited_s >= LATE_S


class Uplink:
    """The edge node as the broker sees it."""

    def __init__(
        self,
        settings: Settings,
        outgoing: Outgoing,
        codecs: Mapping[str, payloads.DeviceCodec],
        health: Callable[[], Mapping[str, float]],
        commands: Commands,
        declared: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare a node with a codec for each device tag; nothing touches the network yet.

        `declared` hears of each birth of a device before it goes out.
        """
        self._settings, self._outgoing = settings, outgoing
        self._codecs, self._health, self._commands = codecs, health, commands
        self._declared = declared
        commands.say = partial(self.say, outcome_topic(settings.site, settings.edge_node))
        commands.wrote = self._show_written
        self._qos = settings.gateway.sparkplug.qos
        spool = settings.gateway.spool
        self.window = Window(spool.max_in_flight, spool.max_in_flight_bytes)
        self._host = PrimaryHost(settings.gateway.sparkplug.primary_host_id)
        # Devices that their drivers do not reach.
        self._away: set[str] = set()
        # Batches published more than once since the start.
        self.resent = 0
        # Times that the births went out.
        self.births = 0
        self._client: aiomqtt.Client | None = None
        # Set when the session is to end and another to begin, such as with a new certificate.
        self._anew = asyncio.Event()
        # Held by whoever publishes, so that `seq` counts in the order of the wire.
        self._wire = asyncio.Lock()
        self._sequence = 0
        # Batches up to here were handed to a broker before; a second time they are historical.
        self._published = (outgoing.boot_epoch, 0)
        # Set when there are more of them.
        self._advanced = asyncio.Event()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        settings, attempt = self._settings, 0
        while True:
            bd_seq = await self._outgoing.next_bd_seq()
            death = payloads.node_death(bd_seq, now_ms()).SerializeToString()
            try:
                async with aiomqtt.Client(
                    settings.mqtt_host,
                    settings.mqtt_port,
                    username=settings.broker_user or None,
                    password=settings.broker_password or None,
                    identifier=f"{settings.site}/{settings.edge_node}",
                    will=aiomqtt.Will(self._topic("NDEATH"), death, qos=1),
                    clean_session=True,
                    timeout=REPLY_TIMEOUT_S,
                    max_inflight_messages=IN_FLIGHT,
                    tls_context=context_of(settings.gateway.broker),
                ) as client:
                    # A window of publishes awaited at once is what we do, not a sign of trouble.
                    client.pending_calls_threshold = 2 * WINDOW
                    attempt = 0
                    await self._session(client, bd_seq)
            except (aiomqtt.MqttError, TlsError) as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    # The farewell failed; whoever asked us to end still wants us to.
                    raise asyncio.CancelledError from error
                pause = backoff_s(attempt)
                attempt += 1
                log.warning("broker lost", reason=str(error), retry_in_s=round(pause, 2))
                await asyncio.sleep(pause)

    @property
    def born(self) -> bool:
        """Whether there is a session, with its births out."""
        return self._client is not None

    def reconnect(self) -> None:
        """End the session politely and begin another."""
        self._anew.set()

    async def say(self, topic: str, payload: bytes) -> bool:
        """Publish what is no part of Sparkplug; say whether the broker took it."""
        if self._client is None:
            return False
        try:
            await self._client.publish(topic, payload, qos=1)
        except aiomqtt.MqttError:
            return False
        return True

    async def bury(self, tags: Iterable[str]) -> None:
        """Publish the deaths of devices, now or after the births of the next session."""
        tags = list(tags)
        self._away.update(tags)
        with contextlib.suppress(TimeoutError):
            # What they said last comes before.
            async with asyncio.timeout(FAREWELL_TIMEOUT_S):
                await self._catch_up()
        await self._tell("DDEATH", tags)

    async def revive(self, tags: Iterable[str]) -> None:
        """Publish the births of devices that are back."""
        tags = list(tags)
        self._away.difference_update(tags)
        await self._tell("DBIRTH", tags)

    async def declare(self, tags: Iterable[str]) -> None:
        """Publish the births of devices, which changed, but of those that are away."""
        await self._tell("DBIRTH", tags)

    async def _show_written(self, tag: str, name: str) -> None:
        """Let hosts see what a point was set to; a channel's own data shows it."""
        if name not in self._codecs[tag].names.values():
            await self.declare([tag])

    async def _catch_up(self) -> None:
        """Wait until all that was numbered before this was published, or there is no session."""
        target = (self._outgoing.boot_epoch, self._outgoing.numbered)
        while self._client is not None and self._published < target:
            self._advanced.clear()
            await self._advanced.wait()

    async def _tell(self, kind: str, tags: Iterable[str]) -> None:
        """Publish births or deaths of devices, when there is a session; else it begins so."""
        with contextlib.suppress(aiomqtt.MqttError):
            async with self._wire:
                for tag in tags:
                    if self._client is None:
                        return
                    # What became of it while the wire was another's comes by itself.
                    if (tag in self._away) == (kind == "DDEATH"):
                        await self._say_of(self._client, kind, tag, FAREWELL_TIMEOUT_S)

    async def _say_of(
        self, client: aiomqtt.Client, kind: str, tag: str, timeout_s: float | None = None
    ) -> None:
        if kind == "DBIRTH":
            self._declared(tag)
            points = self._commands.writes.points(tag)
            payload = self._codecs[tag].birth(now_ms(), points)
        else:
            payload = payloads.device_death(now_ms())
        content = self._sequenced(payload.SerializeToString())
        await client.publish(self._topic(kind, tag), content, self._qos, timeout=timeout_s)

    def _topic(self, kind: str, device: str | None = None) -> str:
        return topic(self._settings.site, kind, self._settings.edge_node, device)

    async def _session(self, client: aiomqtt.Client, bd_seq: int) -> None:
        self._anew.clear()
        self._host.begin()
        await self._subscribe(client)
        tasks = {
            asyncio.create_task(self._listen(client, bd_seq)),
            asyncio.create_task(self._speak(client, bd_seq)),
            asyncio.create_task(self._anew.wait()),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            born, self._client = self.born, None
            self._advanced.set()
            await end(*tasks, again_s=0.1)
            current = asyncio.current_task()
            if born and (self._anew.is_set() or (current is not None and current.cancelling())):
                # Leaving on purpose: the broker does not send the will then.
                with contextlib.suppress(aiomqtt.MqttError):
                    await client.publish(
                        self._topic("NDEATH"),
                        payloads.node_death(bd_seq, now_ms()).SerializeToString(),
                        qos=1,
                        timeout=FAREWELL_TIMEOUT_S,
                    )

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        settings = self._settings
        if self._host.host_id:
            await subscribe(client, state_topic(self._host.host_id), 1)
        await subscribe(client, acknowledgement_topic(settings.site, settings.edge_node), 1)
        await subscribe(client, self._topic("NCMD"), 1)
        for device in self._commands.writes.devices:
            await subscribe(client, self._topic("DCMD", device), 1)

    async def _speak(self, client: aiomqtt.Client, bd_seq: int) -> None:
        """Publish births, once the host that the node waits for is there, then what the spool has.

        Until then the spool grows.
        """
        if not self._host.online.is_set():
            log.info("waiting for the primary host", host_id=self._host.host_id)
        await self._host.online.wait()
        await self._birth(client, bd_seq)
        self._client = client
        await self._commands.flush()
        await self._publish(client)

    async def _birth(self, client: aiomqtt.Client, bd_seq: int) -> None:
        async with self._wire:
            first_batch = await self._outgoing.first_batch()
            birth = payloads.node_birth(
                now_ms(),
                bd_seq,
                self._outgoing.boot_epoch,
                first_batch,
                self._health(),
                self._commands.controls,
                await self._outgoing.earlier(),
            )
            self._sequence = 0
            await client.publish(self._topic("NBIRTH"), birth.SerializeToString(), self._qos)
            for tag in self._codecs:
                await self._say_of(client, "DBIRTH", tag)
            # Their spooled data needs the birth; that they are away is the newer news.
            for tag in self._codecs:
                if tag in self._away:
                    await self._say_of(client, "DDEATH", tag)
        self.births += 1
        log.info("born", devices=len(self._codecs), boot_epoch=self._outgoing.boot_epoch)

    def _sequenced(self, payload: bytes) -> bytes:
        self._sequence = (self._sequence + 1) % 256
        return payloads.with_sequence(payload, self._sequence)

    async def _publish(self, client: aiomqtt.Client) -> None:
        """Publish what is in the spool, in order, then wait for more."""
        # What the broker took but the cloud has not acknowledged goes again: the log drops twins.
        cursor = (0, 0)
        self.window.clear()
        rate = self._settings.gateway.spool.drain_rate
        # Batches published in a tenth of a second, so that the rate does not hang on the line.
        step = max(1, int(rate / 10)) if rate else WINDOW
        while True:
            count, size = self.window.room(step, WINDOW_BYTES)
            if not (count and size):
                await self._wait_for_acknowledgement(client, cursor)
                continue
            self._outgoing.stored.clear()
            entries = await self._outgoing.after(cursor, count, size)
            if not entries:
                await self._outgoing.stored.wait()
                continue
            began = time.monotonic()
            self.window.add(entries)
            await self._publish_all(client, entries)
            cursor = entries[-1].key
            if rate and _is_late(entries[0]):
                await asyncio.sleep(began + len(entries) / rate - time.monotonic())

    async def _wait_for_acknowledgement(
        self, client: aiomqtt.Client, newest: tuple[int, int]
    ) -> None:
        """Wait until the cloud acknowledged something, sending what was sent last again at times.

        The log may have lost it, or the broker the acknowledgement. What the processor has it
        acknowledges once more, and what it misses before it asks for.
        """
        self.window.moved.clear()
        epoch, number = newest
        for wait_s in probe_waits():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self.window.moved.wait()
                return
            log.warning(
                "no acknowledgement, the rest waits in the spool",
                in_flight=self.window.batches,
                waiting=self._outgoing.depth,
            )
            await self._resend(client, epoch, number, number)

    async def _publish_all(self, client: aiomqtt.Client, entries: Sequence[Batch | Hole]) -> None:
        async with self._wire:
            publishes = []
            for where, payload in self._messages(entries):
                publishes.append(client.publish(where, self._sequenced(payload), self._qos))
            # From here on the broker may have them, whatever becomes of the connection.
            self._published = max(self._published, entries[-1].key)
            self._advanced.set()
            for outcome in await asyncio.gather(*publishes, return_exceptions=True):
                if outcome is not None:
                    raise outcome

    def _messages(self, entries: Sequence[Batch | Hole]) -> Iterator[tuple[str, bytes]]:
        """Yield topic and payload of each batch, and of what tells all holes of a boot at once."""
        holes: dict[int, list[tuple[int, int]]] = {}
        for entry in entries:
            if isinstance(entry, Hole):
                holes.setdefault(entry.boot_epoch, []).append((entry.first, entry.last))
        for entry in entries:
            if isinstance(entry, Batch):
                again = entry.key <= self._published
                self.resent += again
                late = again or _is_late(entry)
                payload = payloads.historical(entry.payload) if late else entry.payload
                yield entry.topic, payload
            elif entry.boot_epoch in holes:
                lost = node_lost(now_ms(), entry.boot_epoch, holes.pop(entry.boot_epoch))
                yield self._topic("NDATA"), lost.SerializeToString()

    async def _listen(self, client: aiomqtt.Client, bd_seq: int) -> None:
        acknowledgements = acknowledgement_topic(self._settings.site, self._settings.edge_node)
        state = state_topic(self._host.host_id)
        async for message in client.messages:
            payload, where = message.payload, message.topic.value
            if not isinstance(payload, bytes):
                continue
            if where == acknowledgements:
                await self._acknowledge(payload)
            elif where == state:
                self._hear_of_host(payload)
            else:
                device = where.removeprefix(self._topic("DCMD")).removeprefix("/")
                device = "" if where == self._topic("NCMD") else device
                await self._command(client, device, payload, bd_seq, message.retain)

    def _hear_of_host(self, payload: bytes) -> None:
        """Begin anew when the primary host went away."""
        try:
            is_news = self._host.take(payload)
        except payloads.PayloadError as error:
            log.warning("state of the primary host cannot be read", reason=str(error))
            return
        if not is_news:
            log.warning("state of the primary host is older than the one before")
        elif self.born and not self._host.online.is_set():
            log.warning("primary host is offline", host_id=self._host.host_id)
            self._anew.set()

    async def _acknowledge(self, payload: bytes) -> None:
        try:
            said = acknowledgement_pb2.Acknowledgement.FromString(payload)
        except DecodeError as error:
            log.warning("acknowledgement cannot be read", reason=str(error))
            return
        if self._published < (said.boot_epoch, said.sequence):
            # Of another disk's past, or a mistake: what was not published has no effects.
            log.warning(
                "acknowledgement of what was never published",
                boot_epoch=said.boot_epoch,
                sequence=said.sequence,
            )
            return
        self._outgoing.acknowledge(said.boot_epoch, said.sequence)
        self.window.acknowledge(said.boot_epoch, said.sequence)

    async def _command(
        self, client: aiomqtt.Client, device: str, payload: bytes, bd_seq: int, retained: bool
    ) -> None:
        codec = self._codecs.get(device)
        try:
            command = read_command(payload, codec.names if codec else None)
        except payloads.PayloadError as error:
            log.warning("command refused", reason=str(error), device=device)
            return
        # Before the births there is nothing to do again.
        if self.born and not device:
            if command.rebirth and not self._commands.knows(command):
                await self._birth(client, bd_seq)
            if command.resend:
                await self._resend(client, *command.resend)
        self._commands.take(device, command, retained)

    async def _resend(self, client: aiomqtt.Client, boot_epoch: int, first: int, last: int) -> None:
        """Publish again what is still here, and say what is not.

        What was not published yet comes by itself.
        """
        epoch, published = self._published
        last = min(last, published if boot_epoch == epoch else MAX_NUMBER)
        if boot_epoch > epoch or not 1 <= first <= last:
            log.info("resend of what was never published", boot_epoch=boot_epoch, first=first)
            return
        there: list[Range] = []
        start = first
        while batches := await self._outgoing.range(boot_epoch, start, last, WINDOW, WINDOW_BYTES):
            await self._publish_all(client, batches)
            there = merged([*there, *((b.number, b.number) for b in batches)])
            start = batches[-1].number + 1
        lost = [Hole(boot_epoch, *span) for span in without((first, last), there)]
        for place in range(0, len(lost), WINDOW):
            await self._publish_all(client, lost[place : place + WINDOW])
        log.info("resend", boot_epoch=boot_epoch, first=first, last=last, holes=len(lost))
