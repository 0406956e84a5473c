"""Rules and dashboard parse, and ask for what our processes really tell."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
# Told by programs that are not ours: Prometheus itself, and NATS' exporter, whose names are those
# of the fields of the broker's /varz.
OTHERS = {
    "up",
    "process_resident_memory_bytes",
    "gnatsd_varz_jetstream_stats_storage",
    "gnatsd_varz_jetstream_config_max_storage",
}
NAME = re.compile(r"\b(headrace[a-z0-9_:]+|gnatsd_[a-z_]+|process_[a-z_]+|up)\b(?!\()")


def test_every_expression_is_promql(expressions: list[tuple[str, str]]) -> None:
    parser = pytest.importorskip("promql_parser", reason="promql-parser is not installed")
    for where, expression in expressions:
        try:
            parser.parse(expression)
        except ValueError as error:
            pytest.fail(f"{where}: {error}")


def test_every_metric_is_told_by_somebody(
    expressions: list[tuple[str, str]], metrics: frozenset[str]
) -> None:
    recorded = {where for where, _ in expressions if where.startswith("headrace:")}
    known = metrics | recorded | OTHERS
    asked = {(where, name) for where, text in expressions for name in NAME.findall(text)}

    assert len(asked) > 40
    assert {(where, name) for where, name in asked if name not in known} == set()


def test_the_brokers_fields_are_there(broker: Any) -> None:
    import urllib.request

    with urllib.request.urlopen(
        f"http://{broker.host}:{broker.monitor_port}/varz", timeout=30
    ) as answer:
        varz = json.loads(answer.read())

    for name in OTHERS:
        if name.startswith("gnatsd_varz_jetstream_"):
            part, _, field = name.removeprefix("gnatsd_varz_jetstream_").partition("_")
            assert isinstance(varz["jetstream"][part][field], int)


def test_every_alert_says_what_it_means(yaml: Any) -> None:
    document = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text(encoding="utf-8"))
    alerts = [r for g in document["groups"] for r in g["rules"] if "alert" in r]

    assert len({alert["alert"] for alert in alerts}) == len(alerts)
    for alert in alerts:
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "description"} <= set(alert["annotations"])


def test_panels_do_not_overlap() -> None:
    path = DEPLOY / "grafana/dashboards/headrace.json"
    panels = json.loads(path.read_text(encoding="utf-8"))["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(0 <= x < 24 for x, _ in cells)
        taken |= cells
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"]
    assert len({panel["id"] for panel in panels}) == len(panels)
