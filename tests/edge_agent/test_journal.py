"""Which commands were carried out survives an end at any byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.journal import Answer, Entry, Journal


def entry(id: str, outcome: int = 1) -> Entry:
    return Entry(id=id, answers=[Answer(device="M-1", metric="Speed", outcome=outcome, value=1.5)])


def test_a_command_is_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "new" / "node.commands"
    journal = Journal(path)
    assert journal.find("a") is None
    journal.write(Entry(id="a"))
    journal.write(entry("a"))
    journal.write(Entry(id="b"))

    again = Journal(path)

    assert again.find("a") == entry("a")
    assert again.find("b") == Entry(id="b")


def test_the_newest_are_remembered_in_a_file_that_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "node.commands"
    journal = Journal(path, remembered=10)
    for number in range(200):
        journal.write(entry(str(number)))
        assert len(path.read_bytes().splitlines()) <= 31

    again = Journal(path, remembered=10)

    assert [again.find(str(n)) is not None for n in range(185, 200)] == [False] * 5 + [True] * 10


@pytest.mark.parametrize("again", [1, 2])
@settings(deadline=None, max_examples=40)
@given(cut=st.integers(1, 400), rest=st.binary(max_size=8))
def test_a_torn_file_costs_the_torn_line_only(
    tmp_path_factory: pytest.TempPathFactory, again: int, cut: int, rest: bytes
) -> None:
    path = tmp_path_factory.mktemp("torn") / "node.commands"
    journal = Journal(path)
    for id in ("a", "b", "c"):
        journal.write(entry(id))
    whole = path.read_bytes()
    kept = whole[: max(0, len(whole) - cut)]
    path.write_bytes(kept + rest.replace(b"\n", b""))
    complete = kept.count(b"\n")

    for turn in range(again):
        Journal(path).write(entry(f"d{turn}"))

    found = Journal(path)
    assert [found.find(id) is not None for id in ("a", "b", "c")][:complete] == [True] * complete
    assert all(found.find(f"d{turn}") == entry(f"d{turn}") for turn in range(again))
