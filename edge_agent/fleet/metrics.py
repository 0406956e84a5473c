"""The status document as Prometheus metrics; loads `prometheus_client` at the first scrape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "headrace_edge"


class _Document(Collector):
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; what the gateway does not know is left out."""
        document = self._document
        yield InfoMetricFamily(
            f"{_PREFIX}_agent",
            "Who this agent is.",
            {name: document[name] for name in ("site", "edge_node", "version")},
        )
        for name, key, text in (
            ("batches_sent", "sent", "Batches numbered since the start."),
            ("batches_acknowledged", "acknowledged", "Batches whose effects the cloud has."),
            ("batches_resent", "resent", "Batches published more than once."),
            ("batches_dropped", "dropped", "Batches lost because disk or memory was full."),
        ):
            # The library puts `_total` behind a counter's name.
            yield CounterMetricFamily(f"{_PREFIX}_{name}", text, document["spool"][key])
        yield CounterMetricFamily(
            f"{_PREFIX}_windows_scored", "Windows that a model scored.", document["scored"]
        )
        yield CounterMetricFamily(
            f"{_PREFIX}_cpu_seconds",
            "Processor time that the agent has had.",
            document["vitals"]["cpu_s"],
        )
        for name, value, text in self._gauges():
            if value is not None:
                yield GaugeMetricFamily(f"{_PREFIX}_{name}", text, float(value))
        yield from self._devices()
        models = GaugeMetricFamily(
            f"{_PREFIX}_model_info",
            "1 for the model that scores a class, by its version and where it is from.",
            labels=("equipment_class", "version", "source"),
        )
        for model in document["models"]:
            if model["source"]:
                labels = (model["equipment_class"], model["version"], model["source"])
                models.add_metric(labels, 1.0)
        yield models

    def _gauges(self) -> Iterator[tuple[str, float | None, str]]:
        document = self._document
        spool, vitals, certificate = document["spool"], document["vitals"], document["certificate"]
        yield "broker_connected", document["broker"]["connected"], "1 with a session, else 0."
        yield "spool_batches", spool["depth"], "Batches that wait for acknowledgement."
        yield "spool_in_flight_batches", spool["in_flight"], "Of them, those that were published."
        yield "spool_bytes", spool["bytes"], "Size of their payloads."
        yield "spool_max_bytes", spool["max_bytes"], "Size above which batches are dropped."
        yield "memory_bytes", vitals["memory_bytes"], "Resident memory of the agent."
        yield "disk_free_bytes", vitals["disk_free_bytes"], "Free space where the spool is."
        yield "disk_size_bytes", vitals["disk_bytes"], "Size of the file system that it is on."
        yield "temperature_celsius", vitals["temperature_c"], "The gateway's hottest zone."
        yield "clock_skew_seconds", document["clock_skew_s"], "This clock ahead of the server's."
        yield "uptime_seconds", vitals["uptime_s"], "Since the agent's start."
        last = document["updates"]["last_check"]
        if last is not None:
            at_s = datetime.fromisoformat(last["time"]).timestamp()
            yield "update_check_timestamp_seconds", at_s, "When updates were looked for last."
            yield "update_check_good", last["result"] == "good", "1 when that went well, else 0."
        if certificate is not None:
            ends_s = datetime.fromisoformat(certificate["not_after"]).timestamp()
            yield "certificate_end_timestamp_seconds", ends_s, "When the certificate ends."

    def _devices(self) -> Iterator[Metric]:
        connected = GaugeMetricFamily(
            f"{_PREFIX}_device_connected", "1 while its driver reaches it.", labels=("device",)
        )
        score = GaugeMetricFamily(
            f"{_PREFIX}_device_score_ratio", "Its newest anomaly score over the limit.",
            labels=("device",),
        )  # fmt: skip
        for device in self._document["devices"]:
            connected.add_metric((device["tag"],), float(not device["lost"]))
            if device["score"] is not None:
                score.add_metric((device["tag"],), device["score"])
        yield connected
        yield score


def exposition(document: Mapping[str, Any]) -> bytes:
    """Return the metrics of a status document in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Document(document))
    return generate_latest(registry)
