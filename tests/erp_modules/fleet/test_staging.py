"""No stage takes more than its share, and every stage holds the ones before."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from erp_modules.fleet.staging import bounded, place, salt_for, share, taken

NODES = st.lists(
    st.text("abcdefghij0123456789-é", min_size=1, max_size=12), max_size=60, unique=True
)
SALTS = st.text(max_size=12)
PERCENTS = st.floats(0.01, 100, allow_nan=False)


@given(SALTS, NODES, PERCENTS)
def test_a_stage_never_takes_more_than_its_share(
    salt: str, nodes: list[str], percent: float
) -> None:
    reached = bounded(salt, percent, nodes)
    assert reached <= percent
    assert len(taken(salt, reached, nodes)) <= share(percent, len(nodes))


@given(SALTS, NODES, PERCENTS, PERCENTS)
def test_a_larger_stage_holds_the_smaller(
    salt: str, nodes: list[str], one: float, other: float
) -> None:
    small, large = sorted((one, other))
    first = taken(salt, bounded(salt, small, nodes), nodes)
    assert set(first) <= set(taken(salt, bounded(salt, large, nodes), nodes))


@given(SALTS, NODES)
def test_the_last_stage_takes_everybody(salt: str, nodes: list[str]) -> None:
    assert bounded(salt, 100, nodes) == 100
    assert taken(salt, 100, nodes) == nodes


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.uuids())
def test_the_salt_lets_the_first_stage_hold_somebody(count: int, rollout: object) -> None:
    nodes = [f"edge-{number:02d}" for number in range(count)]
    stages = [1.0, 10.0, 100.0]
    salt = salt_for(str(rollout), nodes, stages)
    assert salt == salt_for(str(rollout), nodes, stages)
    counts = [len(taken(salt, bounded(salt, p, nodes), nodes)) for p in stages]
    assert counts[0] == 1
    assert counts[1] <= math.ceil(count / 10)
    assert counts[2] == count


def test_the_place_is_that_of_the_contract() -> None:
    # Worked out by hand from docs/contracts.md: echo -n 'salt/edge-01' | sha256sum
    assert place("salt", "edge-01") == int("acd672c3f332f1e8", 16) % 100
