"""What goes when there is no room, and what the options refuse."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.store.options import SpoolOptions
from edge_agent.store.policy import KINDS, Kind, kind_of, victims


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 100)), max_size=40),
    st.permutations(KINDS),
    st.integers(-50, 3000),
)
def test_enough_goes_and_no_more_in_the_order_of_kinds(
    batches: list[tuple[Kind, int]], order: list[Kind], excess: int
) -> None:
    def candidates(kind: Kind) -> Any:
        return ((n, size) for n, (its, size) in enumerate(batches) if its == kind)

    chosen = victims(order, candidates, excess)

    in_order = [n for kind in order for n, (its, _) in enumerate(batches) if its == kind]
    gone = [n for kind in order for n in chosen.get(kind, ())]
    assert gone == in_order[: len(gone)]
    freed = sum(batches[n][1] for n in gone)
    assert freed >= excess or len(gone) == len(batches)
    assert not gone or freed - batches[gone[-1]][1] < excess


@pytest.mark.parametrize(
    ("has_waveform", "score", "captured", "kind"),
    [
        (True, 1.0, False, "alarm"),
        (False, 7.0, False, "alarm"),
        (True, None, True, "alarm"),
        (True, 0.99, False, "waveform"),
        (True, None, False, "waveform"),
        (False, 0.5, False, "data"),
        (False, None, False, "data"),
    ],
)
def test_the_kind_of_a_block(
    has_waveform: bool, score: float | None, captured: bool, kind: Kind
) -> None:
    assert kind_of(has_waveform, score, captured) == kind


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_bytes": 1000}, "max_bytes"),
        ({"max_age_h": -1}, "max_age_h"),
        ({"max_age_h": float("inf")}, "max_age_h: inf is no limit"),
        ({"drain_rate": float("nan")}, "drain_rate"),
        ({"drop_first": ["health", "data", "alarm"]}, "drop_first: each of"),
        ({"drop_first": ["alarm", "health", "data", "waveform"]}, "alarm comes last"),
        ({"drop_first": ["health", "data", "sound", "alarm"]}, r"drop_first\[2\]"),
        ({"commit_interval_ms": 60_000}, "commit_interval_ms"),
        ({"size": 3}, "size"),
    ],
)
def test_options_name_what_is_wrong(given: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(given, SpoolOptions)


def test_the_order_is_configured() -> None:
    given = {"drop_first": ["health", "data", "waveform", "alarm"]}
    assert msgspec.convert(given, SpoolOptions).drop_first[1] == "data"
