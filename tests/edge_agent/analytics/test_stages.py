"""Tables that are for nothing are told of, and stages stand in their order."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent import analytics
from edge_agent.analytics import (
    AnalysedDriver,
    AnalyticsTable,
    CaptureTable,
    ReportedDriver,
    ReportTable,
    check,
    stages,
)
from edge_agent.drivers import OptionsError
from edge_agent.drivers.base import Block
from firmware_sim.driver import DEFAULT_START_MS, create


def test_without_tables_there_are_no_stages(bench: Any) -> None:
    script = bench.script()

    assert stages(script, [], [], []) == (script, None, None)


async def test_reports_see_what_analyses_make(bench: Any) -> None:
    blocks = [bench.block(n, Vibration=bench.wave(1.0, 50.0)) for n in range(3)]
    driver, analysed, reported = stages(
        bench.script(*blocks),
        [bench.analytics(raw="never")],
        [],
        [bench.report(channel="Vibration RMS", deadband=0.1)],
    )

    assert isinstance(analysed, AnalysedDriver)
    assert driver is reported
    assert isinstance(reported, ReportedDriver)
    assert len(await bench.run(driver)) == 1
    assert (analysed.counts()["windows"], reported.counts()["blocks_suppressed"]) == (3, 2)


@pytest.mark.parametrize(
    ("tables", "path"),
    [
        ({}, ""),
        ({"analytics": {"channel": "Vibraton"}}, "analytics[0].channel"),
        ({"analytics": {"device": "Q-1"}}, "analytics[0].channel"),
        ({"capture": {"channel": "Axial"}}, "capture[0].channel"),
        ({"capture": {"device": "Q-1"}}, "capture[0].channel"),
        ({"analytics": {"raw": "never"}}, "capture[0].channel"),
        (
            {"capture": {"triggers": [{"output": "* RMS", "at_least": 1}]}},
            "",
        ),
        (
            {"capture": {"triggers": [{"output": "Level", "at_least": 1}]}},
            "capture[0].triggers[0].output",
        ),
        ({"report": {"channel": "Vibration Peak"}}, "report[0].channel"),
        ({"report": {"channel": "Vibration RMS"}}, ""),
    ],
)
def test_a_table_for_nothing_is_named(bench: Any, tables: dict[str, Any], path: str) -> None:
    analyses = [bench.analytics(**{"raw": "captured", **tables.get("analytics", {})})]
    captures = [bench.capture(**tables.get("capture", {}))]
    reports = [bench.report(**tables.get("report", {}))]
    script = bench.script()
    driver, _, _ = stages(script, analyses, captures, reports)

    if not path:
        check(script.devices(), driver.devices(), analyses, captures, reports)
        return
    with pytest.raises(OptionsError) as error:
        check(script.devices(), driver.devices(), analyses, captures, reports)

    assert error.value.path == path


async def test_the_sample_fits_the_plant() -> None:
    document = tomllib.loads((Path(analytics.__file__).parent / "sample.toml").read_text("utf-8"))
    tables = (
        msgspec.convert(document["analytics"], list[AnalyticsTable]),
        msgspec.convert(document["capture"], list[CaptureTable]),
        msgspec.convert(document["report"], list[ReportTable]),
    )
    driver = create({**document["drivers"][0]["options"], "vibration_interval_s": 1})

    staged, analysed, reported = stages(driver, *tables)

    check(driver.devices(), staged.devices(), *tables)
    heard: set[str] = set()
    async for block in staged.blocks():
        assert isinstance(block, Block)
        heard |= set(block.samples)
        if block.start_time_ms - DEFAULT_START_MS > 601_000:
            break
    assert analysed is not None
    assert reported is not None
    assert heard == {c.name for d in staged.devices() for c in d.channels} - {
        "Vibration Drive End",
        "Vibration Axial",
    }
    assert reported.counts()["samples_suppressed"] > 0
