"""Blocks at an even rate whatever becomes of them, and when the effects of each were seen.

Each block has a time at which it is due. One that goes out late, since this process was held up, is
still counted from that time, so that a stall of what is measured hides nothing.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.stream.log import Fleet, connect, message
from headrace.broker import Broker
from stream_processor.v1.points_pb2 import PointsBatch

# Numbers of the machines that are hot in a round of the load, counted from 0.
Hot = Callable[[int], frozenset[int]]


def none_hot(_: int) -> frozenset[int]:
    """Return no machine."""
    return frozenset()


class Load:
    """A thread that publishes blocks and hears of the points that are made of them."""

    def __init__(self, broker: Broker, fleet: Fleet, rate_hz: float, hot: Hot = none_hot) -> None:
        self._broker, self._fleet, self._rate_hz, self._hot = broker, fleet, rate_hz, hot
        self._listening = threading.Event()
        self._stopped, self._ended = threading.Event(), threading.Event()
        # Wall clock in seconds: by node and batch when it was due, by equipment and that time in
        # milliseconds when its points came.
        self.due: dict[tuple[str, int], float] = {}
        self.points: dict[tuple[str, int], float] = {}
        # What there are to be points of, and when the first was due.
        self.sent: set[tuple[str, int]] = set()
        self.begin = 0.0
        self.newest_points_s = 0.0
        # How late the latest block went out, in seconds.
        self.held_up_s = 0.0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> None:
        """Listen, then publish."""
        self._thread.start()
        self._listening.wait(60)

    def stop(self) -> None:
        """Publish no more."""
        self._stopped.set()

    def end(self) -> None:
        """Hear no more."""
        self._stopped.set()
        self._ended.set()
        self._thread.join(60)

    async def _run(self) -> None:
        connection = await connect(self._broker)
        try:
            await connection.subscribe("points.>", cb=self._take, pending_msgs_limit=-1)
            await connection.flush()
            self._listening.set()
            await self._publish(connection)
            await asyncio.to_thread(self._ended.wait)
        finally:
            await connection.close()

    async def _take(self, found: Msg) -> None:
        self.newest_points_s = now = time.time()
        for points in PointsBatch.FromString(found.data).points:
            self.points.setdefault((points.equipment, points.sent_time_ms), now)

    async def _publish(self, connection: Client) -> None:
        self.begin = begin = time.time()
        sent = round_ = 0
        while not self._stopped.is_set():
            for node, codec, block in self._fleet.blocks(self._hot(round_)):
                due = begin + sent / self._rate_hz
                if (wait_s := due - time.time()) > 0:
                    await asyncio.sleep(wait_s)
                elif sent % 16 == 0:
                    # Hears, even when it is behind.
                    await asyncio.sleep(0)
                if self._stopped.is_set():
                    return
                subject, payload = message(node, codec, block, int(due * 1000))
                await connection.publish(subject, payload)
                self.held_up_s = max(self.held_up_s, time.time() - due)
                self.due[node.name, node.batch] = due
                self.sent.add((block.device, int(due * 1000)))
                sent += 1
            round_ += 1


@contextmanager
def load(broker: Broker, fleet: Fleet, rate_hz: float, hot: Hot = none_hot) -> Iterator[Load]:
    """Publish and listen until the end of the block."""
    made = Load(broker, fleet, rate_hz, hot)
    made.start()
    try:
        yield made
    finally:
        made.end()
