"""A driver that is listened to, and somebody who publishes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiomqtt
import pytest

from edge_agent.cancellation import end
from edge_agent.drivers.base import Block, Driver, Lost
from headrace.broker import Broker

PATIENCE_S = 30.0


@dataclass
class Taking:
    """What a driver yields, in order."""

    driver: Driver
    items: list[Block | Lost] = field(default_factory=list)
    error: Exception | None = None
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        items = self.driver.blocks()
        try:
            async for item in items:
                async with self.changed:
                    self.items.append(item)
                    self.changed.notify_all()
        except Exception as error:  # noqa: BLE001 (told to the test)
            async with self.changed:
                self.error = error
                self.changed.notify_all()
        finally:
            await items.aclose()  # type: ignore[attr-defined]

    async def until(self, enough: Callable[[], Any]) -> Any:
        """Wait until something is true of what was yielded; return it."""
        found: list[Any] = []

        def check() -> bool:
            if self.error is not None and not isinstance(enough(), Exception):
                raise self.error
            found[:] = [enough()]
            return bool(found[0])

        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(check)
        return found[0]

    def blocks(self, device: str | None = None) -> list[Block]:
        return [b for b in self.items if isinstance(b, Block) and device in (None, b.device)]

    @property
    def lost(self) -> list[Lost]:
        return [item for item in self.items if isinstance(item, Lost)]

    def values(self, channel: str, device: str | None = None) -> list[float]:
        """Every sample of a channel that is a number, in order."""
        return [
            float(x)
            for block in self.blocks(device)
            for x in block.samples.get(channel, ())
            if x == x
        ]


@pytest.fixture
async def listening() -> AsyncIterator[Callable[[Driver], Taking]]:
    """Begin to take what a driver yields; it ends with the test."""
    tasks: list[asyncio.Task[None]] = []

    def start(driver: Driver) -> Taking:
        taking = Taking(driver)
        tasks.append(asyncio.create_task(taking.run()))
        return taking

    yield start
    if tasks:
        await end(*tasks, again_s=5.0)


@pytest.fixture
def broker_options(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The `broker` table of a driver that speaks to the test's broker."""
    monkeypatch.setenv("DEVICES_PASSWORD", broker.password)
    return {
        "host": broker.host,
        "port": broker.mqtt_port,
        "user": broker.user,
        "password_env": "DEVICES_PASSWORD",
        "reconnect_max_s": 0.5,
        "lost_after_s": 0.2,
    }


@pytest.fixture
def new_client(broker: Broker) -> Callable[..., aiomqtt.Client]:
    """Make a client of the broker that is not connected yet."""

    def make(**more: Any) -> aiomqtt.Client:
        return aiomqtt.Client(
            broker.host,
            broker.mqtt_port,
            username=broker.user,
            password=broker.password,
            **more,
        )

    return make
