"""Whatever bytes come, nothing is raised and the next answer is understood."""

from __future__ import annotations

import random
import struct

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.framer import FramerType

from edge_agent.drivers.modbus.connection import guard


def bytes_like_a_frame(chance: random.Random) -> bytes:
    """Random bytes, or a frame of which something is wrong."""
    tail = chance.randbytes(chance.choice((0, 1, 3, 8, 40, 255, 700)))
    kind = chance.randrange(4)
    if kind == 0:
        return tail
    function = chance.choice((1, 2, 3, 4, 5, 6, 8, 15, 16, 20, 22, 23, 24, 43, 131, 200, 255))
    length = chance.choice((0, 2, 3, len(tail) + 2, 65_535))
    if kind == 1:
        return struct.pack(">HHHBB", 0, 0, length, 1, function) + tail
    if kind == 2:
        return bytes([1, function, chance.randrange(256)]) + tail
    return struct.pack(">HHHBBB", 0, 0, len(tail) + 3, 1, function, len(tail) & 0xFF) + tail


@pytest.mark.parametrize("framer", [FramerType.SOCKET, FramerType.RTU])
async def test_no_bytes_raise(framer: FramerType) -> None:
    client = AsyncModbusTcpClient("127.0.0.1", framer=framer)
    guard(client)
    chance = random.Random(7)
    for _ in range(20_000):
        client.ctx.data_received(bytes_like_a_frame(chance))
        # What waits for more is bounded.
        assert len(client.ctx.recv_buffer) <= 1024
