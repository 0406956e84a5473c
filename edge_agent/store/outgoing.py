"""Batches on their way out: numbered, pending in memory, then in the spool until acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

import structlog

from edge_agent.store.options import SpoolOptions
from edge_agent.store.policy import Candidate, Kind, victims
from edge_agent.store.ranges import Range, collected, merged
from edge_agent.store.room import Dropped
from edge_agent.store.spool import Batch, Hole, Span, Spool
from edge_agent.v1.sparkplug_b_pb2 import Payload

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

RETRY_S: Final = 1.0
# Batches on their way to the disk above which a source that can wait does.
MAX_IN_MEMORY: Final = 32
# What memory holds while the disk refuses; what goes first is as in the spool.
MAX_PENDING_BYTES: Final = 16 << 20
# Payload bytes of one transaction, so that the spool's log stays small.
COMMIT_BYTES: Final = 1 << 20


class Outgoing:
    """The spool behind one thread of its own, so that its work is in order and never cancelled."""

    def __init__(
        self,
        spool: Spool,
        options: SpoolOptions = SpoolOptions(),  # noqa: B008 (it is frozen)
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> None:
        """Take over an open spool; `write` moves batches to it, `finish` closes it."""
        self._spool, self._options = spool, options
        self._disk = ThreadPoolExecutor(1, "spool")
        self._max_pending_bytes = max_pending_bytes
        self._pending: list[Batch] = []
        self._pending_bytes = 0
        self._writing = 0
        # Numbers that memory had no room for, and how many of which kind.
        self._lost: list[Range] = []
        self._forgotten: Dropped = Dropped()
        # The highest number said of each boot epoch that was not deleted yet.
        self._said: dict[int, int] = {}
        self._number = 0
        self._waiting = 0
        # Set when there is something to do on the disk, and when it cannot wait for more.
        self._work = asyncio.Event()
        self._urgent = asyncio.Event()
        self._finishing = False
        # Set when batches came to the disk, and when some left it.
        self.stored = asyncio.Event()
        self.freed = asyncio.Event()

    @property
    def boot_epoch(self) -> int:
        """The agent's start."""
        return self._spool.boot_epoch

    @property
    def depth(self) -> int:
        """Batches, and holes that dropped ones left, without acknowledgement."""
        return self._spool.depth + len(self._pending) + self._writing

    @property
    def bytes(self) -> int:
        """Size of the spool in use."""
        return self._spool.bytes

    @property
    def dropped(self) -> int:
        """Batches lost since the start."""
        return self.dropped_by.total()

    @property
    def dropped_by(self) -> Dropped:
        """Batches lost since the start, by kind (None: it could not be read) and reason."""
        return self._spool.dropped + self._forgotten

    @property
    def acknowledged(self) -> int:
        """Batches acknowledged since the start."""
        return self._spool.acknowledged

    @property
    def numbered(self) -> int:
        """The last number given."""
        return self._number

    def add(self, topic: str, payload: Callable[[int], Payload], kind: Kind = "data") -> None:
        """Number a batch, make its payload and let it go to the disk; an alarm goes at once."""
        self._number += 1
        content = payload(self._number).SerializeToString()
        self._pending.append(Batch(self.boot_epoch, self._number, topic, content, kind))
        self._pending_bytes += len(content)
        self._work.set()
        if kind == "alarm" or self._waiting or self._pending_bytes >= self._options.commit_bytes:
            self._urgent.set()

    async def write(self) -> None:
        """Move what is pending to the disk, and delete there what was acknowledged.

        What comes within the commit interval goes in one transaction. Runs until `finish`; while
        the disk refuses, what is pending stays in memory.

        Raises:
            sqlite3.DatabaseError: the file was damaged while in use, and could not be replaced.
        """
        while not self._finishing or self._pending:
            await self._work.wait()
            if not self._finishing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._options.commit_interval_ms / 1000):
                        await self._urgent.wait()
            self._work.clear()
            self._urgent.clear()
            try:
                await self._store()
                await self._delete()
            except (sqlite3.OperationalError, OSError) as error:
                log.error("spool cannot be written", reason=str(error), pending=len(self._pending))
                if self._finishing:
                    return
                await asyncio.sleep(RETRY_S)
                self._work.set()

    async def _store(self) -> None:
        while self._pending or self._lost:
            batches, lost = self._take(), self._lost
            self._lost = []
            self._writing = len(batches)
            try:
                await self._run(self._spool.append, batches, lost)
            except BaseException:
                self._lost = merged([*lost, *self._lost])
                self._take_back(batches)
                raise
            finally:
                self._writing = 0
            self.stored.set()
            # The caps may have made room.
            self.freed.set()

    def _take(self) -> list[Batch]:
        size = taken = 0
        for batch in self._pending:
            if taken and size + len(batch.payload) > COMMIT_BYTES:
                break
            size += len(batch.payload)
            taken += 1
        batches, self._pending = self._pending[:taken], self._pending[taken:]
        self._pending_bytes -= size
        return batches

    def _take_back(self, batches: Sequence[Batch]) -> None:
        there = {b.number: b for b in (*batches, *self._pending)}
        self._pending_bytes += sum(len(b.payload) for b in batches)

        def candidates(kind: Kind) -> Iterator[Candidate]:
            return ((n, len(b.payload)) for n, b in there.items() if b.kind == kind)

        excess = self._pending_bytes - self._max_pending_bytes
        for kind, numbers in victims(self._options.drop_first, candidates, excess).items():
            for number in numbers:
                self._pending_bytes -= len(there.pop(number).payload)
            self._lost = merged([*self._lost, *collected(numbers)])
            self._forgotten[kind, "memory"] += len(numbers)
            log.error("memory is full, batches were dropped", kind=kind, dropped=len(numbers))
        self._pending = list(there.values())

    async def _delete(self) -> None:
        while self._said:
            boot_epoch, number = self._said.popitem()
            try:
                await self._run(self._spool.acknowledge, boot_epoch, number)
            except BaseException:
                self.acknowledge(boot_epoch, number)
                raise
            self.freed.set()

    async def _delete_now(self) -> None:
        # When the disk refuses, `write` tries again.
        with contextlib.suppress(sqlite3.OperationalError, OSError):
            await self._delete()

    async def room(self, bound: int) -> None:
        """Wait until fewer than `bound` batches are without acknowledgement.

        Waits for a disk that is behind, too, so that memory holds few of them.
        """
        while self.depth >= bound or len(self._pending) + self._writing >= MAX_IN_MEMORY:
            self.freed.clear()
            # Whoever waits for room does not wait for others to be written with.
            self._waiting += 1
            self._urgent.set()
            try:
                await self.freed.wait()
            finally:
                self._waiting -= 1

    async def next_bd_seq(self) -> int:
        """Return the next birth/death sequence."""
        return await self._again(self._spool.next_bd_seq)

    async def first_batch(self) -> int:
        """Return the lowest number of this boot epoch that is still here, lost, or to come."""
        await self._delete_now()
        return await self._again(lambda: self._spool.first_batch)

    async def earlier(self) -> list[Span]:
        """Return boot epoch, lowest and highest number of what earlier boots left."""
        return await self._again(lambda: self._spool.earlier)

    async def after(self, key: tuple[int, int], count: int, size: int) -> list[Batch | Hole]:
        """Return what the spool has after `key`, in order: up to `count`, about `size` bytes."""
        return await self._again(self._spool.after, key, count, size)

    async def range(
        self, boot_epoch: int, first: int, last: int, count: int, size: int
    ) -> list[Batch]:
        """Return a boot epoch's batches from `first` to `last` still here, up to a limit."""
        # What was acknowledged is not sent again.
        await self._delete_now()
        return await self._again(self._spool.range, boot_epoch, first, last, count, size)

    def acknowledge(self, boot_epoch: int, number: int) -> None:
        """Let `write` delete the batches of a boot epoch up to `number`."""
        self._said[boot_epoch] = max(number, self._said.get(boot_epoch, 0))
        self._work.set()
        if self._waiting:
            self._urgent.set()

    def finish(self) -> None:
        """Let `write` end once nothing is pending, or the disk refuses."""
        self._finishing = True
        self._work.set()
        self._urgent.set()

    async def close(self) -> None:
        """Close the spool after what its thread still does."""
        await self._run(self._spool.close)
        self._disk.shutdown(wait=False)

    async def _again(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Do what a session cannot do without, again and again while the disk refuses."""
        while True:
            try:
                return await self._run(work, *arguments, **named)
            except (sqlite3.OperationalError, OSError) as error:
                log.error("spool cannot be read", reason=str(error))
                await asyncio.sleep(RETRY_S)

    async def _run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._disk, lambda: work(*arguments, **named)
        )
