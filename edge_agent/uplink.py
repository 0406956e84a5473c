"""The Sparkplug session: births, data in the spool's order, acknowledgements and commands."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import aiomqtt
import structlog
from google.protobuf.message import DecodeError

from edge_agent.cancellation import end
from edge_agent.outgoing import Outgoing
from edge_agent.settings import Settings
from edge_agent.sparkplug import payloads
from edge_agent.sparkplug.topics import acknowledgement_topic, topic
from edge_agent.spool import Batch
from edge_agent.v1 import acknowledgement_pb2

log = structlog.get_logger(__name__)

# Publishes awaited at once; the broker acknowledges each.
WINDOW: Final = 32
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


class Uplink:
    """The edge node as the broker sees it."""

    def __init__(
        self,
        settings: Settings,
        outgoing: Outgoing,
        codecs: Mapping[str, payloads.DeviceCodec],
        health: Callable[[], Mapping[str, float]],
    ) -> None:
        """Prepare a node with a codec for each device tag; nothing touches the network yet."""
        self._settings, self._outgoing = settings, outgoing
        self._codecs, self._health = codecs, health
        # Batches published more than once since the start.
        self.resent = 0
        self._client: aiomqtt.Client | None = None
        # Held by whoever publishes, so that `seq` counts in the order of the wire.
        self._wire = asyncio.Lock()
        self._sequence = 0
        # Batches up to here were handed to a broker before; a second time they are historical.
        self._published = (outgoing.boot_epoch, 0)

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
                    max_inflight_messages=WINDOW,
                ) as client:
                    # A window of publishes awaited at once is what we do, not a sign of trouble.
                    client.pending_calls_threshold = 2 * WINDOW
                    attempt = 0
                    await self._session(client, bd_seq)
            except aiomqtt.MqttError as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    # The farewell failed; whoever asked us to end still wants us to.
                    raise asyncio.CancelledError from error
                pause = backoff_s(attempt)
                attempt += 1
                log.warning("broker lost", reason=str(error), retry_in_s=round(pause, 2))
                await asyncio.sleep(pause)

    async def bury(self, tags: Iterable[str]) -> None:
        """Publish the deaths of devices, when there is a session; else their births do not come."""
        if self._client is None:
            return
        with contextlib.suppress(aiomqtt.MqttError):
            async with self._wire:
                for tag in tags:
                    payload = payloads.device_death(now_ms()).SerializeToString()
                    await self._client.publish(
                        self._topic("DDEATH", tag),
                        self._sequenced(payload),
                        qos=1,
                        timeout=FAREWELL_TIMEOUT_S,
                    )

    def _topic(self, kind: str, device: str | None = None) -> str:
        return topic(self._settings.site, kind, self._settings.edge_node, device)

    async def _session(self, client: aiomqtt.Client, bd_seq: int) -> None:
        settings = self._settings
        await client.subscribe(acknowledgement_topic(settings.site, settings.edge_node), qos=1)
        await client.subscribe(self._topic("NCMD"), qos=1)
        await self._birth(client, bd_seq)
        self._client = client
        tasks = {
            asyncio.create_task(self._publish(client)),
            asyncio.create_task(self._listen(client, bd_seq)),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._client = None
            await end(*tasks, again_s=0.1)
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                # Leaving on purpose: the broker does not send the will then.
                with contextlib.suppress(aiomqtt.MqttError):
                    await client.publish(
                        self._topic("NDEATH"),
                        payloads.node_death(bd_seq, now_ms()).SerializeToString(),
                        qos=1,
                        timeout=FAREWELL_TIMEOUT_S,
                    )

    async def _birth(self, client: aiomqtt.Client, bd_seq: int) -> None:
        async with self._wire:
            first_batch = await self._outgoing.first_batch()
            birth = payloads.node_birth(
                now_ms(), bd_seq, self._outgoing.boot_epoch, first_batch, self._health()
            )
            self._sequence = 0
            await client.publish(self._topic("NBIRTH"), birth.SerializeToString(), qos=1)
            for tag, codec in self._codecs.items():
                payload = self._sequenced(codec.birth(now_ms()).SerializeToString())
                await client.publish(self._topic("DBIRTH", tag), payload, qos=1)
        log.info("born", devices=len(self._codecs), boot_epoch=self._outgoing.boot_epoch)

    def _sequenced(self, payload: bytes) -> bytes:
        self._sequence = (self._sequence + 1) % 256
        return payloads.with_sequence(payload, self._sequence)

    async def _publish(self, client: aiomqtt.Client) -> None:
        """Publish what is in the spool, in order, then wait for more."""
        # What the broker took but the cloud has not acknowledged goes again: the log drops twins.
        cursor = (0, 0)
        while True:
            self._outgoing.stored.clear()
            batches = await self._outgoing.after(cursor, WINDOW)
            if batches:
                await self._publish_all(client, batches)
                cursor = batches[-1].key
            else:
                await self._outgoing.stored.wait()

    async def _publish_all(self, client: aiomqtt.Client, batches: list[Batch]) -> None:
        async with self._wire:
            publishes = []
            for batch in batches:
                again = batch.key <= self._published
                self.resent += again
                payload = payloads.historical(batch.payload) if again else batch.payload
                publishes.append(client.publish(batch.topic, self._sequenced(payload), qos=1))
            # From here on the broker may have them, whatever becomes of the connection.
            self._published = max(self._published, batches[-1].key)
            for outcome in await asyncio.gather(*publishes, return_exceptions=True):
                if outcome is not None:
                    raise outcome

    async def _listen(self, client: aiomqtt.Client, bd_seq: int) -> None:
        acknowledgements = acknowledgement_topic(self._settings.site, self._settings.edge_node)
        async for message in client.messages:
            payload = message.payload
            if not isinstance(payload, bytes):
                continue
            if message.topic.value == acknowledgements:
                await self._acknowledge(payload)
            else:
                await self._command(client, payload, bd_seq)

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
        await self._outgoing.acknowledge(said.boot_epoch, said.sequence)

    async def _command(self, client: aiomqtt.Client, payload: bytes, bd_seq: int) -> None:
        try:
            command = payloads.read_command(payload)
        except payloads.PayloadError as error:
            log.warning("command refused", reason=str(error))
            return
        if command.rebirth:
            await self._birth(client, bd_seq)
        if command.resend:
            await self._resend(client, *command.resend)

    async def _resend(self, client: aiomqtt.Client, boot_epoch: int, first: int, last: int) -> None:
        """Publish again what is still here; what was not published yet comes by itself."""
        found = 0
        while batches := [
            b
            for b in await self._outgoing.range(boot_epoch, first, last, WINDOW)
            if b.key <= self._published
        ]:
            await self._publish_all(client, batches)
            found += len(batches)
            first = batches[-1].number + 1
        log.info("resend", boot_epoch=boot_epoch, last=last, found=found)
