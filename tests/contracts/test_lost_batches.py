"""A spool that drops, sessions that break, an agent that reboots: each batch is known.

The real spool and payloads on one side, the real acquisition on the other; between them a wire that
loses what was on its way when a session ends.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.drivers.base import Block, Channel, Device
from edge_agent.sparkplug import payloads
from edge_agent.sparkplug.lost import node_lost
from edge_agent.store.options import SpoolOptions
from edge_agent.store.policy import KINDS, Kind
from edge_agent.store.spool import Batch, Hole, Spool
from stream_processor.acquisition import Acquisition
from stream_processor.frames import Frame
from stream_processor.messages import Message, Resend, SetAside

NOW = 1_800_000_000.0
NOW_MS = int(NOW * 1000)
OPTIONS = SpoolOptions(max_bytes=1 << 18)
DEVICE = Device("M-1", "test", "a/b/c", (Channel("Level", "m", 1.0),), clock="simulated")


class Wire:
    """One edge node with its spool, and the acquisition that reads what the broker stored."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "s"
        self.codec = payloads.DeviceCodec(DEVICE, 0)
        self.acquisition = Acquisition()
        self.made: dict[int, int] = {}
        self.frames: list[tuple[int, int]] = []
        self.log = self.bd_seq = self.time_ms = 0
        self.spool = self.reboot()

    def reboot(self) -> Spool:
        self.spool = Spool(self.path, OPTIONS, now=1000)
        self.made[self.spool.boot_epoch] = 0
        return self.spool

    def make(self, kinds: list[Kind], samples: int) -> None:
        epoch, batches = self.spool.boot_epoch, []
        for kind in kinds:
            self.made[epoch] += 1
            self.time_ms += 1000
            block = Block("M-1", self.time_ms, {"Level": np.ones(samples, np.float32)})
            payload = self.codec.data(block, NOW_MS, epoch, self.made[epoch], None)
            content = payload.SerializeToString()
            batches.append(Batch(epoch, self.made[epoch], "DDATA", content, kind))
        self.spool.append(batches)

    def session(self, whole: int | None, tail: list[bool]) -> None:
        """Publish all from the front; `whole` messages arrive, then of the next those of `tail`."""
        first = self.spool.first_batch
        birth = payloads.node_birth(
            NOW_MS,
            self.bd_seq,
            self.spool.boot_epoch,
            first,
            {},
            earlier=self.spool.earlier,
        )
        self.bd_seq += 1
        self.store("NBIRTH", birth.SerializeToString())
        self.store("DBIRTH", self.codec.birth(NOW_MS).SerializeToString())
        messages = list(self.messages())
        kept = messages if whole is None else messages[:whole]
        if whole is not None:
            kept += [m for m, stored in zip(messages[whole:], tail, strict=False) if stored]
        for kind, payload in kept:
            self.store(kind, payload)

    def messages(self) -> Any:
        cursor = (0, 0)
        while entries := self.spool.after(cursor, 9):
            for entry in entries:
                if isinstance(entry, Hole):
                    span = [(entry.first, entry.last)]
                    yield "NDATA", node_lost(NOW_MS, entry.boot_epoch, span).SerializeToString()
                else:
                    yield "DDATA", payloads.historical(entry.payload)
            cursor = entries[-1].key

    def store(self, kind: str, payload: bytes) -> None:
        self.log += 1
        where = f"spBv1//0.s.{kind}.n" if kind[0] == "N" else f"tele.0.s.{kind}.n.M-1"
        for item in self.acquisition.update(Message(where, payload, self.log, NOW_MS), NOW):
            assert not isinstance(item, SetAside | Resend), item
            if isinstance(item, Frame):
                self.frames.append((item.boot_epoch, item.batch))

    def acknowledge(self) -> None:
        for epoch, sequence in self.acquisition.batches.sequences.items():
            self.spool.acknowledge(epoch, sequence.watermark)


STEPS = st.one_of(
    st.tuples(
        st.just("make"),
        st.lists(st.sampled_from(KINDS), min_size=1, max_size=15),
        st.integers(1, 6000),
    ),
    st.tuples(st.just("session"), st.integers(0, 60), st.lists(st.booleans(), max_size=32)),
    st.tuples(st.just("acknowledge")),
    st.tuples(st.just("reboot")),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_each_batch_comes_once_or_is_known_as_lost(steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wire = Wire(Path(folder))
        for step in steps:
            match step:
                case ("make", kinds, samples):
                    wire.make(kinds, samples)
                case ("session", whole, tail):
                    wire.session(whole, tail)
                case ("acknowledge",):
                    wire.acknowledge()
                case ("reboot",):
                    wire.spool.close()
                    wire.reboot()
        wire.session(None, [])
        wire.acknowledge()

        sequences = wire.acquisition.batches.sequences
        assert wire.spool.depth == 0
        assert wire.frames == sorted(set(wire.frames)), "twice, or out of order"
        for epoch, last in wire.made.items():
            if last:
                assert (sequences[epoch].watermark, sequences[epoch].has_gap) == (last, False)
        lost = wire.acquisition.counts["lost"]
        assert lost == sum(wire.made.values()) - len(wire.frames)
        wire.spool.close()
