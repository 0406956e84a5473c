"""The spool against an in-memory model, and what it does with caps, clocks and a full disk."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_agent.store import room
from edge_agent.store.options import SpoolOptions
from edge_agent.store.policy import KINDS
from edge_agent.store.spool import Batch, Hole, Spool, SpoolError

CAP = 1 << 18
SMALL = SpoolOptions(max_bytes=CAP, max_age_h=1.0)
Key = tuple[int, int]


def everything(spool: Spool) -> list[Batch | Hole]:
    cursor, found = (0, 0), []
    while entries := spool.after(cursor, 10_000):
        found += entries
        cursor = entries[-1].key
    return found


class SpoolAgainstModel(RuleBasedStateMachine):
    """A dict by (epoch, number) does what the spool must, over any number of restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "s.spool"
        self.model: dict[Key, Batch] = {}
        self.made: dict[Key, int] = {}
        self.lost: set[Key] = set()
        self.dropped = 0
        self.clock, self.running = 1000.0, 0.0
        self.bd_seq = -1
        self.open()

    def open(self) -> None:
        self.spool = Spool(self.path, SMALL, now=self.clock, running=lambda: self.running)
        self.number = self.dropped = 0
        # Time without the agent is no age.
        newest = self.made[max(self.model)] if self.model else 0
        self.base, self.started = newest, self.running

    def age(self) -> int:
        return self.base + int(self.running - self.started)

    def teardown(self) -> None:
        self.spool.close()
        self.folder.cleanup()

    @rule(
        sizes=st.lists(st.integers(0, 20_000), min_size=1, max_size=12),
        kind=st.sampled_from(KINDS),
        forgotten=st.integers(0, 3),
        passed=st.sampled_from([0, 0, 1, 600]),
    )
    def append(self, sizes: list[int], kind: str, forgotten: int, passed: int) -> None:
        self.running += passed
        epoch = self.spool.boot_epoch
        ranges = [(self.number + 1, self.number + forgotten)] if forgotten else []
        self.lost |= {(epoch, self.number + 1 + i) for i in range(forgotten)}
        self.number += forgotten
        batches = []
        for size in sizes:
            self.number += 1
            batches.append(Batch(epoch, self.number, "t", bytes([size % 256]) * size, kind))
        self.spool.append(batches, ranges)
        self.model |= {b.key: b for b in batches}
        self.made |= {b.key: self.age() for b in batches}
        self.learn_what_was_dropped()

    def learn_what_was_dropped(self) -> None:
        """The spool chooses; what it chose must follow its policy."""
        there = {b.key for b in everything(self.spool) if isinstance(b, Batch)}
        gone = set(self.model) - there
        expired = {k for k in gone if self.made[k] < self.age() - 3600}
        for key in self.model:
            if self.made[key] < self.age() - 3600:
                assert key in gone, "too old and still here"
        for_room = gone - expired
        for key in for_room:
            kind = self.model[key].kind
            later = SMALL.drop_first[SMALL.drop_first.index(kind) :]
            for other in there:
                assert self.model[other].kind in later, "a kind that goes first is still here"
                assert self.model[other].kind != kind or other > key, "an older one is still here"
        if for_room:
            freed = sum(room.size_of("t", self.model[k].payload) for k in for_room)
            held = sum(room.size_of("t", self.model[k].payload) for k in there)
            assert held + freed > CAP // 3, "dropped without need"
        self.dropped += len(gone)
        self.lost |= gone
        for key in gone:
            del self.model[key]

    @rule(age=st.integers(0, 2), number=st.integers(0, 60) | st.just(2**64 - 1))
    def acknowledge(self, age: int, number: int) -> None:
        epochs = sorted({e for e, _ in (*self.model, *self.lost)} | {self.spool.boot_epoch})
        epoch = epochs[max(0, len(epochs) - 1 - age)]
        gone = {key for key in self.model if key[0] == epoch and key[1] <= number}
        assert self.spool.acknowledge(epoch, number) == len(gone)
        for key in gone:
            del self.model[key]
        self.lost = {key for key in self.lost if key[0] != epoch or key[1] > number}

    @rule(passed=st.sampled_from([-86_400, -3600, -1, 0, 1, 3600, 86_400]))
    def restart(self, passed: float) -> None:
        before = self.spool.boot_epoch
        self.spool.close()
        self.clock += passed
        self.open()
        assert self.spool.boot_epoch > before
        assert self.spool.boot_epoch >= self.clock

    @rule()
    def connect(self) -> None:
        self.bd_seq = (self.bd_seq + 1) % 256
        assert self.spool.next_bd_seq() == self.bd_seq

    @rule(first=st.integers(0, 20), last=st.integers(0, 20) | st.just(2**64 - 1))
    def resend(self, first: int, last: int) -> None:
        epoch = self.spool.boot_epoch
        due = sorted(key for key in self.model if key[0] == epoch and first <= key[1] <= last)
        assert [b.key for b in self.spool.range(epoch, first, last, 3)] == due[:3]

    @rule(count=st.integers(1, 9), size=st.integers(1, 30_000))
    def read_in_windows(self, count: int, size: int) -> None:
        cursor, found = (0, 0), []
        while entries := self.spool.after(cursor, count, size):
            batches = [e for e in entries if isinstance(e, Batch)]
            assert len(batches) <= count
            assert len(batches) < 2 or sum(len(b.payload) for b in batches[:-1]) <= size
            found += entries
            assert cursor < entries[-1].key
            cursor = entries[-1].key
        assert found == everything(self.spool)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        entries = everything(self.spool)
        assert [e.key for e in entries] == sorted(e.key for e in entries)
        batches = {e.key: e.payload for e in entries if isinstance(e, Batch)}
        assert batches == {key: batch.payload for key, batch in self.model.items()}
        holes = [e for e in entries if isinstance(e, Hole)]
        told = [(h.boot_epoch, n) for h in holes for n in range(h.first, h.last + 1)]
        assert sorted(told) == sorted(self.lost)
        assert self.spool.depth == len(entries)
        assert self.spool.dropped.total() == self.dropped
        assert self.spool.bytes <= CAP
        assert self.path.stat().st_size <= CAP
        own = [n for e, n in (*self.model, *self.lost) if e == self.spool.boot_epoch]
        assert self.spool.first_batch == min(own, default=self.number + 1)


