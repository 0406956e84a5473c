"""Whatever happens to the file, the spool opens, keeps what can be read, and knows the rest."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from edge_agent.store import database
from edge_agent.store.spool import Batch, Hole, Spool

EPOCH = 1000
COUNT = 400


def payload_of(number: int) -> bytes:
    # Of all sizes, so that some lie on several pages.
    return number.to_bytes(4, "big") * (1 + number * 37 % 2500)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed spool with batches 11 to `COUNT` of one boot, and one hole."""
    path = tmp_path_factory.mktemp("sound") / "s"
    spool = Spool(path, now=EPOCH)
    numbers = [n for n in range(1, COUNT + 1) if not 50 <= n <= 59]
    spool.append([Batch(EPOCH, n, f"t/{n % 7}", payload_of(n)) for n in numbers], [(50, 59)])
    spool.acknowledge(EPOCH, 10)
    spool.next_bd_seq()
    spool.close()
    return path


def copied(sound: Path, folder: Path) -> Path:
    for name in ("s", "s.boots"):
        shutil.copy(sound.with_name(name), folder / name)
    return folder / "s"


def check(spool: Spool) -> set[int]:
    """Return what is still there, after checking that nothing is there that was not written."""
    entries = spool.after((0, 0), 10_000)
    there = {e.number: e for e in entries if isinstance(e, Batch)}
    for number, batch in there.items():
        assert batch.boot_epoch == EPOCH
        assert (batch.topic, batch.payload) == (f"t/{number % 7}", payload_of(number))
    lost = [n for e in entries if isinstance(e, Hole) for n in range(e.first, e.last + 1)]
    assert there.keys().isdisjoint(lost)
    assert len(lost) == len(set(lost))
    assert spool.boot_epoch > EPOCH
    # It works on.
    spool.append([Batch(spool.boot_epoch, 1, "t", b"new")])
    assert spool.acknowledge(EPOCH, COUNT) == len(there)
    assert [e.key for e in spool.after((0, 0), 10)] == [(spool.boot_epoch, 1)]
    return set(there)


WRITTEN = set(range(11, COUNT + 1)) - set(range(50, 60))


@pytest.mark.parametrize("checked_bytes", [64 << 20, 0], ids=["checked", "too large to check"])
def test_bits_flipped_anywhere_cost_what_lies_there(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checked_bytes: int
) -> None:
    monkeypatch.setattr(database, "_CHECKED_BYTES", checked_bytes)
    chance = random.Random(1)
    kept = []
    for turn in range(60):
        path = copied(sound, tmp_path)
        content = bytearray(path.read_bytes())
        for _ in range(chance.choice([1, 1, 3, 30])):
            place = chance.randrange(len(content))
            content[place] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        spool = Spool(path, now=10 + turn)
        kept.append(len(check(spool)))
        spool.close()
    assert sum(kept) / len(kept) > 0.9 * len(WRITTEN)


@pytest.mark.parametrize("page", [0, 1, 5, 40])
def test_a_page_of_nonsense_costs_that_page(sound: Path, tmp_path: Path, page: int) -> None:
    path = copied(sound, tmp_path)
    content = bytearray(path.read_bytes())
    content[page * 4096 : (page + 1) * 4096] = b"\xa5" * 4096
    path.write_bytes(content)

    spool = Spool(path, now=20)

    assert len(check(spool)) >= len(WRITTEN) - 150
    assert spool.next_bd_seq() in (0, 1)
    spool.close()


@pytest.mark.parametrize("keep", [0, 1, 100, 4096, 8192, 100_000, 1_000_000])
def test_a_truncated_file_keeps_its_beginning(sound: Path, tmp_path: Path, keep: int) -> None:
    path = copied(sound, tmp_path)
    content = path.read_bytes()[:keep]
    path.write_bytes(content)

    spool = Spool(path, now=20)
    there = check(spool)

    if keep == 1_000_000:
        assert len(there) > 100
    spool.close()


def test_a_log_that_was_deleted_brings_back_the_past_and_repeats_nothing(
    sound: Path, tmp_path: Path
) -> None:
    path = copied(sound, tmp_path)
    spool = Spool(path, now=20)
    second = spool.boot_epoch
    # A copy while it is open has the log that a power cut would leave.
    spool.append([Batch(second, n, "t", b"late") for n in range(1, 6)])
    for name in ("s", "s.boots"):
        shutil.copy(path.with_name(name), tmp_path / f"cut-{name}")
    spool.close()
    (tmp_path / "cut-s").rename(tmp_path / "cut")
    (tmp_path / "cut-s.boots").rename(tmp_path / "cut.boots")

    spool = Spool(tmp_path / "cut", now=20)

    assert spool.boot_epoch > second
    assert check(spool) == WRITTEN
    spool.close()


def test_damage_in_use_is_survived_and_told(tmp_path: Path) -> None:
    path = tmp_path / "s"
    spool = Spool(path, now=EPOCH)
    for first in range(1, 2001, 100):
        spool.append([Batch(EPOCH, n, "t", payload_of(n)) for n in range(first, first + 100)])
    spool.acknowledge(EPOCH, 100)
    spool._contents._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\x00" * 4096 * 30)

    found = spool.after((0, 0), 10_000)
    numbers = [
        n
        for e in found
        for n in ([e.number] if isinstance(e, Batch) else range(e.first, e.last + 1))
    ]
    assert sorted(numbers) == list(range(101, 2001))
    batches = [e for e in found if isinstance(e, Batch)]
    assert all(b.payload == payload_of(b.number) for b in batches)
    assert 1800 < len(batches) < 1900
    assert spool.dropped == {(None, "damage"): 1900 - len(batches)}
    assert len(list(tmp_path.glob("s.corrupt-*"))) == 1
    spool.append([Batch(EPOCH, 2001, "t", b"on")])
    assert spool.after((EPOCH, 2000), 9)[0].key == (EPOCH, 2001)
    assert spool.acknowledge(EPOCH, 2001) == len(batches) + 1
    assert spool.depth == 0
    spool.close()


def test_a_file_of_another_program_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE batch (boot_epoch INTEGER, number INTEGER)")
    other.close()

    spool = Spool(path, now=20)

    assert (spool.depth, spool.boot_epoch) == (0, 20)
    assert (tmp_path / "s.corrupt-20").exists()
    spool.close()


def test_only_the_newest_damaged_file_is_kept(sound: Path, tmp_path: Path) -> None:
    for turn in (1, 2, 3):
        path = copied(sound, tmp_path)
        path.write_bytes(b"nonsense" * 1000)
        Spool(path, now=2000 + turn).close()
    assert [p.name for p in tmp_path.glob("s.corrupt-*")] == ["s.corrupt-2003"]
