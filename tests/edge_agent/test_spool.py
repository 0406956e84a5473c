"""The spool against an in-memory model, and what it does with a bad file or a full disk."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_agent.spool import Batch, Spool, SpoolError

CAP = 400


class SpoolAgainstModel(RuleBasedStateMachine):
    """A dict by (epoch, number) does what the spool must, over any number of restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "s.spool"
        self.model: dict[tuple[int, int], bytes] = {}
        self.dropped = 0
        self.clock = 1000.0
        self.spool = Spool(self.path, CAP, self.clock)
        self.number = 0
        self.bd_seq = -1

    def teardown(self) -> None:
        self.spool.close()
        self.folder.cleanup()

    @rule(payloads=st.lists(st.binary(max_size=90), min_size=1, max_size=4))
    def append(self, payloads: list[bytes]) -> None:
        batches = []
        for payload in payloads:
            self.number += 1
            batches.append(Batch(self.spool.boot_epoch, self.number, "t", payload))
        self.spool.append(batches)
        self.model |= {b.key: b.payload for b in batches}
        if sum(map(len, self.model.values())) > CAP:
            while sum(map(len, self.model.values())) > CAP * 9 // 10:
                del self.model[min(self.model)]
                self.dropped += 1

    @rule(age=st.integers(0, 2), number=st.integers(0, 30) | st.just(2**64 - 1))
    def acknowledge(self, age: int, number: int) -> None:
        epochs = sorted({epoch for epoch, _ in self.model} | {self.spool.boot_epoch})
        epoch = epochs[max(0, len(epochs) - 1 - age)]
        gone = {key for key in self.model if key[0] == epoch and key[1] <= number}
        assert self.spool.acknowledge(epoch, number) == len(gone)
        for key in gone:
            del self.model[key]

    @rule(passed=st.floats(-50, 50))
    def restart(self, passed: float) -> None:
        before = self.spool.boot_epoch
        self.spool.close()
        self.clock += passed
        self.spool = Spool(self.path, CAP, self.clock)
        self.number = self.dropped = 0
        assert self.spool.boot_epoch > before

    @rule()
    def connect(self) -> None:
        self.bd_seq = (self.bd_seq + 1) % 256
        assert self.spool.next_bd_seq() == self.bd_seq

    @rule(first=st.integers(0, 20), last=st.integers(0, 20) | st.just(2**64 - 1))
    def resend(self, first: int, last: int) -> None:
        epoch = self.spool.boot_epoch
        due = sorted(key for key in self.model if key[0] == epoch and first <= key[1] <= last)
        assert [b.key for b in self.spool.range(epoch, first, last, 3)] == due[:3]

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        held = self.spool.after((0, 0), 1000)
        assert [(b.key, b.payload) for b in held] == sorted(self.model.items())
        assert self.spool.depth == len(self.model)
        assert self.spool.bytes == sum(map(len, self.model.values()))
        assert self.spool.dropped == self.dropped
        own = [number for epoch, number in self.model if epoch == self.spool.boot_epoch]
        assert self.spool.first_batch == min(own, default=self.number + 1)


TestSpoolAgainstModel = SpoolAgainstModel.TestCase
TestSpoolAgainstModel.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def fill(spool: Spool, count: int, size: int = 10) -> None:
    spool.append([Batch(spool.boot_epoch, n, "t", bytes(size)) for n in range(1, count + 1)])


def test_after_a_key_come_the_next_ones(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", now=5)
    fill(spool, 5)

    assert [b.number for b in spool.after((5, 2), 2)] == [3, 4]
    assert [b.number for b in spool.after((4, 99), 99)] == [1, 2, 3, 4, 5]
    spool.close()


@pytest.mark.parametrize("damage", ["header", "middle"])
def test_a_corrupt_file_is_moved_aside(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "s"
    spool = Spool(path, now=10)
    fill(spool, 200, 1000)
    spool.close()
    content = bytearray(path.read_bytes())
    place = 0 if damage == "header" else len(content) // 2
    content[place : place + 9000] = b"\xa5" * len(content[place : place + 9000])
    path.write_bytes(content)

    spool = Spool(path, now=20)

    assert (tmp_path / "s.corrupt-20").read_bytes() == content
    assert (spool.depth, spool.boot_epoch) == (0, 20)
    fill(spool, 1)
    spool.close()
    assert Spool(path, now=30).depth == 1


def test_a_spool_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    spool = Spool(path, now=10)
    fill(spool, 3)

    with pytest.raises(SpoolError, match="is another agent of this node running"):
        Spool(path, now=20)

    assert spool.depth == len(spool.after((0, 0), 9)) == 3
    assert not list(tmp_path.glob("*corrupt*"))
    spool.close()


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(SpoolError, match="file/s"):
        Spool(tmp_path / "file" / "s")


def test_a_full_disk_keeps_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s"
    spool = Spool(path, now=10)
    fill(spool, 2)
    limit = spool._database.execute("PRAGMA page_count").fetchone()[0]
    spool._database.execute(f"PRAGMA max_page_count = {limit}")

    with pytest.raises(sqlite3.OperationalError, match="full"):
        spool.append([Batch(10, n, "t", bytes(9000)) for n in (3, 4)])

    assert spool.depth == len(spool.after((0, 0), 9)) == 2
    spool._database.execute("PRAGMA max_page_count = 100000")
    spool.append([Batch(10, n, "t", bytes(9000)) for n in (3, 4)])
    assert spool.depth == 4
    spool.close()
