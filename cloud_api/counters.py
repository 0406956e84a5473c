"""What the server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

POINTS_MESSAGES = Counter(
    "headrace_cloud_api_points_messages_total", "Messages of points kept in the historian"
)
POINTS_REJECTED = Counter(
    "headrace_cloud_api_points_rejected_total", "Messages of points that could not be decoded"
)
HISTORIAN_WRITE_SECONDS = Histogram(
    "headrace_cloud_api_historian_write_seconds", "Time to make one batch durable"
)
HISTORIAN_FAILURES = Counter(
    "headrace_cloud_api_historian_failures_total", "Batches the historian refused, tried again"
)
LIVE_CLIENTS = Gauge("headrace_cloud_api_live_clients", "Browsers that watch")
LIVE_LAGGING = Counter(
    "headrace_cloud_api_live_lagging_total", "Times a browser was too slow and skipped messages"
)
SIGN_IN_FAILURES = Counter("headrace_cloud_api_sign_in_failures_total", "Wrong passwords")
FLEET_MESSAGES = Counter(
    "headrace_cloud_api_fleet_messages_total", "Reports and outcomes of gateways that were kept"
)
FLEET_REJECTED = Counter(
    "headrace_cloud_api_fleet_rejected_total", "Reports and outcomes that could not be kept"
)
