"""Batches on their way out: numbered, pending in memory, then in the spool until acknowledged."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

import structlog

from edge_agent.spool import Batch, Spool
from edge_agent.v1.sparkplug_b_pb2 import Payload

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

RETRY_S: Final = 1.0
# Batches on their way to the disk above which a source that can wait does.
MAX_IN_MEMORY: Final = 32
# What memory holds while the disk refuses; the oldest go first.
MAX_PENDING_BYTES: Final = 16 << 20


class Outgoing:
    """The spool behind one thread of its own, so that its work is in order and never cancelled."""

    def __init__(self, spool: Spool, max_pending_bytes: int = MAX_PENDING_BYTES) -> None:
        """Take over an open spool; `write` moves batches to it, `finish` closes it."""
        self._spool = spool
        self._disk = ThreadPoolExecutor(1, "spool")
        self._max_pending_bytes = max_pending_bytes
        self._pending: list[Batch] = []
        self._pending_bytes = 0
        self._writing = 0
        self._forgotten = 0
        self._number = 0
        self._added = asyncio.Event()
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
        """Batches without acknowledgement."""
        return self._spool.depth + len(self._pending) + self._writing

    @property
    def bytes(self) -> int:
        """Size of the payloads in the spool."""
        return self._spool.bytes

    @property
    def dropped(self) -> int:
        """Batches lost since the start because disk or memory was full."""
        return self._spool.dropped + self._forgotten

    @property
    def acknowledged(self) -> int:
        """Batches acknowledged since the start."""
        return self._spool.acknowledged

    @property
    def numbered(self) -> int:
        """The last number given."""
        return self._number

    def add(self, topic: str, payload: Callable[[int], Payload]) -> None:
        """Number a batch, make its payload and let it go to the disk."""
        self._number += 1
        content = payload(self._number).SerializeToString()
        self._pending.append(Batch(self.boot_epoch, self._number, topic, content))
        self._pending_bytes += len(content)
        self._added.set()

    async def write(self) -> None:
        """Move what is pending to the disk, all that came meanwhile in one transaction.

        Runs until `finish`; while the disk refuses, what is pending stays in memory.

        Raises:
            sqlite3.DatabaseError: the file was damaged while in use.
        """
        while self._pending or not self._finishing:
            await self._added.wait()
            self._added.clear()
            batches, self._pending, self._pending_bytes = self._pending, [], 0
            self._writing = len(batches)
            try:
                await self._run(self._spool.append, batches)
            except sqlite3.OperationalError as error:
                self._writing = 0
                self._take_back(batches)
                log.error("spool cannot be written", reason=str(error), pending=len(self._pending))
                if self._finishing:
                    return
                await asyncio.sleep(RETRY_S)
                self._added.set()
            else:
                self._writing = 0
                self.stored.set()
                # The byte cap may have made room.
                self.freed.set()

    def _take_back(self, batches: list[Batch]) -> None:
        self._pending = batches + self._pending
        size = sum(len(b.payload) for b in self._pending)
        forgotten = 0
        while size > self._max_pending_bytes:
            size -= len(self._pending[forgotten].payload)
            forgotten += 1
        del self._pending[:forgotten]
        self._pending_bytes = size
        if forgotten:
            self._forgotten += forgotten
            log.error("memory is full, the oldest batches were dropped", dropped=forgotten)

    async def room(self, bound: int) -> None:
        """Wait until fewer than `bound` batches are without acknowledgement.

        Waits for a disk that is behind, too, so that memory holds few of them.
        """
        while self.depth >= bound or len(self._pending) + self._writing >= MAX_IN_MEMORY:
            self.freed.clear()
            await self.freed.wait()

    async def next_bd_seq(self) -> int:
        """Return the next birth/death sequence."""
        return await self._run(self._spool.next_bd_seq)

    async def first_batch(self) -> int:
        """Return the lowest number of this boot epoch that is still here or to come."""
        return await self._run(lambda: self._spool.first_batch)

    async def after(self, key: tuple[int, int], limit: int) -> list[Batch]:
        """Return up to `limit` batches of the spool that come after `key`, in order."""
        return await self._run(self._spool.after, key, limit)

    async def range(self, boot_epoch: int, first: int, last: int, limit: int) -> list[Batch]:
        """Return up to `limit` of a boot epoch's batches from `first` to `last` still here."""
        return await self._run(self._spool.range, boot_epoch, first, last, limit)

    async def acknowledge(self, boot_epoch: int, number: int) -> int:
        """Delete the batches of a boot epoch up to `number`; return how many there were."""
        deleted = await self._run(self._spool.acknowledge, boot_epoch, number)
        self.freed.set()
        return deleted

    def finish(self) -> None:
        """Let `write` end once nothing is pending, or the disk refuses."""
        self._finishing = True
        self._added.set()

    async def close(self) -> None:
        """Close the spool after what its thread still does."""
        await self._run(self._spool.close)
        self._disk.shutdown(wait=False)

    async def _run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._disk, lambda: work(*arguments, **named)
        )
