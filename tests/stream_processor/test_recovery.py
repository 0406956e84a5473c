from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stream_processor.recovery import StillHeldError, recovery, size_bytes


def test_one_process_has_a_partition_at_a_time(tmp_path: Path) -> None:
    directory, stopping = tmp_path / "partition-0", threading.Event()
    stopping.set()
    with (
        recovery(directory, stopping),
        pytest.raises(StillHeldError, match="in use"),
        recovery(directory, stopping),
    ):
        pytest.fail("two processes share their state")
    with recovery(directory, stopping):
        assert (directory / "part-0.sqlite3").exists()
        assert size_bytes(directory) >= (directory / "part-0.sqlite3").stat().st_size > 0


def test_whoever_waits_for_a_partition_gets_it_when_it_is_let_go(tmp_path: Path) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def wait() -> None:
        waiting.set()
        with recovery(tmp_path, threading.Event()):
            order.append("taken")

    with recovery(tmp_path, threading.Event()):
        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait()
        order.append("let go")
    thread.join(30)
    assert order == ["let go", "taken"]


def test_a_first_start_that_was_cut_short_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "part-0.sqlite3").write_bytes(b"half")
    with recovery(tmp_path, threading.Event()):
        assert (tmp_path / "part-0.sqlite3").read_bytes().startswith(b"SQLite format 3")
