"""What tables say no to, and with which words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge_agent.analytics.options import AnalyticsTable, CaptureTable, ReportTable

WINDOW = {"length_s": 1}
INFINITE = float("inf")


def analysis(**given: Any) -> dict[str, Any]:
    return {"channel": "V", "window": WINDOW, "outputs": ["rms"], **given}


@pytest.mark.parametrize(
    ("table", "given", "said"),
    [
        (AnalyticsTable, analysis(outputs=[]), "outputs: nothing is made"),
        (AnalyticsTable, analysis(outputs=["loudness"]), "loudness"),
        (AnalyticsTable, analysis(window={}), "length_s: give either"),
        (AnalyticsTable, analysis(window={"length_s": 1, "revolutions": 5}), "length_s: give"),
        (AnalyticsTable, analysis(window={"length_s": INFINITE}), "length_s: inf"),
        (AnalyticsTable, analysis(window={"length_s": 1, "overlap": 1.0}), "0.95"),
        (AnalyticsTable, analysis(velocity_band_hz=[1000, 10]), "velocity_band_hz: the band"),
        (AnalyticsTable, analysis(velocity_band_hz=[10, INFINITE]), "velocity_band_hz: inf"),
        (AnalyticsTable, analysis(envelope_band_hz=[2, 2]), "envelope_band_hz: the band"),
        (AnalyticsTable, analysis(outputs=["zone"]), "zone: the output"),
        (
            AnalyticsTable,
            analysis(outputs=["zone"], zone={"limits_mm_s": [1, 3, 2], "provenance": "me"}),
            "limits_mm_s: each",
        ),
        (
            AnalyticsTable,
            analysis(outputs=["zone"], zone={"limits_mm_s": [1, 2, 3]}),
            "provenance",
        ),
        (AnalyticsTable, analysis(bands=[{"name": "A"}]), "low_hz: give both"),
        (AnalyticsTable, analysis(bands=[{"name": "A", "low_hz": 1}]), "low_hz: give both"),
        (
            AnalyticsTable,
            analysis(bands=[{"name": "A", "low_hz": 1, "high_order": 2}]),
            "low_hz: give both",
        ),
        (
            AnalyticsTable,
            analysis(bands=[{"name": "A", "low_hz": 2, "high_hz": 1}]),
            "low_hz: the band",
        ),
        (
            AnalyticsTable,
            analysis(bands=[{"name": "A", "low_hz": 1, "high_hz": 2}] * 2),
            "bands: two",
        ),
        (AnalyticsTable, analysis(raw="sometimes"), "raw"),
        (CaptureTable, {"pre_s": 1, "post_s": 1, "on_demand": False}, "triggers: nothing"),
        (
            CaptureTable,
            {"pre_s": 1, "post_s": 1, "triggers": [{"output": "RMS"}]},
            "at_least: give",
        ),
        (CaptureTable, {"pre_s": -1, "post_s": 1}, "pre_s"),
        (ReportTable, {"channel": "*"}, "deadband: give either"),
        (ReportTable, {"channel": "*", "deadband": 1, "deadband_percent": 1}, "deadband: give"),
        (ReportTable, {"channel": "*", "deadband_percent": 1}, "range: goes"),
        (
            ReportTable,
            {"channel": "*", "deadband_percent": 1, "range": [5, 5]},
            "range: 5 to 5",
        ),
        (
            ReportTable,
            {"channel": "*", "deadband": 1, "min_interval_s": 9, "max_interval_s": 8},
            "min_interval_s: is above",
        ),
    ],
)
def test_what_is_wrong_is_named(table: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(given, table)

    assert said in str(error.value)


def test_a_deadband_may_be_a_share_of_a_range() -> None:
    table = msgspec.convert(
        {"channel": "*", "deadband_percent": 2, "range": [-50, 150]}, ReportTable
    )

    assert table.limit == pytest.approx(4.0)


def test_tables_have_a_schema() -> None:
    schema = msgspec.json.schema(AnalyticsTable)

    properties = schema["$defs"]["AnalyticsTable"]["properties"]
    assert set(properties) == set(AnalyticsTable.__struct_fields__)
