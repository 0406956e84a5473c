"""What the files of `deploy/` say, read as their programs would."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from cloud_api import counters as cloud_api_counters
from edge_agent.fleet.metrics import exposition
from stream_processor.bridge.metrics import Metrics as BridgeMetrics
from stream_processor.counters import Counters
from stream_processor.log_reader import Lag
from stream_processor.meters import Meters
from stream_processor.metrics_server import ProcessorCollector

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def yaml() -> Any:
    """PyYAML."""
    return pytest.importorskip("yaml", reason="PyYAML is not installed")


@pytest.fixture(scope="session")
def rendered(yaml: Any) -> Callable[[str], list[dict[str, Any]]]:
    """Return the objects of an overlay as the cluster would get them."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    known: dict[str, list[dict[str, Any]]] = {}

    def render(overlay: str) -> list[dict[str, Any]]:
        if overlay not in known:
            ended = subprocess.run(
                [kubectl, "kustomize", str(ROOT / "deploy/kubernetes/overlays" / overlay)],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert ended.returncode == 0, ended.stderr
            known[overlay] = list(yaml.safe_load_all(ended.stdout))
        return known[overlay]

    return render


@pytest.fixture(scope="session")
def compose(yaml: Any) -> dict[str, Any]:
    """The compose file, without its interpolations done."""
    document = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


@pytest.fixture(scope="session")
def known_variables() -> frozenset[str]:
    """The variables that any process of ours reads, by its source."""
    found: set[str] = set()
    for package in ("cloud_api", "stream_processor", "edge_agent", "headrace"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            found |= set(re.findall(r"HEADRACE_[A-Z_]+[A-Z]", text))
            found |= {f"HEADRACE_MQTT_{name}" for name in ("AUTHORITY", "CERTIFICATE")}
    return frozenset(found)


@pytest.fixture(scope="session")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The name of every sample that a process of ours tells Prometheus."""
    folder = tmp_path_factory.mktemp("metrics")
    names: set[str] = set()
    counters, meters = Counters(), Meters(lambda _: folder)
    counters.put("acquisition", {"dead_letters.NO_BIRTH": 1})
    meters.expect(0)
    meters.reading(0, lambda _: Lag(0, 0.0))
    meters.step(0, "acquisition").worked(1, 0.1)
    names |= _samples(ProcessorCollector(counters, meters).collect())
    bridge = BridgeMetrics()
    bridge.dead_letters.labels("x")
    names |= _samples(bridge.registry.collect())
    for metric in vars(cloud_api_counters).values():
        if isinstance(metric, MetricWrapperBase):
            names |= _samples(metric.collect())
    names |= _samples(text_string_to_metric_families(exposition(STATUS).decode()))
    return frozenset(names)


def _samples(families: Any) -> set[str]:
    return {sample.name for family in families for sample in family.samples}


STATUS: Mapping[str, Any] = {
    **dict.fromkeys(("site", "edge_node", "version"), "x"),
    "scored": 0,
    "clock_skew_s": 0.0,
    "broker": {"connected": True},
    "spool": dict.fromkeys(
        ("sent", "acknowledged", "resent", "dropped", "depth", "in_flight", "bytes", "max_bytes"), 0
    ),
    "vitals": dict.fromkeys(
        ("cpu_s", "memory_bytes", "disk_free_bytes", "disk_bytes", "temperature_c", "uptime_s"), 0
    ),
    "updates": {"last_check": {"time": "2026-01-05T12:00:00+00:00", "result": "good"}},
    "certificate": {"not_after": "2026-01-05T12:00:00+00:00"},
    "devices": [{"tag": "P-101", "lost": False, "score": 0.5}],
    "models": [],
}


@pytest.fixture(scope="session")
def expressions(yaml: Any) -> list[tuple[str, str]]:
    """Every PromQL expression with where it stands."""
    return [*_of_rules(yaml), *_of_dashboard()]


def _of_rules(yaml: Any) -> Iterator[tuple[str, str]]:
    document = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text(encoding="utf-8"))
    for group in document["groups"]:
        for rule in group["rules"]:
            yield rule.get("alert") or rule["record"], rule["expr"]


def _of_dashboard() -> Iterator[tuple[str, str]]:
    path = ROOT / "deploy/grafana/dashboards/headrace.json"
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            yield (
                f"panel {panel['title']}",
                target["expr"].replace("$__rate_interval", "1m").replace("$namespace", ".*"),
            )
