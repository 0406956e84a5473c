"""What a driver yields goes on in order; a lost device is told of once, and of its return."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from edge_agent.drivers.base import Block, Channel, Device, Lost
from edge_agent.source import BoundDevice, DriverError, Pace, pump

CHANNEL = Channel("Level", "m", 1.0)


class Script:
    """A driver that yields what it was given."""

    def __init__(self, *items: Block | Lost) -> None:
        self.items, self.closed = items, False

    def devices(self) -> Sequence[Device]:
        return [Device(tag, "tank", "e/s/a", (CHANNEL,)) for tag in ("T-1", "T-2")]

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        for item in self.items:
            yield item

    async def close(self) -> None:
        self.closed = True


def block(tag: str, second: int) -> Block:
    return Block(tag, second * 1000, {"Level": np.zeros(1, np.float32)})


async def run(*items: Block | Lost) -> tuple[list[str], Script]:
    driver, heard = Script(*items), []
    bound = {d.tag: BoundDevice(d, i) for i, d in enumerate(driver.devices())}

    async def room() -> None:
        heard.append("room")

    async def tell(device: BoundDevice, reason: str | None) -> None:
        heard.append(f"{device.device.tag} {reason or 'back'}")

    await pump(
        driver,
        bound,
        Pace(0.0),
        room,
        lambda device, item, _: heard.append(f"{device.device.tag} {item.start_time_ms}"),
        tell,
    )
    return heard, driver


async def test_a_lost_device_is_told_of_once_and_of_its_return() -> None:
    heard, driver = await run(
        block("T-1", 1),
        Lost("T-1", "no answer"),
        Lost("T-1", "no answer"),
        block("T-2", 2),
        block("T-1", 3),
        block("T-1", 4),
    )

    assert heard == ["T-1 1000", "T-1 no answer", "T-2 2000", "T-1 back", "T-1 3000", "T-1 4000"]
    assert driver.closed


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (block("T-3", 1), "T-3"),
        (Lost("T-3", "gone"), "T-3"),
        (Block("T-1", 0, {"Flow": np.zeros(1, np.float32)}), "Flow"),
    ],
)
async def test_what_was_never_declared_ends_the_driver(item: Block | Lost, said: str) -> None:
    with pytest.raises(DriverError, match=said):
        await run(item)
