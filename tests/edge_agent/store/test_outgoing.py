"""Batches wait in memory while the disk refuses, and no longer than memory lasts."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edge_agent.store import outgoing
from edge_agent.store.options import SpoolOptions
from edge_agent.store.outgoing import Outgoing
from edge_agent.store.policy import Kind
from edge_agent.store.ranges import Range
from edge_agent.store.spool import Batch, Hole, Spool
from edge_agent.v1.sparkplug_b_pb2 import Payload


class FailingSpool(Spool):
    """A spool whose disk is full for the first `refusals` times."""

    refusals = 0

    def append(self, batches: Sequence[Batch], lost: Sequence[Range] = ()) -> None:
        if batches and self.refusals:
            self.refusals -= 1
            raise sqlite3.OperationalError("database or disk is full")
        super().append(batches, lost)


def payload(number: int) -> Payload:
    return Payload(timestamp=number, body=bytes(100))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "RETRY_S", 0.0)


async def until(condition: Callable[[], bool], event: asyncio.Event) -> None:
    async with asyncio.timeout(30):
        while not condition():
            event.clear()
            await event.wait()


async def end(out: Outgoing, writer: asyncio.Task[None]) -> None:
    out.finish()
    await asyncio.wait_for(writer, 30)
    await out.close()


async def test_what_the_disk_refused_is_written_later(tmp_path: Path) -> None:
    spool = FailingSpool(tmp_path / "s", now=1)
    spool.refusals = 3
    out = Outgoing(spool)
    writer = asyncio.create_task(out.write())
    for _ in range(5):
        out.add("t", payload)
    assert out.depth == 5

    await asyncio.wait_for(out.stored.wait(), 30)
    assert [b.key for b in await out.after((0, 0), 9, 9999)] == [(1, n) for n in range(1, 6)]
    assert (out.depth, out.dropped) == (5, 0)

    out.add("t", payload)
    await until(lambda: spool.depth == 6, out.stored)
    assert await out.first_batch() == 1
    out.acknowledge(1, 6)
    await until(lambda: out.depth == 0, out.freed)
    assert out.acknowledged == 6
    await end(out, writer)


async def test_memory_is_bounded_and_goes_by_kind(tmp_path: Path) -> None:
    spool = FailingSpool(tmp_path / "s", now=1)
    spool.refusals = 1
    out = Outgoing(spool, max_pending_bytes=350)
    writer = asyncio.create_task(out.write())
    kinds: list[Kind] = ["alarm", "data", "waveform", "data", "alarm"]
    for kind in kinds:
        out.add("t", payload, kind)

    await asyncio.wait_for(out.stored.wait(), 30)
    entries = await out.after((0, 0), 9, 9999)
    assert [(type(e), e.key) for e in entries] == [
        (Batch, (1, 1)),
        (Hole, (1, 3)),
        (Batch, (1, 4)),
        (Batch, (1, 5)),
    ]
    assert out.dropped_by == {("waveform", "memory"): 1, ("data", "memory"): 1}
    assert out.dropped == 2
    await end(out, writer)


async def test_what_memory_forgot_is_told_though_nothing_follows(tmp_path: Path) -> None:
    spool = FailingSpool(tmp_path / "s", now=1)
    spool.refusals = 1
    out = Outgoing(spool, max_pending_bytes=0)
    writer = asyncio.create_task(out.write())
    out.add("t", payload)

    await asyncio.wait_for(out.stored.wait(), 30)
    assert await out.after((0, 0), 9, 9999) == [Hole(1, 1, 1)]
    assert (await out.first_batch(), out.depth) == (1, 1)
    await end(out, writer)


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

    out.acknowledge(1, 1)

    await asyncio.wait_for(waiting, 30)
    await end(out, writer)


class CountingSpool(Spool):
    """A spool that says how many batches came in each transaction."""

    def append(self, batches: Sequence[Batch], lost: Sequence[Range] = ()) -> None:
        super().append(batches, lost)
        self.__dict__.setdefault("commits", []).append(len(batches))


@pytest.mark.parametrize(
    ("kinds", "commits"),
    [
        (["data"] * 6, []),
        (["data", "data", "alarm"], [3]),
    ],
    ids=["wait for others", "an alarm goes at once"],
)
async def test_batches_are_written_together(
    tmp_path: Path, kinds: list[Kind], commits: list[int]
) -> None:
    spool = CountingSpool(tmp_path / "s", now=1)
    options = SpoolOptions(commit_interval_ms=10_000)
    out = Outgoing(spool, options)
    writer = asyncio.create_task(out.write())
    for kind in kinds:
        out.add("t", payload, kind)
    if commits:
        await asyncio.wait_for(out.stored.wait(), 9)
    assert spool.__dict__.get("commits", []) == commits
    # Whoever waits for room, and the end, hurry it.
    waiting = asyncio.create_task(out.room(1))
    await asyncio.wait_for(out.stored.wait(), 9)
    assert sum(spool.__dict__["commits"]) == len(kinds)
    assert len(spool.__dict__["commits"]) == 1
    waiting.cancel()
    await end(out, writer)
