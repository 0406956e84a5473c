"""Machines straight into the telemetry log, as a broker would store what their gateways publish."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import nats
import numpy as np
from nats.aio.client import Client
from nats.js import JetStreamContext

from edge_agent.drivers.base import Block, Channel, Device
from edge_agent.sparkplug.payloads import DeviceCodec, node_birth
from headrace.broker import Broker
from stream_processor.settings import Settings
from stream_processor.streams import TELEMETRY, ensure, partition_of

SITE, CLASS, PATH = "bench", "press", "bench/site/area/line/cell"
# Messages that the server has not confirmed yet.
IN_FLIGHT = 1000
START_MS = 1_767_250_800_000  # 2026-01-01 07:00 UTC
SECONDS = 5
NOISES = 64
SHIFT = 25.0

Message = tuple[str, bytes]


def vibrations(samples: int, count: int) -> tuple[str, ...]:
    """Return the names of a machine's vibrations; without samples it has none."""
    return tuple(f"Vibration {n + 1}" for n in range(count if samples else 0))


def channels(samples: int, count: int) -> tuple[Channel, ...]:
    """Return `count` vibrations of `samples` a block, and a temperature at 1 Hz."""
    rate = samples / SECONDS
    return (
        *(Channel(name, "m/s2", rate, "acceleration") for name in vibrations(samples, count)),
        Channel("Temperature", "degC", 1.0, "temperature"),
    )


@dataclass
class Node:
    """An edge node with machines whose blocks are five seconds of their own time each."""

    name: str
    machines: int
    samples: int
    vibrations: int = 1
    batch: int = 0
    codecs: list[DeviceCodec] = field(init=False)

    def __post_init__(self) -> None:
        declared = channels(self.samples, self.vibrations)
        self.codecs = [
            DeviceCodec(
                Device(f"{self.name}-{n}", CLASS, PATH, declared, "", "simulated"), n
            )
            for n in range(self.machines)
        ]  # fmt: skip

    def births(self, now_ms: int) -> Iterator[Message]:
        """Yield the node's birth and those of its machines."""
        yield (
            f"spBv1//0.{SITE}.NBIRTH.{self.name}",
            node_birth(now_ms, 1, 1, 1, {}).SerializeToString(),
        )
        for codec in self.codecs:
            yield (
                f"spBv1//0.{SITE}.DBIRTH.{self.name}.{codec.device.tag}",
                codec.birth(now_ms).SerializeToString(),
            )


class Fleet:
    """Edge nodes spread evenly over the partitions, with machines of noise that can be made hot."""

    def __init__(
        self, partitions: int, nodes: int, machines: int, samples: int, vibrating: int = 1
    ) -> None:
        """Make `nodes` nodes a partition with `machines` machines each.

        A block has `samples` samples of each of `vibrating` vibrations, and five of temperature.
        """
        self.nodes = [
            Node(name, machines, samples, vibrating) for name in spread(partitions, nodes)
        ]  # fmt: skip
        self.samples_a_block = samples * vibrating + SECONDS
        self.round = 0
        random = np.random.default_rng(1)
        self._vibration = random.normal(size=(NOISES, samples)).astype(np.float32)
        self._temperature = random.normal(50.0, 0.5, (NOISES, SECONDS)).astype(np.float32)

    @property
    def machines(self) -> int:
        """Machines in all."""
        return sum(node.machines for node in self.nodes)

    def births(self, now_ms: int) -> Iterator[Message]:
        """Yield the births of all."""
        for node in self.nodes:
            yield from node.births(now_ms)

    def blocks(
        self, hot: frozenset[int] = frozenset()
    ) -> Iterator[tuple[Node, DeviceCodec, Block]]:
        """Yield the next block of each machine, node by node; `hot` are numbers of machines."""
        number = 0
        for place in range(max(node.machines for node in self.nodes)):
            for node in self.nodes:
                codec = node.codecs[place]
                noise = (self.round * 7 + number) % NOISES
                samples = {"Temperature": self._temperature[noise] + SHIFT * (number in hot)}
                for n, name in enumerate(vibrations(node.samples, node.vibrations)):
                    samples[name] = self._vibration[(noise + n) % NOISES]
                start_ms = START_MS + self.round * SECONDS * 1000
                yield node, codec, Block(codec.device.tag, start_ms, samples)
                number += 1
        self.round += 1

    def messages(self, now_ms: int, rounds: int) -> Iterator[Message]:
        """Yield `rounds` blocks of each machine as messages that were all made at `now_ms`."""
        for _ in range(rounds):
            for node, codec, block in self.blocks():
                yield message(node, codec, block, now_ms)


def message(node: Node, codec: DeviceCodec, block: Block, now_ms: int) -> Message:
    """Return a block as the next batch of its node, made at `now_ms`."""
    node.batch += 1
    payload = codec.data(block, now_ms, 1, node.batch, None)
    return f"spBv1//0.{SITE}.DDATA.{node.name}.{block.device}", payload.SerializeToString()


def spread(partitions: int, nodes: int) -> list[str]:
    """Return names of edge nodes, `nodes` of them in each partition, in turn."""
    found: list[list[str]] = [[] for _ in range(partitions)]
    number = 0
    while any(len(names) < nodes for names in found):
        name = f"node-{number}"
        mine = found[partition_of(SITE, name, partitions)]
        if len(mine) < nodes:
            mine.append(name)
        number += 1
    return [name for names in zip(*found, strict=True) for name in names]


async def connect(broker: Broker) -> Client:
    """Return a connection to the broker."""
    return await nats.connect(broker.nats_url, user=broker.user, password=broker.password)


async def make_streams(broker: Broker, settings: Settings) -> None:
    """Make the streams that the processor would make."""
    connection = await connect(broker)
    try:
        await ensure(connection.jetstream(), settings)
    finally:
        await connection.close()


async def fill(broker: Broker, messages: Iterable[Message]) -> int:
    """Store messages in the log, in order; return the log's last sequence."""
    connection = await connect(broker)
    try:
        jetstream: JetStreamContext = connection.jetstream(
            publish_async_max_pending=IN_FLIGHT
        )  # fmt: skip
        for count, (subject, payload) in enumerate(messages):
            await jetstream.publish_async(subject, payload, wait_stall=60.0)
            if count % 100 == 0:
                await asyncio.sleep(0)
        await jetstream.publish_async_completed()
        return int((await jetstream.stream_info(TELEMETRY)).state.last_seq)
    finally:
        await connection.close()
