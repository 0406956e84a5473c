"""Around a trigger waveforms go out whole, once, and with the times that they were measured at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.analytics import AnalysedDriver
from edge_agent.analytics.capture import Capture, Fired, Ring, later
from edge_agent.drivers.base import Block, Channel, WriteError

CHANNEL = Channel("V", "m/s2", 1000.0)
LOUD = {"triggers": [{"output": "Vibration Peak", "at_least": 5}]}


@given(
    sizes=st.lists(st.integers(1, 50), max_size=20),
    length=st.integers(1, 100),
    from_sample=st.integers(-20, 500),
)
def test_a_ring_has_the_newest_samples_at_their_times(
    sizes: list[int], length: int, from_sample: int
) -> None:
    ring = Ring(CHANNEL, length / 1000.0)
    added: list[tuple[float, float]] = []
    at = 0
    for number, size in enumerate(sizes):
        # Half a second lies between any two blocks.
        start_ms = 1000.0 * number
        values = np.arange(at, at + size, dtype=np.float32)
        ring.add(values, start_ms)
        added += [(start_ms + n, v) for n, v in enumerate(values.tolist())]
        at += size

    taken = [
        (piece.start_ms + n, value)
        for piece in ring.take(float(from_sample))
        for n, value in enumerate(piece.samples.tolist())
    ]

    assert taken == [(t, v) for t, v in added[-length:] if t >= from_sample]
    assert list(ring.take(-1e9)) == []


@given(st.integers(-1000, 1000), st.sampled_from([1000.0, 3200.0, 25_600.0]))
def test_later_is_the_first_that_is_not_before(time_ms: int, rate_hz: float) -> None:
    place = later(float(time_ms), 0.0, 1000.0 / rate_hz)

    assert place * 1000.0 / rate_hz >= time_ms - 1e-3
    assert (place - 1) * 1000.0 / rate_hz < time_ms


def seconds(bench: Any, amplitudes: list[float], **more: Any) -> list[Block]:
    """Return a block a second; the wave goes on from one to the next."""
    return [
        bench.block(
            n,
            Vibration=bench.wave(a, 40.0),
            Axial=bench.wave(a / 2, 40.0),
            Level=[float(n)],
            **more,
        )
        for n, a in enumerate(amplitudes)
    ]


def driven(bench: Any, blocks: list[Block], capture: dict[str, Any], **more: Any) -> AnalysedDriver:
    tables = [bench.analytics(channel=n, outputs=["peak"], raw="captured", **more) for n in
              ("Vibration", "Axial")]  # fmt: skip
    return AnalysedDriver(bench.script(*blocks), tables, [bench.capture(**capture)])


def raw(found: list[Block], name: str = "Vibration") -> list[tuple[int, int, bool]]:
    """Return when each part of a waveform began, ms, how long it was, and whether it was late."""
    return [
        (b.start_time_ms + b.offsets_ms.get(name, 0), b.samples[name].size, b.late)
        for b in found
        if name in b.samples
    ]


async def test_what_lies_before_and_after_goes_out(bench: Any) -> None:
    blocks = seconds(bench, [1, 1, 1, 1, 9, 1, 1, 1, 1])
    driver = driven(bench, blocks, {**LOUD, "pre_s": 1.5, "post_s": 1.25})

    found = await bench.run(driver)

    at = [bench.start_ms + 1000 * n for n in range(9)]
    due = [(at[2] + 500, 1600, True), (at[3], 3200, True), (at[4], 3200, False)]
    due += [(at[5], 3200, False), (at[6], 800, False)]
    assert raw(found) == raw(found, "Axial") == due
    late = [b for b in found if b.late]
    assert [set(b.samples) for b in late] == [{"Vibration", "Axial"}] * 2
    labels = {b.capture for b in found if raw([b])}
    assert labels == {f"{at[5]} Vibration Peak 9 m/s2, limit 5 m/s2"}
    assert {b.capture for b in found if not raw([b])} == {""}
    # What went out is what was measured.
    measured = np.concatenate([b.samples["Vibration"] for b in blocks])
    sent = np.concatenate([b.samples["Vibration"] for b in found if "Vibration" in b.samples])
    begin = round(2.5 * bench.rate_hz)
    np.testing.assert_array_equal(sent, measured[begin : begin + sent.size])
    # Everything else went out as ever, in order.
    rest = [b for b in found if not b.late]
    assert [b.start_time_ms for b in rest] == at
    assert all({"Level", "Vibration Peak"} <= set(b.samples) for b in rest)
    assert driver.counts()["captures"] == 1


async def test_a_trigger_far_into_a_block_takes_part_of_it(bench: Any) -> None:
    """A block of ten seconds that is loud in its eighth."""
    wave = np.concatenate([bench.wave(9.0 if n == 7 else 1.0, 40.0) for n in range(10)])
    blocks = [bench.block(0, Vibration=wave)]

    found = await bench.run(driven(bench, blocks, {**LOUD, "pre_s": 2, "post_s": 0.5}))

    assert raw(found) == [(bench.start_ms + 5000, round(3.5 * bench.rate_hz), False)]
    assert found[0].samples["Vibration Peak"].size == 10
    np.testing.assert_array_equal(
        found[0].samples["Vibration"], wave[5 * 3200 : 5 * 3200 + round(3.5 * 3200)]
    )


async def test_no_sample_goes_out_twice(bench: Any) -> None:
    blocks = seconds(bench, [1, 9, 9, 1, 9, 1, 1, 9, 9, 9, 1, 1])
    capture = {**LOUD, "pre_s": 3, "post_s": 0.7, "min_interval_s": 0, "max_per_hour": 100}

    found = await bench.run(driven(bench, blocks, capture))

    times = [
        begin + n * 1000.0 / bench.rate_hz for begin, size, _ in raw(found) for n in range(size)
    ]
    assert len(times) == len({round(t, 3) for t in times})
    # Loud ones all went out.
    for second in (1, 2, 4, 7, 8, 9):
        begin = bench.start_ms + 1000 * second
        assert sum(begin <= t < begin + 1000 for t in times) == 3200


async def test_a_gap_before_the_trigger_keeps_its_place(bench: Any) -> None:
    blocks = seconds(bench, [1, 1, 1, 1, 1, 9])
    del blocks[2:4]

    found = await bench.run(driven(bench, blocks, {**LOUD, "pre_s": 10, "post_s": 0}))

    begins = [(begin - bench.start_ms) // 1000 for begin, _, _ in raw(found)]
    # The memory holds what was asked for from before the window: 11 seconds, and there are five.
    assert begins == [0, 1, 4, 5]


async def test_the_least_interval_and_the_most_an_hour(bench: Any) -> None:
    blocks = [
        bench.block(60 * n, Vibration=bench.wave(9.0, 40.0), Axial=bench.wave(1.0, 40.0))
        for n in range(120)
    ]
    capture = {**LOUD, "post_s": 0, "min_interval_s": 300, "max_per_hour": 4}
    driver = driven(bench, blocks, capture)

    found = await bench.run(driver)

    minutes = [(b - bench.start_ms) // 60_000 for b, _, late in raw(found) if not late]
    assert minutes == [0, 5, 10, 15, 60, 65, 70, 75]
    assert driver.counts()["captures"] == 8
    assert driver.counts()["captures_refused"] == 112


async def test_a_score_at_its_limit_captures(bench: Any) -> None:
    blocks = [
        Block(b.device, b.start_time_ms, b.samples, score=0.2 if n != 3 else 1.0)
        for n, b in enumerate(seconds(bench, [1] * 6))
    ]

    found = await bench.run(driven(bench, blocks, {"score": 1.0, "pre_s": 1, "post_s": 0.5}))

    at = bench.start_ms
    assert raw(found) == [
        (at + 2000, 3200, True),
        (at + 3000, 3200, False),
        (at + 4000, 1600, False),
    ]
    assert [b.score for b in found if not b.late] == [0.2, 0.2, 0.2, 1.0, 0.2, 0.2]
    assert {b.capture for b in found} == {"", f"{at + 4000} score 1, limit 1"}


async def test_a_rise_captures(bench: Any) -> None:
    blocks = seconds(bench, [1.0, 1.2, 1.4, 3.0, 3.2])
    rising = {"triggers": [{"output": "Vibration *", "rise_per_s": 1.0}], "pre_s": 0, "post_s": 0}

    found = await bench.run(driven(bench, blocks, rising))

    assert raw(found) == [(bench.start_ms + 3000, 3200, False)]
    assert "Vibration Peak rises 1.6 m/s2/s, limit 1" in found[3].capture


async def test_somebody_may_ask(bench: Any) -> None:
    blocks = seconds(bench, [1] * 6)
    driver = driven(bench, blocks, {"pre_s": 1.5, "post_s": 1})
    found = []

    async for item in driver.blocks():
        found.append(item)
        if len(found) == 2:
            assert driver.trigger("P-1", "a noise was heard")

    at = bench.start_ms
    assert raw(found) == [
        (at + 1500, 1600, True),
        (at + 2000, 3200, False),
        (at + 3000, 3200, False),
    ]
    assert found[2].capture == f"{at + 3000} a noise was heard"
    assert not driver.trigger("X-9", "no such machine")


async def test_asking_is_a_write(bench: Any) -> None:
    driver = driven(bench, seconds(bench, [1, 1]), {"pre_s": 0.5, "post_s": 0})
    assert driver.writable("P-1") == {"Capture": ""}
    await driver.write("P-1", "Capture", False)
    await driver.write("P-1", "Capture", "ordered by K. Lin")

    found = await bench.run(driver)

    assert [b.capture for b in found] == [f"{bench.start_ms + 1000} ordered by K. Lin", ""]
    deaf = driven(bench, [], {**LOUD, "on_demand": False})
    assert deaf.writable("P-1") == {}
    assert not deaf.trigger("P-1", "please")
    with pytest.raises(WriteError, match="no capture on demand"):
        await deaf.write("P-1", "Capture", True)


async def test_a_demand_beyond_the_limit_is_refused(bench: Any) -> None:
    driver = driven(bench, seconds(bench, [1] * 5), {"pre_s": 0.5, "post_s": 0, "max_per_hour": 1})
    refused = 0

    async for block in driver.blocks():
        if not block.late:
            try:
                await driver.write("P-1", "Capture", "again")
            except WriteError as error:
                refused += 1
                assert "used up" in str(error)  # noqa: PT017 (most of them are taken)

    assert (driver.counts()["captures"], refused) == (1, 4)


async def test_what_always_goes_out_is_marked(bench: Any) -> None:
    blocks = seconds(bench, [1, 1, 9, 1, 1])
    table = bench.analytics(outputs=["peak"])

    found = await bench.run(AnalysedDriver(bench.script(*blocks), [table], [bench.capture(**LOUD)]))

    assert [b.samples["Vibration"].size for b in found] == [3200] * 5
    assert [bool(b.capture) for b in found] == [False, False, True, True, False]
    assert not any(b.late for b in found)


def capturing(bench: Any, **given: Any) -> Capture:
    return Capture(bench.capture(**given), {})


def test_a_demand_does_not_wait_but_counts(bench: Any) -> None:
    capture = capturing(bench, post_s=0, max_per_hour=2)

    assert capture.begin(Fired("a", 0.0, 1000.0))
    assert not capture.begin(Fired("b", 1000.0, 2000.0))
    assert capture.begin(Fired("c", 2000.0, 3000.0), demanded=True)
    assert not capture.begin(Fired("d", 3000.0, 4000.0), demanded=True)
    assert capture.begin(Fired("e", 0.0, 3_601_001.0), demanded=True)
    assert (capture.begun, capture.refused) == (3, 2)


def test_a_demand_makes_a_running_capture_longer(bench: Any) -> None:
    capture = capturing(bench, post_s=10)
    capture.begin(Fired("a", 0.0, 1000.0))

    assert not capture.begin(Fired("b", 1000.0, 2000.0))
    assert capture.begin(Fired("c", 4000.0, 5000.0), demanded=True)

    assert (capture.from_ms, capture.until_ms) == (-1000.0, 15_000.0)
    assert (capture.begun, capture.refused) == (1, 0)


def test_a_clock_set_back_ends_a_capture_and_its_limits(bench: Any) -> None:
    capture = capturing(bench, max_per_hour=1)
    hour_ms = 3_600_000.0
    assert capture.begin(Fired("a", 2 * hour_ms, 2 * hour_ms))

    assert not capture.runs(hour_ms)
    assert capture.begin(Fired("b", hour_ms, hour_ms))


def test_memory_is_for_the_window_and_what_lies_before(bench: Any) -> None:
    driver = driven(bench, [], {**LOUD, "pre_s": 4}, window={"length_s": 2})

    assert driver.counts()["ring_bytes"] == 2 * 6 * 3200 * np.dtype(np.float32).itemsize
