"""Report by exception: whoever holds the last value told is never further off than the deadband."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.analytics import ReportedDriver
from edge_agent.drivers.base import BAD, Block, Lost


def levels(bench: Any, *values: Any) -> list[Block]:
    return [bench.block(n, Level=np.atleast_1d(v)) for n, v in enumerate(values)]


async def told(bench: Any, blocks: list[Any], **report: Any) -> list[float]:
    """Return the seconds of the blocks in which the level was told."""
    driver = ReportedDriver(bench.script(*blocks), [bench.report(**report)])
    return [
        (b.start_time_ms - bench.start_ms) / 1000
        for b in await bench.run(driver)
        if isinstance(b, Block) and "Level" in b.samples
    ]


async def test_only_a_change_beyond_the_deadband_is_told(bench: Any) -> None:
    blocks = levels(bench, 5.0, 5.9, 6.0, 6.1, 5.2, 5.0, 7.0)

    assert await told(bench, blocks) == [0, 3, 5, 6]


async def test_a_deadband_of_nothing_tells_any_change(bench: Any) -> None:
    assert await told(bench, levels(bench, 1.0, 1.0, 1.001, 1.001), deadband=0) == [0, 2]


async def test_a_share_of_a_range_is_a_deadband(bench: Any) -> None:
    blocks = levels(bench, 0.0, 3.9, 4.1)

    report = {"deadband": None, "deadband_percent": 2, "range": [-100, 100]}
    assert await told(bench, blocks, **report) == [0, 2]


async def test_what_does_not_change_is_told_after_a_while(bench: Any) -> None:
    assert await told(bench, levels(bench, *[1.0] * 12), max_interval_s=5) == [0, 5, 10]


async def test_what_changes_all_the_time_is_told_now_and_then(bench: Any) -> None:
    blocks = levels(bench, *(2.0 * n for n in range(8)))

    assert await told(bench, blocks, min_interval_s=3) == [0, 3, 6]


async def test_samples_of_a_block_are_told_together(bench: Any) -> None:
    """The last sample told counts, and any sample of a block may differ from it."""
    blocks = levels(bench, [1.0, 5.0], [5.5, 4.5], [5.0, 7.0, 5.0], [5.0, 5.0], [3.9, 5.0])

    driver = ReportedDriver(bench.script(*blocks), [bench.report()])
    found = await bench.run(driver)

    assert [b.samples["Level"].tolist() for b in found] == [
        [1.0, 5.0],
        [5.0, 7.0, 5.0],
        [3.9, 5.0],
    ]
    assert driver.counts() == {
        "samples_suppressed": 4,
        "channels_suppressed": 2,
        "blocks_suppressed": 2,
    }


async def test_what_goes_missing_or_comes_back_is_told(bench: Any) -> None:
    nan = float("nan")
    blocks = levels(bench, 1.0, nan, nan, [nan, 1.0], 1.0, [1.0, nan])

    assert await told(bench, blocks) == [0, 1, 3, 5]


async def test_a_change_of_quality_is_told_at_once(bench: Any) -> None:
    blocks = levels(bench, 1.0, 1.0, 1.0, 1.0)
    for place in (1, 2):
        b = blocks[place]
        blocks[place] = Block(b.device, b.start_time_ms, b.samples, {"Level": BAD})

    assert await told(bench, blocks, min_interval_s=60) == [0, 1, 3]


async def test_the_first_block_after_a_loss_is_whole(bench: Any) -> None:
    blocks = levels(bench, 1.0, 1.0, 1.0, 1.0)

    assert await told(bench, [*blocks[:2], Lost("P-1", "gone"), *blocks[2:]]) == [0, 2]


async def test_the_first_block_after_a_birth_is_whole(bench: Any) -> None:
    driver = ReportedDriver(bench.script(*levels(bench, *[1.0] * 6)), [bench.report()])
    found = []

    async for block in driver.blocks():
        found.append(block.start_time_ms - bench.start_ms)
        driver.renew(["P-1"] if len(found) == 1 else ["X-1"])
        if len(found) == 2:
            break

    assert found == [0, 1000]
    driver.renew()
    assert len(await bench.run(driver)) == 1


async def test_a_clock_that_goes_back_is_told(bench: Any) -> None:
    blocks = levels(bench, 1.0, 1.0, 1.0)
    blocks.append(bench.block(-3600, Level=[1.0]))
    blocks.append(bench.block(-3599, Level=[1.0]))

    assert await told(bench, blocks) == [0, -3600]


async def test_the_first_table_that_fits_counts_and_others_pass(bench: Any) -> None:
    blocks = [bench.block(n, Level=[1.0 + n], Speed=[1.0 + n], Axial=[1.0]) for n in range(3)]
    reports = [bench.report(channel="L*"), bench.report(channel="[!A]*", deadband=100)]

    found = await bench.run(ReportedDriver(bench.script(*blocks), reports))

    assert [set(b.samples) for b in found] == [
        {"Level", "Speed", "Axial"},
        {"Axial"},
        {"Level", "Axial"},
    ]


async def test_a_captured_block_is_whole_and_a_late_one_changes_nothing(bench: Any) -> None:
    one, two, three = levels(bench, 1.0, 1.0, 1.0)
    captured = Block("P-1", two.start_time_ms, two.samples, capture="5 loud")
    late = Block("P-1", one.start_time_ms, {"Level": np.array([9.0])}, capture="5 loud", late=True)

    found = await bench.run(ReportedDriver(bench.script(one, late, captured, three), [
        bench.report()
    ]))  # fmt: skip

    assert found == [one, late, captured]


async def test_a_score_goes_out_alone(bench: Any) -> None:
    blocks = [
        Block(b.device, b.start_time_ms, b.samples, score=0.5, offsets_ms={"Level": 5})
        for b in levels(bench, 1.0, 1.0)
    ]

    found = await bench.run(ReportedDriver(bench.script(*blocks), [bench.report()]))

    assert [(list(b.samples), dict(b.offsets_ms), b.score) for b in found] == [
        (["Level"], {"Level": 5}, 0.5),
        ([], {}, 0.5),
    ]


@given(
    blocks=st.lists(st.lists(st.floats(-10, 10), min_size=1, max_size=5), min_size=1, max_size=30),
    deadband=st.floats(0, 5),
)
async def test_nobody_is_further_off_than_the_deadband(
    blocks: list[list[float]], deadband: float
) -> None:
    from edge_agent.analytics.options import ReportTable
    from edge_agent.drivers.base import Channel, Device

    class Source:
        def devices(self) -> list[Device]:
            return [Device("T-1", "tank", "", (Channel("Level", "m", 1.0),))]

        async def blocks(self) -> Any:
            for n, values in enumerate(blocks):
                yield Block("T-1", 10_000 * n, {"Level": np.array(values)})

        async def close(self) -> None: ...

    driver = ReportedDriver(Source(), [ReportTable(channel="*", deadband=deadband)])
    heard = {b.start_time_ms: b.samples["Level"] async for b in driver.blocks()}  # type: ignore[union-attr]

    held = float("nan")
    for n, values in enumerate(blocks):
        if 10_000 * n in heard:
            assert heard[10_000 * n].tolist() == values
            held = values[-1]
        else:
            assert np.abs(np.array(values) - held).max() <= deadband


@pytest.mark.parametrize("reports", [[], [{"device": "Q-*"}]])
async def test_without_a_table_everything_passes(bench: Any, reports: list[Any]) -> None:
    blocks = levels(bench, 1.0, 1.0)

    driver = ReportedDriver(bench.script(*blocks), [bench.report(**r) for r in reports])

    assert await bench.run(driver) == blocks
