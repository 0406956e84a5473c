"""A disk that is full again and again, at any statement: what was kept is kept."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.store.options import SpoolOptions
from edge_agent.store.policy import KINDS
from edge_agent.store.ranges import Range, merged
from edge_agent.store.spool import Batch, Hole, Spool


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


class Hog:
    """Another program that takes what is free but for some bytes, and gives it back."""

    def __init__(self, folder: Path) -> None:
        self.file, self.folder = folder / "hog", folder

    def take_all_but(self, left: int) -> None:
        found = os.statvfs(self.folder)
        with self.file.open("ab") as file:
            os.posix_fallocate(
                file.fileno(), 0, file.tell() + max(4096, found.f_bavail * found.f_frsize - left)
            )

    def give_back(self) -> None:
        self.file.unlink(missing_ok=True)


def expected(number: int) -> bytes:
    return number.to_bytes(4, "big") * (number * 131 % 4000)


@pytest.mark.parametrize("seed", range(4))
def test_the_spool_holds_what_it_took(disk: Path, seed: int) -> None:
    chance = random.Random(seed)
    hog, path = Hog(disk), disk / "s"
    spool = Spool(path, SpoolOptions(max_bytes=6 << 20), now=1000)
    boots = {spool.boot_epoch: 0}
    waiting: list[Range] = []
    taken: dict[tuple[int, int], int] = {}
    lost: set[tuple[int, int]] = set()
    refused = said = 0
    for _ in range(400):
        match chance.randrange(10):
            case 0:
                hog.give_back()
                hog.take_all_but(chance.choice([0, 0, 8192, 100_000, 1_000_000]))
            case 1:
                hog.give_back()
            case 2:
                number = chance.randint(said, boots[spool.boot_epoch])
                try:
                    spool.acknowledge(spool.boot_epoch, number)
                except sqlite3.OperationalError:
                    refused += 1
                else:
                    said = number
                    epoch = spool.boot_epoch
                    taken = {k: n for k, n in taken.items() if k[0] != epoch or k[1] > said}
                    lost = {k for k in lost if k[0] != epoch or k[1] > said}
            case 3 if chance.random() < 0.2:
                # The power is cut: what is on the disk is all there is.
                hog.give_back()
                spool.close()
                spool = Spool(path, SpoolOptions(max_bytes=6 << 20), now=1000)
                boots[spool.boot_epoch] = said = 0
                waiting = []
            case _:
                first = boots[spool.boot_epoch] + 1
                last = first + chance.randrange(60)
                boots[spool.boot_epoch] = last
                epoch = spool.boot_epoch
                batches = [
                    Batch(epoch, n, "t", expected(n), chance.choice(KINDS))
                    for n in range(first, last + 1)
                ]
                try:
                    spool.append(batches, waiting)
                except sqlite3.OperationalError:
                    refused += 1
                    waiting = merged([*waiting, (first, last)])
                else:
                    lost |= {(epoch, n) for a, b in waiting for n in range(a, b + 1) if n > said}
                    waiting = []
                    taken |= {b.key: len(b.payload) for b in batches if b.number > said}
    hog.give_back()
    there: set[tuple[int, int]] = set()
    holes: set[tuple[int, int]] = set()
    cursor = (0, 0)
    while entries := spool.after(cursor, 1000):
        for entry in entries:
            if isinstance(entry, Hole):
                holes |= {(entry.boot_epoch, n) for n in range(entry.first, entry.last + 1)}
            else:
                assert entry.payload == expected(entry.number)
                there.add(entry.key)
        cursor = entries[-1].key

    assert refused, "the disk was never full"
    assert there | holes == set(taken) | lost
    assert there.isdisjoint(holes)
    assert lost <= holes
    assert len(holes - lost) <= spool.dropped.total() or len(boots) > 1
    assert (None, "damage") not in spool.dropped
    spool.close()


def test_a_full_disk_does_not_keep_the_agent_from_starting(disk: Path) -> None:
    hog, path = Hog(disk), disk / "s"
    spool = Spool(path, now=1000)
    spool.append([Batch(1000, n, "t", expected(n)) for n in range(1, 301)])
    spool.close()
    hog.take_all_but(0)
    assert os.statvfs(disk).f_bavail == 0

    spool = Spool(path, now=1000)

    assert (spool.boot_epoch, spool.depth) == (1001, 300)
    assert spool.acknowledge(1000, 200) == 200
    # In the place of what was acknowledged.
    spool.append([Batch(1001, 1, "t", bytes(50_000))])
    assert [e.key for e in spool.after((1000, 299), 9)] == [(1000, 300), (1001, 1)]
    spool.close()
    hog.give_back()
    Spool(path, now=1000).close()
    assert (disk / "s.ballast").stat().st_size == 1 << 20
