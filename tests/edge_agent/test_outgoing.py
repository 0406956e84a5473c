"""Batches wait in memory while the disk refuses, and no longer than memory lasts."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_agent import outgoing
from edge_agent.outgoing import Outgoing
from edge_agent.spool import Batch, Spool
from edge_agent.v1.sparkplug_b_pb2 import Payload


class FailingSpool(Spool):
    """A spool whose disk is full for the first `refusals` times."""

    refusals = 0

    def append(self, batches: Sequence[Batch]) -> None:
        if batches and self.refusals:
            self.refusals -= 1
            raise sqlite3.OperationalError("database or disk is full")
        super().append(batches)


def payload(number: int) -> Payload:
    return Payload(timestamp=number, body=bytes(100))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "RETRY_S", 0.0)


async def test_what_the_disk_refused_is_written_later(tmp_path: Path) -> None:
    spool = FailingSpool(tmp_path / "s", now=1)
    spool.refusals = 3
    out = Outgoing(spool)
    writer = asyncio.create_task(out.write())
    for _ in range(5):
        out.add("t", payload)
    assert out.depth == 5

    await asyncio.wait_for(out.stored.wait(), 30)
    assert [b.number for b in await out.after((0, 0), 9)] == [1, 2, 3, 4, 5]
    assert (out.depth, out.dropped) == (5, 0)

    out.add("t", payload)
    out.finish()
    await asyncio.wait_for(writer, 30)
    assert await out.first_batch() == 1
    assert await out.acknowledge(1, 6) == 6
    await out.close()


async def test_memory_is_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    spool = FailingSpool(tmp_path / "s", now=1)
    spool.refusals = 1
    out = Outgoing(spool, max_pending_bytes=350)
    writer = asyncio.create_task(out.write())
    for _ in range(5):
        out.add("t", payload)

    await asyncio.wait_for(out.stored.wait(), 30)
    assert [b.number for b in await out.after((0, 0), 9)] == [3, 4, 5]
    assert out.dropped == 2
    assert await out.first_batch() == 3

    out.finish()
    await asyncio.wait_for(writer, 30)
    await out.close()


async def test_a_disk_that_never_comes_back_does_not_hold_up_the_end(tmp_path: Path) -> None:
    spool = FailingSpool(tmp_path / "s", now=1)
    spool.refusals = 10**9
    out = Outgoing(spool)
    writer = asyncio.create_task(out.write())
    out.add("t", payload)

    out.finish()

    await asyncio.wait_for(writer, 30)
    assert out.depth == 1
    await out.close()


async def test_room_comes_with_an_acknowledgement(tmp_path: Path) -> None:
    out = Outgoing(Spool(tmp_path / "s", now=1))
    writer = asyncio.create_task(out.write())
    for _ in range(3):
        out.add("t", payload)
    waiting = asyncio.create_task(out.room(3))
    await asyncio.wait_for(out.stored.wait(), 30)
    assert not waiting.done()

    assert await out.acknowledge(1, 1) == 1

    await asyncio.wait_for(waiting, 30)
    out.finish()
    await asyncio.wait_for(writer, 30)
    await out.close()
