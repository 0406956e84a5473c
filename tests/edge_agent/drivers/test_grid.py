"""The grid: whatever order values come in, a sample is the newest value of its time."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers import grid
from edge_agent.drivers.base import BAD, GOOD, STALE, Quality
from edge_agent.drivers.grid import Grid, GridBlock, GridChannel, Observation, fits, history

START = 1_700_000_000_000
QUALITIES: list[Quality] = [GOOD, STALE, BAD]
OBSERVATIONS = st.lists(
    st.tuples(
        st.integers(START, START + 10_000).map(float),
        st.floats(-1e6, 1e6, width=32),
        st.sampled_from(QUALITIES),
    ),
    max_size=40,
)


def held_at(known: list[Observation], time: float, stale_s: float) -> float:
    """Return what holds by the definition; of equal times the last that came."""
    before = [o for o in known if o[0] <= time]
    if not before:
        return nan
    newest = max(o[0] for o in before)
    at, value, quality = [o for o in before if o[0] == newest][-1]
    return nan if quality == BAD or (stale_s and time - at > stale_s * 1000) else value


def samples_by_time(blocks: list[GridBlock], rate_hz: float) -> dict[float, float]:
    return {
        block.start_ms + i * 1000 / rate_hz: float(value)
        for block in blocks
        for i, value in enumerate(block.samples.get("v", ()))
    }


def same(one: float, other: float) -> bool:
    return one == other or (isnan(one) and isnan(other))


@given(OBSERVATIONS, st.sampled_from([0.1, 0.5, 1.0, 2.0, 10.0]), st.sampled_from([0.0, 1.5]))
def test_a_sample_is_the_newest_value_of_its_time(
    known: list[Observation], rate_hz: float, stale_s: float
) -> None:
    whole = Grid([GridChannel("v", rate_hz, stale_s)], 1.0)
    whole.begin(START)
    assert all(whole.put("v", *observation) for observation in known)

    sampled = samples_by_time(list(whole.due(START + 12_000)), rate_hz)

    assert len(sampled) == round(12 * rate_hz) + (rate_hz < 1 and 12 * rate_hz % 1 > 0)
    assert all(same(value, held_at(known, at, stale_s)) for at, value in sampled.items())


@given(OBSERVATIONS, st.randoms(use_true_random=False))
def test_the_order_within_the_lateness_bound_changes_nothing(
    known: list[Observation], random: object
) -> None:
    known = list({o[0]: o for o in known}.values())
    settle_s = 2.0
    ordered, shuffled = (Grid([GridChannel("v", 4.0)], 1.0, settle_s) for _ in range(2))
    ordered.begin(START)
    shuffled.begin(START)
    for observation in known:
        ordered.put("v", *observation)
    expected = list(ordered.due(START + 20_000))
    arrivals = sorted((o[0] + random.uniform(0, settle_s * 999), o) for o in known)  # type: ignore[attr-defined]

    got: list[GridBlock] = []
    for arrival_ms, observation in arrivals:
        got += shuffled.due(arrival_ms)
        assert shuffled.put("v", *observation)
    got += shuffled.due(START + 20_000)

    assert shuffled.late == 0
    assert [b.start_ms for b in got] == [b.start_ms for b in expected]
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one.samples["v"], other.samples["v"])
        assert one.quality == other.quality


@given(OBSERVATIONS.filter(bool), st.sampled_from([0.5, 1.0, 4.0]))
def test_history_has_every_observation_that_a_sample_can_have(
    known: list[Observation], rate_hz: float
) -> None:
    blocks = list(history([GridChannel("v", rate_hz)], 1.0, [("v", o) for o in known]))
    sampled = samples_by_time(blocks, rate_hz)
    first, last = min(o[0] for o in known), max(o[0] for o in known)

    step = 1000 / rate_hz
    at = np.arange(np.ceil(first / step), np.ceil(last / step) + 1) * step
    for time in at:
        assert same(sampled.get(time, nan), held_at(known, time, 0.0))
    assert all(isnan(v) for t, v in sampled.items() if t not in set(at))
    assert [b.start_ms for b in blocks] == sorted({b.start_ms for b in blocks})


def test_what_lies_hours_apart_is_not_joined() -> None:
    hour = 3_600_000
    known: list[Observation] = [(START, 1.0, GOOD), (START + hour, 2.0, GOOD)]
    blocks = list(history([GridChannel("v", 1.0)], 1.0, [("v", o) for o in known]))
    assert [(b.start_ms - START, b.samples["v"].tolist()) for b in blocks] == [
        (0, [1.0]),
        (hour, [2.0]),
    ]


def test_a_late_value_is_counted_and_holds_from_the_next_sample_on() -> None:
    live = Grid([GridChannel("v", 1.0)], 1.0)
    live.begin(START)
    live.put("v", START, 1.0)
    assert [b.samples["v"].tolist() for b in live.due(START + 3000)] == [[1.0]] * 3
    assert not live.put("v", START + 1500, 2.0)
    assert not live.put("v", START + 500, 9.0)
    assert live.late == 2
    assert [b.samples["v"].tolist() for b in live.due(START + 4000)] == [[2.0]]


@pytest.mark.parametrize("step_ms", [86_400_000, -86_400_000, -3_600_000])
def test_a_step_of_the_clock_begins_anew(step_ms: int) -> None:
    live = Grid([GridChannel("v", 1.0)], 1.0)
    live.begin(START)
    live.put("v", START, 1.0)
    list(live.due(START + 1000))
    assert list(live.due(START + step_ms + 500)) == []
    live.put("v", START + step_ms + 200, 3.0)
    (block, *_), count = (all_ := list(live.due(START + step_ms + 3000))), len(all_)
    assert count == 3
    assert block.quality == {"v": BAD}
    assert all_[-1].samples["v"].tolist() == [3.0]


def test_quality_tells_unknown_from_stale() -> None:
    live = Grid([GridChannel("v", 1.0, 1.5), GridChannel("w", 2.0)], 1.0)
    live.begin(START)
    live.put("v", START, 1.0)
    live.put("w", START + 1000, 5.0, STALE)
    blocks = list(live.due(START + 4000))
    assert [b.quality.get("v", GOOD) for b in blocks] == [GOOD, GOOD, STALE, STALE]
    assert [b.quality.get("w", GOOD) for b in blocks] == [BAD, STALE, STALE, STALE]


def test_a_flood_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "MAX_WAITING", 10)
    live = Grid([GridChannel("v", 1.0)], 1.0)
    live.begin(START)
    for i in range(100):
        live.put("v", START + i, float(i))
    assert live.dropped > 0
    assert list(live.due(START + 2000))[-1].samples["v"].tolist() == [99.0]


@pytest.mark.parametrize(
    ("rate_hz", "block_s", "fitting"),
    [(1.0, 1.0, True), (0.1, 1.0, True), (3.0, 1.0, True), (0.3, 1.0, False), (1.5, 1.0, False)],
)
def test_which_rates_fit_a_block(rate_hz: float, block_s: float, fitting: bool) -> None:
    assert fits(rate_hz, block_s) == fitting
    if not fitting:
        with pytest.raises(ValueError, match="sample_rate_hz: "):
            Grid([GridChannel("v", rate_hz)], block_s)
