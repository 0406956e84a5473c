"""The grid of a device's readings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.modbus.schedule import Schedule

BLOCKS = st.sampled_from([100, 1000, 2000, 10_000, 60_000])


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    block = draw(BLOCKS)
    often = st.sampled_from([n for n in range(10, block + 1, 10) if block % n == 0])
    seldom = st.integers(1, 10).map(lambda n: n * block)
    return Schedule(sorted(set(draw(st.lists(often | seldom, min_size=1, max_size=5)))), block)


@given(schedules(), st.integers(0, 2**42))
def test_every_multiple_of_every_period_is_a_place(schedule: Schedule, now_ms: int) -> None:
    first = schedule.next_ms(now_ms)
    assert now_ms <= first < now_ms + schedule.step_ms
    assert first % schedule.step_ms == 0
    assert all(period % schedule.step_ms == 0 for period in schedule.periods_ms)


@given(schedules(), st.integers(0, 2**42))
def test_a_block_begins_with_a_sample_of_each_channel_that_has_several(
    schedule: Schedule, now_ms: int
) -> None:
    at_ms = schedule.next_ms(now_ms)
    while not schedule.is_start(at_ms):
        at_ms += schedule.step_ms
    assert at_ms - now_ms <= schedule.block_ms
    assert all(at_ms % p == 0 for p in schedule.periods_ms if p < schedule.block_ms)
    end_ms = schedule.block_end_ms(at_ms)
    assert 0 < end_ms - at_ms <= schedule.block_ms
    assert end_ms % schedule.block_ms == 0
    assert schedule.is_start(end_ms)


@given(schedules(), st.integers(10**12, 2**42))
def test_a_clock_that_was_set_is_seen_and_one_that_runs_is_not(
    schedule: Schedule, now_ms: int
) -> None:
    at_ms = schedule.next_ms(now_ms)
    assert not schedule.is_off(at_ms, now_ms)
    assert not schedule.is_off(at_ms, now_ms + 900)
    assert schedule.is_off(at_ms, now_ms - 3_600_000)
    assert schedule.is_off(at_ms, now_ms + 86_400_000)
