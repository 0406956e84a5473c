"""Whatever addresses a device refuses, what can be read by itself is read, and in few requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.drivers.modbus.connection import NoAnswer, Refused
from edge_agent.drivers.modbus.options import DeviceTable
from edge_agent.drivers.modbus.reading import Reading

ADDRESSES = st.integers(0, 80)


class Device:
    """A device by its faults: addresses that it refuses or is silent to, and its longest read."""

    def __init__(self, refused: set[int], silent: set[int], longest: int) -> None:
        self.refused, self.silent, self.longest = refused, silent, longest
        self.requests: list[tuple[int, int]] = []

    async def read(self, unit_id: int, table: str, address: int, count: int) -> Sequence[int]:
        self.requests.append((address, count))
        asked = set(range(address, address + count))
        if asked & self.silent:
            raise NoAnswer("silence")
        if asked & self.refused or count > self.longest:
            raise Refused.by(2)
        return list(range(address, address + count))


def reading(device: Device, addresses: list[int], **given: Any) -> Reading:
    points = [{"name": f"R{a}", "table": "holding", "address": a} for a in addresses]
    table = {"tag": "D-1", "equipment_class": "tank", "points": points, **given}
    return Reading(msgspec.convert(table, DeviceTable), device)  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(ADDRESSES, min_size=1, max_size=25, unique=True),
    st.sets(ADDRESSES, max_size=12),
    st.integers(4, 125),
    st.integers(0, 10),
    st.integers(1, 125),
)
def test_what_is_not_refused_by_itself_is_read(
    addresses: list[int], refused: set[int], max_registers: int, max_gap: int, longest: int
) -> None:
    device = Device(refused, set(), longest)
    asked = reading(device, addresses, max_registers=max_registers, max_gap=max_gap)
    due = list(range(len(addresses)))
    wanted = {i: float(a) for i, a in enumerate(addresses) if a not in refused}

    async def polls() -> None:
        for _ in range(4):
            # From the first poll on nothing that can be read is missed.
            assert await asked.values(due) == wanted

    asyncio.run(polls())
    assert asked.refused == len(addresses) - len(wanted)
    device.requests.clear()
    asyncio.run(polls())
    # Settled: nothing that the device refuses is asked for again, and nothing twice in a poll.
    assert all(count <= longest for _, count in device.requests)
    assert not any(set(range(a, a + n)) & refused for a, n in device.requests)
    assert len(device.requests) <= 4 * len(wanted)


@settings(max_examples=60, deadline=None)
@given(st.lists(ADDRESSES, min_size=2, max_size=12, unique=True), st.sets(ADDRESSES, max_size=3))
def test_what_it_is_silent_to_does_not_make_it_lost(addresses: list[int], silent: set[int]) -> None:
    device = Device(set(), silent, 125)
    # One that always answers, read first and by itself.
    asked = reading(device, [*addresses, 200], max_gap=0)
    due = list(range(len(addresses) + 1))
    wanted = {i: float(a) for i, a in enumerate([*addresses, 200]) if a not in silent}

    async def polls() -> dict[int, float]:
        await asked.values([len(addresses)])
        for _ in range(10):
            values = await asked.values(due)
        return values

    assert asyncio.run(polls()) == wanted
    assert asked.refused == len(silent & set(addresses))
