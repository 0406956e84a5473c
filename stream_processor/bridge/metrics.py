"""What the bridge has counted, for Prometheus and for its log."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

PREFIX = "headrace_bridge_"


class Metrics:
    """Counts since the start of this process, and how things stand."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.received = self._counter("messages_received", "that the plant's broker delivered")
        self.stored = self._counter("messages_stored", "that the log confirmed")
        self.repeated = self._counter("messages_repeated", "that the log had before")
        self.acknowledged = self._counter(
            "messages_acknowledged", "that were confirmed to the plant's broker"
        )
        self.retained = self._counter(
            "messages_retained", "that the plant's broker had retained, which is no news"
        )
        self.abandoned = self._counter(
            "messages_abandoned", "of QoS 0, which nobody sends again, when a session was lost"
        )
        self.dead_letters = self._counter("dead_letters", "messages set aside", "reason")
        self.forwarded = self._counter("messages_forwarded", "to the plant", "kind")
        self.dropped = self._counter("commands_dropped", "that were of the past", "reason")
        self.sessions = self._counter("sessions", "with plant and cloud that began")
        self.lost = self._counter("sessions_lost", "that ended by a failure")
        self.in_flight = self._gauge("messages_in_flight", "not confirmed by the log yet")
        self.lag = self._gauge("lag_seconds", "since the oldest of them came")
        self.active = self._gauge("active", "1 while this instance is the one that bridges")
        self.connected = self._gauge("connected", "1 while messages can go that way", "way")

        for way in ("up", "down"):
            self.connected.labels(way)

    def totals(self) -> dict[str, float]:
        """Return every count by its name, with its label behind a dot."""
        return {
            ".".join([sample.name.removeprefix(PREFIX), *sample.labels.values()]): sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if not sample.name.endswith("_created")
        }

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, what, labels, registry=self.registry)
