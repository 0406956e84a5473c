"""A bridge in the test's own process between a real Mosquitto and a real log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from headrace.broker import Broker
from stream_processor import streams
from stream_processor.bridge.main import Bridge
from stream_processor.bridge.metrics import Metrics
from stream_processor.bridge.settings import Settings
from stream_processor.settings import Settings as ProcessorSettings

SITE, NODE = "riverside", "gw-1"


async def eventually(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Return what `look` returns, or its awaitable, once it is true."""
    async with asyncio.timeout(seconds):
        while True:
            found = look()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)


class Log:
    """What the log holds."""

    def __init__(self, broker: Broker, client: Client) -> None:
        self.broker, self.client = broker, client
        self.jetstream = client.jetstream()

    async def count(self, stream: str = streams.TELEMETRY) -> int:
        return int((await self.jetstream.stream_info(stream)).state.messages)

    async def read(self, stream: str = streams.TELEMETRY) -> list[Any]:
        """Return the messages of a stream, in order."""
        first = (await self.jetstream.stream_info(stream)).state
        return [
            await self.jetstream.get_msg(stream, seq)
            for seq in range(first.first_seq, first.last_seq + 1)
        ]

    async def has(self, number: int, stream: str = streams.TELEMETRY) -> list[Any]:
        """Wait for so many messages and return them."""
        await eventually(lambda: self._reached(number, stream))
        return await self.read(stream)

    async def _reached(self, number: int, stream: str) -> bool:
        try:
            return await self.count(stream) >= number
        except (OSError, nats.errors.Error):
            # It is away for a while.
            return False


@pytest.fixture
async def log(broker: Broker, tmp_path: Path) -> AsyncIterator[Log]:
    """The log with the streams that processor and server make."""
    client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    settings = ProcessorSettings.from_environment(
        {**broker.environment, "HEADRACE_DATA_DIR": str(tmp_path), "HEADRACE_API_TOKEN": "none"}
    )
    await streams.ensure(client.jetstream(), settings)
    await client.jetstream().add_stream(
        StreamConfig(name="FLEET", subjects=["headrace.report.>", "headrace.outcome.>"])
    )
    yield Log(broker, client)
    await client.close()


class Bridged:
    """Bridges between a broker of a plant and the log, and clients of both."""

    eventually = staticmethod(eventually)

    def __init__(self, broker: Broker, plant: Any) -> None:
        self.broker, self.plant = broker, plant

    def environment(self, **given: str) -> dict[str, str]:
        named = {f"HEADRACE_BRIDGE_{name.upper()}": value for name, value in given.items()}
        return {
            **self.broker.environment,
            "HEADRACE_BRIDGE_PORT": str(self.plant.port),
            # Longer than the slowest of disks needs to renew it.
            "HEADRACE_BRIDGE_LEASE": "30",
            **named,
        }

    @asynccontextmanager
    async def running(self, ready: bool = True, **given: str) -> AsyncIterator[Metrics]:
        """Run a bridge; its settings by the ends of their names."""
        metrics = Metrics()
        bridge = Bridge(Settings.from_environment(self.environment(**given)), metrics)
        task = asyncio.create_task(bridge.run())
        try:
            if ready:
                both = ("connected.up", "connected.down")
                await eventually(lambda: task.done() or all(metrics.totals()[w] for w in both))
            yield metrics
        finally:
            bridge.stop()
            await task

    @asynccontextmanager
    async def at_plant(self, *topics: str, **options: Any) -> AsyncIterator[aiomqtt.Client]:
        """Connect to the plant's broker and subscribe."""
        async with aiomqtt.Client("127.0.0.1", self.plant.port, **options) as client:
            for topic in topics:
                await client.subscribe(topic, qos=1)
            yield client

    @asynccontextmanager
    async def at_cloud(self, *topics: str) -> AsyncIterator[aiomqtt.Client]:
        """Connect to the MQTT door of the cloud and subscribe."""
        async with aiomqtt.Client(
            self.broker.host,
            self.broker.mqtt_port,
            username=self.broker.user,
            password=self.broker.password,
        ) as client:
            for topic in topics:
                await client.subscribe(topic, qos=1)
            yield client


@pytest.fixture
def bridged(broker: Broker, mosquitto: Any) -> Bridged:
    """Bridges between Mosquitto and the log."""
    return Bridged(broker, mosquitto)
