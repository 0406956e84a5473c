"""One device's event time: order, holes, lateness, steps of its clock."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream_processor import event_time as subject
from stream_processor.event_time import STEP_FRAMES, Timeline, When

SECOND = 1000
DAY = 86_400 * SECOND
BEGIN = 1_800_000_000_000
Starts = Sequence[int]


@dataclass
class Device:
    """A timeline that is fed with frames named by their event time."""

    lateness_ms: float = 0.0
    span_ms: float = SECOND
    live: bool = True
    line: Timeline[int] = field(default_factory=Timeline)
    stored_ms: int = BEGIN
    taken: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    steps: int = 0

    def say(
        self, *starts: int, every_ms: int = SECOND, tells: bool = True, size: int = 100
    ) -> Device:
        """Send frames, one each `every_ms`."""
        for start in starts:
            self.stored_ms += every_ms
            when = When(start, self.span_ms, self.stored_ms, self.stored_ms)
            placed = self.line.offer(start, when, size, self.lateness_ms, tells, self.live)
            self.late += [start] if placed.late else []
            self.steps += placed.stepped
            self.taken += placed.released
        return self

    def restart(self) -> None:
        state = pickle.loads(pickle.dumps(self.line.state()))
        held, self.line = self.line.held, Timeline.restore(state)
        for item in held:
            self.line.keep(item.item, item.when, item.size)


def seconds(*numbers: float) -> list[int]:
    return [BEGIN + round(number * SECOND) for number in numbers]


def test_without_lateness_nothing_waits_and_what_is_behind_is_late() -> None:
    device = Device().say(*seconds(0, 1, 5, 2, 6, 6, 7))
    assert device.taken == seconds(0, 1, 5, 6, 6, 7)
    assert device.late == seconds(2)
    assert device.line.watermark_ms == seconds(7)[0]


def test_what_follows_goes_on_at_once_and_a_hole_is_waited_for() -> None:
    device = Device(lateness_ms=10_000).say(*seconds(1, 0), every_ms=1)
    assert device.taken == [], "what came first may not have been the first"
    device.say(*seconds(10), every_ms=1)
    assert device.taken == seconds(0, 1)
    device.say(*seconds(12, 11, 2, 3), every_ms=1)
    assert device.taken == seconds(0, 1, 2, 3)
    device.say(*seconds(5, 6, 7, 8, 4), every_ms=1)
    assert device.taken == seconds(*range(9))
    device.say(*seconds(9), every_ms=1)
    assert device.taken == seconds(*range(13))
    device.say(*seconds(13), every_ms=1)
    assert device.taken == seconds(*range(14)), "a device in order waits for nothing"


def test_the_watermark_gives_up_a_hole() -> None:
    device = Device(lateness_ms=4000).say(*seconds(0, 1, 2, 3, 4))
    device.say(*seconds(7), every_ms=1)
    assert device.taken == seconds(0, 1, 2, 3, 4)
    device.say(*seconds(8, 9, 10), every_ms=1)
    assert device.taken == seconds(0, 1, 2, 3, 4)
    device.say(*seconds(11), every_ms=1)
    assert device.taken == seconds(0, 1, 2, 3, 4, 7, 8, 9, 10, 11)
    assert device.say(*seconds(5)).late == seconds(5)


def test_the_time_of_the_log_gives_up_a_hole_when_the_device_is_silent() -> None:
    device = Device(lateness_ms=4000).say(*seconds(0, 1, 2, 3, 4, 7))
    assert device.line.release(device.stored_ms + 3999) == []
    assert device.line.release(device.stored_ms + 4000) == seconds(7)


@pytest.mark.parametrize(
    ("count", "size"), [(subject.MAX_HELD, 1), (3, subject.MAX_HELD_BYTES // 3)]
)
def test_what_waits_is_bounded_in_number_and_bytes(count: int, size: int) -> None:
    device = Device(lateness_ms=3_600_000, span_ms=1)
    device.say(*seconds(*range(0, 2 * count, 2)), every_ms=0, size=size)
    assert device.taken == []
    device.say(*seconds(2 * count), every_ms=0, size=size)
    assert device.taken == seconds(0)


@given(st.data())
def test_any_order_within_the_lateness_is_put_in_order(data: st.DataObject) -> None:
    """Whatever is missing, however the device starts, and wherever the processor does."""
    numbers = sorted(data.draw(st.sets(st.integers(0, 60), min_size=1, max_size=30)))
    lateness = data.draw(st.integers(1, 20))
    shift = data.draw(st.lists(st.integers(0, lateness), min_size=61, max_size=61))
    arrivals = sorted(numbers, key=lambda number: number + shift[number])
    device = Device(lateness_ms=lateness * SECOND)
    restarts = data.draw(st.sets(st.integers(0, 30)))
    marks = []
    for place, number in enumerate(arrivals):
        if place in restarts:
            device.restart()
        device.say(*seconds(number), every_ms=0)
        marks.append(device.line.watermark_ms)
    assert device.taken + device.line.flush() == seconds(*numbers)
    assert device.late == []
    assert marks == sorted(marks)


@given(st.lists(st.integers(0, 40), max_size=60), st.floats(0, 20), st.booleans())
@example([9, 0, 1, 2, 3, 4, 5], 0.0, False)
def test_whatever_comes_nothing_is_lost_and_time_goes_on(
    numbers: list[int], lateness_s: float, live: bool
) -> None:
    device = Device(lateness_ms=lateness_s * SECOND, live=live)
    before, steps = float("-inf"), 0
    for number in numbers:
        device.say(*seconds(number))
        watermark_ms = device.line.watermark_ms
        assert watermark_ms is not None
        if device.steps == steps:
            assert watermark_ms >= before
        before, steps = watermark_ms, device.steps
    assert sorted(device.taken + device.late + device.line.flush()) == seconds(*sorted(numbers))
    if not device.steps:
        assert device.taken == sorted(device.taken)


STEPS_BACK = [3600 * SECOND, 2 * 3600 * SECOND, DAY - 60 * SECOND, 40 * DAY, 50 * 365 * DAY]


@pytest.mark.parametrize("back_ms", STEPS_BACK)
@pytest.mark.parametrize("live", [True, False])
def test_a_clock_that_was_put_back_is_followed_after_a_few_frames(back_ms: int, live: bool) -> None:
    device = Device(live=live).say(*seconds(*range(100)))
    after = [start - back_ms for start in seconds(*range(100, 130))]
    device.say(*after)
    assert device.late == after[: STEP_FRAMES - 1]
    assert device.taken == seconds(*range(100)) + after[STEP_FRAMES - 1 :]
    assert device.steps == 1
    # And forward again: a gap, no step.
    device.say(*seconds(*range(130, 140)))
    assert device.taken[-10:] == seconds(*range(130, 140))
    assert device.steps == 1


def test_a_clock_corrected_by_seconds_is_behind_for_so_long() -> None:
    device = Device().say(*seconds(*range(10)))
    device.say(*seconds(7.5, 8.5, 9.5, 10.5))
    assert device.late == seconds(7.5, 8.5)
    assert device.taken == seconds(*range(10), 9.5, 10.5)
    assert device.steps == 0


def test_one_frame_far_ahead_makes_nobody_deaf() -> None:
    device = Device(live=False, lateness_ms=2000).say(*seconds(0, 1, 2, 3))
    device.say(BEGIN + 365 * DAY)
    device.say(*seconds(*range(4, 20)))
    # While the frame of the year to come waits, the others go on.
    assert device.taken[:7] == [*seconds(*range(6)), BEGIN + 365 * DAY]
    assert device.late == seconds(6, 7, 8, 9)
    assert device.taken[7:] == seconds(*range(10, 20))


def test_what_is_handed_in_later_is_no_step_of_a_live_clock() -> None:
    device = Device().say(*seconds(*range(100, 110)))
    device.say(*seconds(*range(60)), every_ms=5)
    assert device.steps == 0
    assert len(device.late) == 60
    device.say(*seconds(110))
    assert device.taken == seconds(*range(100, 111))


def test_what_is_late_on_purpose_is_no_step() -> None:
    device = Device(live=False).say(*seconds(*range(100, 110)))
    device.say(*seconds(*range(60)), tells=False)
    assert (device.steps, len(device.late)) == (0, 60)


def test_late_frames_among_timely_ones_are_no_step() -> None:
    device = Device(live=False).say(*seconds(100))
    for number in range(30):
        device.say(*seconds(number, 101 + number))
    assert (device.steps, len(device.late)) == (0, 30)


def test_what_waits_when_the_clock_is_put_back_goes_on_first() -> None:
    device = Device(lateness_ms=5000).say(*seconds(*range(10)), *seconds(12))
    after = [start - DAY for start in seconds(*range(13, 20))]
    device.say(*after, every_ms=SECOND)
    assert device.late == after[: STEP_FRAMES - 1]
    assert device.taken == seconds(*range(10), 12) + after[STEP_FRAMES - 1 :]