TestSpoolAgainstModel = SpoolAgainstModel.TestCase
TestSpoolAgainstModel.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


def fill(spool: Spool, count: int, size: int = 10, kind: str = "data") -> None:
    spool.append([Batch(spool.boot_epoch, n, "t", bytes(size), kind) for n in range(1, count + 1)])


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    return tmp_path / "s"


def test_after_a_key_come_the_next_ones(path: Path) -> None:
    spool = Spool(path, now=5)
    fill(spool, 5)

    assert [b.key[1] for b in spool.after((5, 2), 2)] == [3, 4]
    assert [b.key[1] for b in spool.after((4, 99), 99)] == [1, 2, 3, 4, 5]
    assert spool.after((6, 0), 99) == []
    spool.close()


def test_what_earlier_boots_left_is_known_by_its_ends(path: Path) -> None:
    for now in (1000, 2000, 3000):
        spool = Spool(path, now=now)
        assert spool.earlier == [(1000, 1, 9), (2000, 1, 9)][: now // 1000 - 1]
        spool.append([Batch(now, n, "t", b"x") for n in range(1, 7)], [(7, 9)])
        spool.close()
    spool = Spool(path, now=4000)
    spool.acknowledge(1000, 9)
    spool.acknowledge(2000, 6)
    spool.acknowledge(3000, 4)
    assert spool.earlier == [(2000, 7, 9), (3000, 5, 9)]
    spool.close()


def test_millions_of_drops_are_one_hole(path: Path) -> None:
    spool = Spool(path, now=5)
    spool.append([Batch(5, 1, "t", b"x")], [(2, 3_000_000)])
    spool.append([], [(3_000_001, 5_000_000)])

    assert spool.after((5, 1), 10) == [Hole(5, 2, 5_000_000)]
    assert (spool.depth, spool.first_batch) == (2, 1)
    assert spool.acknowledge(5, 1_000_000) == 1
    assert spool.after((0, 0), 10) == [Hole(5, 1_000_001, 5_000_000)]
    assert spool.first_batch == 1_000_001
    spool.close()


def test_alarms_outlive_all_else(path: Path) -> None:
    spool = Spool(path, SpoolOptions(max_bytes=1 << 20), now=5)
    for n in range(1, 2001):
        kind = "alarm" if n % 20 == 0 else ("waveform", "data", "health")[n % 3]
        spool.append([Batch(5, n, "t", bytes(1500), kind)])

    left = [b for b in everything(spool) if isinstance(b, Batch)]
    assert [b.number for b in left if b.kind == "alarm"] == list(range(20, 2001, 20))
    assert {kind for kind, _ in spool.dropped} == {"health", "waveform", "data"}
    assert {reason for _, reason in spool.dropped} == {"size"}
    spool.close()


def test_an_unread_disk_of_others_keeps_the_spool_from_growing(path: Path) -> None:
    free = 100 << 20
    spool = Spool(
        path, SpoolOptions(reserve_bytes=64 << 20), now=5, space=lambda _: (free, 1 << 40)
    )
    numbers = iter(range(1, 10_000))

    def write(count: int) -> None:
        for _ in range(count):
            spool.append([Batch(5, next(numbers), "t", bytes(100_000), "waveform")])

    write(300)
    assert not spool.dropped
    size = spool.bytes
    free = 10 << 20
    write(50)
    assert spool.bytes <= size + 200_000
    assert set(spool.dropped) == {("waveform", "disk")}
    assert path.stat().st_size <= size + (1 << 20)
    spool.close()


def test_below_the_reserve_the_spool_still_has_its_floor(path: Path) -> None:
    spool = Spool(path, now=5, space=lambda _: (50 << 20, 1 << 40))
    for n in range(1, 401):
        spool.append([Batch(5, n, "t", bytes(100_000), "waveform")])
    assert room.FLOOR_BYTES * 0.8 < spool.bytes <= room.FLOOR_BYTES
    spool.close()


def test_age_counts_the_running_time_and_no_clock_that_can_be_set(path: Path) -> None:
    hour = 0.0
    options = SpoolOptions(max_age_h=2.0)

    def open_spool(now: float) -> Spool:
        return Spool(path, options, now=now, running=lambda: hour * 3600)

    spool = open_spool(1_000_000)
    fill(spool, 3)
    spool.close()
    for step in (86_400, -86_400, -3600):
        spool = open_spool(1_000_000 + step)
        spool.append([Batch(spool.boot_epoch, 1, "t", b"")])
        assert not spool.dropped
        spool.close()
    spool = open_spool(1_000_000)
    assert spool.boot_epoch == 1_086_403
    hour = 2.5
    spool.append([Batch(spool.boot_epoch, 1, "t", b"")])
    assert spool.dropped == {("data", "age"): 6}
    assert [type(e) for e in spool.after((0, 0), 9)] == [Hole, Hole, Hole, Hole, Batch]
    spool.close()


def test_a_boot_epoch_does_not_repeat_when_the_spool_is_gone(path: Path) -> None:
    spool = Spool(path, now=1_000_000)
    spool.close()
    path.unlink()

    spool = Spool(path, now=10)

    assert spool.boot_epoch == 1_000_001
    spool.close()


def test_a_spool_in_use_is_refused_and_left_alone(path: Path) -> None:
    spool = Spool(path, now=10)
    fill(spool, 3)

    with pytest.raises(SpoolError, match="is another agent of this node running"):
        Spool(path, now=20)

    assert spool.depth == len(spool.after((0, 0), 9)) == 3
    assert not list(path.parent.glob("*corrupt*"))
    spool.close()


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(SpoolError, match="file/s"):
        Spool(tmp_path / "file" / "s")


def test_a_full_disk_keeps_nothing_and_breaks_nothing(path: Path) -> None:
    spool = Spool(path, now=10)
    fill(spool, 2)
    database = spool._contents._database
    limit = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {limit}")

    with pytest.raises(sqlite3.OperationalError, match="full"):
        spool.append([Batch(10, n, "t", bytes(9000)) for n in (3, 4)])

    assert spool.depth == len(spool.after((0, 0), 9)) == 2
    database.execute("PRAGMA max_page_count = 100000")
    spool.append([Batch(10, n, "t", bytes(9000)) for n in (3, 4)])
    assert spool.depth == 4
    spool.close()
