"""The door for whoever watches the process: `/metrics` for Prometheus, `/counters`, `/readyz`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from stream_processor.counters import Counters
from stream_processor.meters import Meters

PREFIX = "headrace_stream_processor"


class ProcessorCollector(Collector):
    """Counters and meters as Prometheus' metrics."""

    def __init__(self, counters: Counters, meters: Meters) -> None:
        self._counters = counters
        self._meters = meters

    def collect(self) -> Iterable[Metric]:
        """Return every metric as it is now."""
        yield from self._counts()
        yield from self._of_partitions()
        yield from self._of_steps()

    def _counts(self) -> Iterable[Metric]:
        totals = self._counters.totals()
        position = GaugeMetricFamily(
            f"{PREFIX}_position", "Sequence in the log that was read last", labels=["partition"]
        )
        for partition, sequence in totals.pop("position").items():
            position.add_metric([partition], sequence)
        dead = CounterMetricFamily(
            f"{PREFIX}_dead_letters", "Messages that were set aside", labels=["reason"]
        )
        for reason, count in totals.pop("dead_letters").items():
            dead.add_metric([reason], count)
        yield position
        yield dead
        for name, count in totals.items():
            yield CounterMetricFamily(
                f"{PREFIX}_{name}", f"{name} (stream_processor/README.md)", value=count
            )

    def _of_partitions(self) -> Iterable[Metric]:
        held = GaugeMetricFamily(
            f"{PREFIX}_partition_held",
            "1 while this process works on the partition, 0 while it waits for it",
            labels=["partition"],
        )
        lag_messages = GaugeMetricFamily(
            f"{PREFIX}_lag_messages", "Messages of the log still to be taken", labels=["partition"]
        )
        lag_seconds = GaugeMetricFamily(
            f"{PREFIX}_lag_seconds",
            "How long the first message still to be taken has waited, at most",
            labels=["partition"],
        )
        state = GaugeMetricFamily(
            f"{PREFIX}_state_bytes", "Size of the recovery store", labels=["partition"]
        )
        delay = GaugeMetricFamily(
            f"{PREFIX}_watermark_delay_seconds",
            "How far the watermark of the last of its devices lies behind",
            labels=["partition"],
        )
        devices = GaugeMetricFamily(
            f"{PREFIX}_watermark_devices",
            "Devices whose watermark is known: with a live clock, and not silent",
            labels=["partition"],
        )
        for partition, meter in self._meters.partitions().items():
            label = [str(partition)]
            held.add_metric(label, float(meter.held))
            lag_messages.add_metric(label, meter.lag.messages)
            lag_seconds.add_metric(label, meter.lag.seconds)
            state.add_metric(label, meter.state_bytes)
            delay.add_metric(label, meter.delay.seconds)
            devices.add_metric(label, meter.delay.devices)
        yield from (held, lag_messages, lag_seconds, state, delay, devices)

    def _of_steps(self) -> Iterable[Metric]:
        items = CounterMetricFamily(
            f"{PREFIX}_step_items", "Items that a step took since the start", labels=["step"]
        )
        seconds = CounterMetricFamily(
            f"{PREFIX}_step_seconds", "Seconds that a step worked since the start", labels=["step"]
        )
        for step, meter in self._meters.steps().items():
            items.add_metric([step], meter.items)
            seconds.add_metric([step], meter.seconds)
        yield from (items, seconds)


def serve(counters: Counters, meters: Meters, host: str, port: int) -> ThreadingHTTPServer:
    """Serve `/metrics` for Prometheus, `/counters` as JSON and `/readyz` from a thread.

    Raises:
        OSError: the port is taken.
    """
    registry = CollectorRegistry()
    registry.register(ProcessorCollector(counters, meters))
    ProcessCollector(registry=registry)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/counters":
                self._answer("application/json", json.dumps(counters.totals()).encode())
            elif self.path == "/metrics":
                self._answer(CONTENT_TYPE_LATEST, generate_latest(registry))
            elif self.path == "/readyz":
                # One that waits for partitions is as it should be: it stands by.
                self._answer("text/plain", b"ready\n")
            else:
                self.send_error(404)

        def _answer(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a scrape every second is no news."""

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
